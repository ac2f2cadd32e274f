"""What can be chosen where a language model over tokens is named, for who only lists it: nothing is imported."""

from __future__ import annotations

BUNDLED_NAME = "bundled"
DTYPES = ("float32", "bfloat16")
MAX_ORDER = 3
