"""Linear probes: what a linear classifier reads out of a representation's pooled vectors, task by task."""
