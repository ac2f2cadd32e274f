"""Damaged files for everything that reads one, and the processes that read them: see benchmarks/fuzz.py."""
