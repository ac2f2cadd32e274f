"""The harness that measures codecs; it runs from a checkout and is never installed."""
