"""What probes.py leaves, as other programs find it."""

from __future__ import annotations

from eval.harness.schema import ResultsSchema

SCHEMA = ResultsSchema(name="soundcodec-llmcodec/probes", version=1, program="probes.py", rows_file="clips.jsonl")
