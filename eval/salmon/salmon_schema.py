"""What salmon.py leaves, as reports and other programs find it."""

from __future__ import annotations

from eval.harness.schema import ResultsSchema

SCHEMA = ResultsSchema(
    name="soundcodec-llmcodec/salmon",
    version=1,
    program="salmon.py",
    rows_file="pairs.jsonl",
    required=("created", "suite", "parts", "models", "normalize"),
    row_keys=("model", "part", "pair_id"),
    row_columns=("difference", "failure"),
)
