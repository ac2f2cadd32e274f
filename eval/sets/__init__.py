"""Measures over sets of clips: how far one set is from another, whichever clip is whose."""
