"""What abx.py leaves, as other programs find it."""

from __future__ import annotations

from eval.harness.schema import ResultsSchema

SCHEMA = ResultsSchema(name="soundcodec-llmcodec/abx", version=1, program="abx.py", rows_file="phone_pairs.jsonl")
