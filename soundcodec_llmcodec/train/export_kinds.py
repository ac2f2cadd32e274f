"""What of a run can be exported, for who only lists it: nothing is imported."""

from __future__ import annotations

KINDS = ("codec", "published", "lm", "bundle")
