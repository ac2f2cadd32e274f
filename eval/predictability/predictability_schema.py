"""What predictability.py leaves, as other programs find it."""

from __future__ import annotations

from eval.harness.schema import ResultsSchema

SCHEMA = ResultsSchema(
    name="soundcodec-llmcodec/predictability", version=1, program="predictability.py", rows_file="clips.jsonl"
)
