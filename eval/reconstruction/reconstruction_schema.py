"""What superb_tiny.py leaves, as reports and other programs find it."""

from __future__ import annotations

from eval.harness.schema import ResultsSchema

SCHEMA = ResultsSchema(
    name="soundcodec-llmcodec/superb-tiny",
    version=2,
    program="superb_tiny.py",
    rows_file="clips.jsonl",
    required=("created", "dataset", "metrics", "models", "splits"),
    row_keys=("model", "split", "clip_id"),
    row_columns=("scores",),
)
