"""Codec-SUPERB's own result file, for its leaderboard script: `--compat codec-superb` leaves it beside our results."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from eval.metrics import SUPERB_NAMES
from eval.records import ClipResult, Run

OVERALL = "overall"
PREFIX = "superb:"


def file_name(dataset: str, *, for_reporting: bool) -> str:
    """What upstream's scripts/benchmarking.py calls the file; another name, which its leaderboard script does not find,
    for numbers that are not for reporting."""
    return f"{re.sub(r'[/:?*]', '_', dataset)}_{'evaluation_results' if for_reporting else 'not_for_reporting'}.json"


def document(run: Run) -> dict[str, Any]:
    """Model -> split and `overall` -> metric -> mean over the clips that have a value, under upstream's keys.

    As upstream does, every model has its own clips: those that it failed on are left out. A codec that could not be
    loaded has upstream's `error` and `message`. Metrics without any value are left out, where upstream
    writes NaN, which is no JSON.
    """
    models: dict[str, Any] = {}
    for model in run.models:
        by_split = {split: part.clips for split, part in model.splits.items()}
        models[model.info.name] = {
            split: _means(clips) for split, clips in (*by_split.items(), (OVERALL, model.overall.clips))
        }
    for one in run.unloaded:
        models[one.name] = {"error": one.reason, "message": "Codec loading failed before evaluation."}
    return models


def _means(clips: list[ClipResult]) -> dict[str, float]:
    means: dict[str, float] = {}
    for name in SUPERB_NAMES:
        values = [score.value for clip in clips if (score := clip.scores[name]).value is not None]
        if values:
            means[name.removeprefix(PREFIX)] = float(np.mean(values))
    if "pesq" in means:
        means["pesq-wb"] = means["pesq"]  # upstream's two names of one call
    return means
