"""Predictability as CSV, from what results.json holds: numbers as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eval.harness.table_files import csv_text, estimate_columns

_MODEL = ("identity", "prefix", "full_size", "parameters", "n_clips", "n_tokens")
_CODEC = ("codec_hash", "test", "train", "seconds", "tokens_per_s", "codes_used", "vocabulary_size")
_ENDS = ("mean", "low", "high")


def table_csv(document: Mapping[str, Any]) -> str:
    """A row for each codec and model."""
    return csv_text(_rows(document))


def _rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    codecs = {codec["label"]: codec for codec in document["codecs"]}
    for model in document["models"]:
        row = {"codec": model["codec"], "model": model["model"], **{key: model.get(key) for key in _MODEL}}
        for vocabulary in ("audio", "full"):
            for unit, estimate in model[f"{vocabulary}_vocabulary"].items():
                row |= estimate_columns(f"{vocabulary}_{unit}", estimate, _ENDS)
        for unit in ("bits_per_token", "bits_per_s", "explained"):
            row |= estimate_columns(unit, model[unit], _ENDS)
        yield row | {key: codecs[model["codec"]].get(key) for key in _CODEC}
