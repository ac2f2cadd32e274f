"""A seed for each item of a set."""

from __future__ import annotations

import hashlib


def seed_of(seed: int, item_id: str) -> int:
    """A seed in [0, 2**32) that follows from a set's seed and the item's id: one seed for all would give every item the
    same noise."""
    return int.from_bytes(hashlib.sha256(f"{seed} {item_id}".encode()).digest()[:4], "big")
