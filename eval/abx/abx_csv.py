"""ABX errors as CSV, from what results.json holds: numbers as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eval.harness.table_files import csv_text, estimate_columns

_MODEL = ("kind", "levels", "frame_rate", "dimensions", "weights_hash", "seconds")
_SIZES = ("triplets", "cells", "pairs", "speakers")


def table_csv(document: Mapping[str, Any]) -> str:
    """A row for each condition and model; errors are shares of 1."""
    return csv_text(_rows(document))


def _rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    models = {model["model"]: model for model in document["models"]}
    for result in document["rows"]:
        row = {"condition": result["condition"], "model": result["model"]}
        for side in ("within", "across"):
            estimate = result[side]
            row |= estimate_columns(side, estimate, ("error", "low", "high"))
            row |= estimate_columns(f"{side}_difference", estimate["difference"] or {}, ("mean", "low", "high"))
            row |= {f"{side}_{size}": estimate[size] for size in _SIZES}
        yield row | {key: models[result["model"]].get(key) for key in _MODEL}
