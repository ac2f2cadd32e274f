"""Experiments whose results the project rests on; each is one command."""
