"""Phonetic discriminability (ABX): whether a phone is nearer to another instance of itself than to another phone."""
