"""Codec-SUPERB's own result file, for its leaderboard script: `--compat codec-superb` leaves it beside our results."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from eval.reconstruction import published_rows
from eval.reconstruction.clip_results import ClipResult, ReconstructionRun
from eval.reconstruction.codecs import CodecInfo
from eval.reconstruction.metrics import SUPERB_NAMES
from soundcodec_llmcodec.superb.register import OWN_PREFIX

OVERALL = "overall"
PREFIX = "superb:"
# Upstream's keys for what its leaderboard calls "BPS" (kbit/s) and "TPS" (frames a second, whatever the levels).
KBPS, FRAMES = "bps", "tps"


def file_name(dataset: str, *, for_reporting: bool) -> str:
    """What upstream's scripts/benchmarking.py calls the file; another name, which its leaderboard script does not find,
    for numbers that are not for reporting."""
    return f"{re.sub(r'[/:?*]', '_', dataset)}_{'evaluation_results' if for_reporting else 'not_for_reporting'}.json"


def row_name(name: str) -> str:
    """The name of a codec's row beside upstream's: its own, or with a prefix where upstream has a row of that name,
    which its leaderboard script would overwrite, or put in the place of ours."""
    return f"{OWN_PREFIX}{name}" if name in {row["name"] for row in published_rows.rows()} else name


def document(run: ReconstructionRun) -> dict[str, Any]:
    """Row name -> split and `overall` -> metric -> mean over the clips that have a value, under upstream's keys.

    As upstream does, every model has its own clips: those that it failed on are left out. A codec that could not be
    loaded has upstream's `error` and `message`. Metrics without any value are left out, where upstream
    writes NaN, which is no JSON. Beside the splits stand `bps` and `tps` (eval/superb_leaderboard.py), which upstream's
    scripts pass over.
    """
    models: dict[str, Any] = {}
    for model in run.models:
        by_split = {split: part.clips for split, part in model.splits.items()}
        means = {split: _means(clips) for split, clips in (*by_split.items(), (OVERALL, model.overall.clips))}
        models[row_name(model.info.name)] = {**means, **_rates(model.info, model.overall.counted_bps)}
    for codec in run.unloaded:
        models[row_name(codec.name)] = {"error": codec.reason, "message": "Codec loading failed before evaluation."}
    return models


def _rates(info: CodecInfo, counted_bps: float | None) -> dict[str, float]:
    """kbit/s and frames a second, each where it is known."""
    bps = counted_bps if info.bitrate_bps is None else info.bitrate_bps
    rates = {} if bps is None else {KBPS: round(bps / 1000, 3)}
    if info.token_rate is not None:
        rates[FRAMES] = round(info.token_rate / (info.num_quantizers or 1), 3)
    return rates


def _means(clips: list[ClipResult]) -> dict[str, float]:
    means: dict[str, float] = {}
    for name in SUPERB_NAMES:
        values = [score.value for clip in clips if (score := clip.scores[name]).value is not None]
        if values:
            means[name.removeprefix(PREFIX)] = float(np.mean(values))
    if "pesq" in means:
        means["pesq-wb"] = means["pesq"]  # upstream's two names of one call
    return means
