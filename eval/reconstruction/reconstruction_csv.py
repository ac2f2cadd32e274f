"""A reconstruction run's tables as CSV, from what results.json and clips.jsonl hold: numbers as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eval.harness.table_files import csv_text, estimate_columns

_MODEL = ("kind", "checkpoint", "checkpoint_hash", "sample_rate", "codebook_size", "num_quantizers", "parameters")
_SPLIT = ("bitrate_bps", "bitrate_counted", "token_rate", "codes_used", "codes_total", "entropy_bits", "audio_s")
_COSTS = ("encode_rtf", "decode_rtf", "peak_memory_mib")
_ESTIMATE = ("mean", "low", "high", "n", "failed")


def table_csv(document: Mapping[str, Any]) -> str:
    """A row for each split and model, and for the originals where a metric has a floor."""
    return csv_text(_rows(document))


def clips_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """A row for each model and clip: what is known of the clip, a column a metric, and why values are missing."""
    table = []
    for row in rows:
        plain = {key: value for key, value in row.items() if key not in ("scores", "weights", "reasons")}
        reasons = "; ".join(f"{metric}: {reason}" for metric, reason in row["reasons"].items())
        table.append({**plain, **row["scores"], "reasons": reasons})
    return csv_text(table)


def _rows(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    originals = document.get("originals")
    models = [model for model in document["models"] if model["splits"]] + ([originals] if originals else [])
    for split in document["splits"]:
        for model in models:
            figures = model["splits"][split]
            row = {"split": split, "model": model["name"], **{key: model.get(key) for key in _MODEL}}
            row |= {key: figures.get(key) for key in _SPLIT}
            row |= {"n": figures["n"], "failed": len(figures.get("failures", ()))}
            for metric in document["metrics"]:
                row |= estimate_columns(metric, figures["metrics"].get(metric, {}), _ESTIMATE)
                compared = figures.get("against_baseline", {}).get(metric, {})
                row |= {f"{metric}_{key}": compared.get(key) for key in ("difference", "p_adjusted")}
            yield row | {key: figures.get(key) for key in _COSTS}
