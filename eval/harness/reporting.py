"""What a table says of itself where its numbers must not be quoted, and how it names weights."""

from __future__ import annotations

NOT_FOR_REPORTING = "NOT FOR REPORTING"
SHORT_HASH = 8


def mark(synthetic: bool, limit: int | None) -> str | None:
    """What a title says when its numbers must not be quoted."""
    if limit is not None:
        return f"{NOT_FOR_REPORTING} (--limit {limit})"
    return f"{NOT_FOR_REPORTING} (synthetic clips)" if synthetic else None
