"""What a run leaves behind: results.json, clips.jsonl and table.md, each written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from eval.harness import results, statistics
from eval.probes import probe_folds, probes_table
from eval.probes.linear_probe import MAX_ITERATIONS, STRENGTHS
from eval.probes.pooled_features import PooledFeatures
from eval.probes.probe_scores import LEAST_GROUPS, ProbeScore, resampled_units
from eval.probes.probes_run import ProbedTask, ProbesHow, ProbesRun
from eval.probes.probes_schema import SCHEMA

PACKAGES = ("numpy", "scikit-learn", "scipy", "soundfile", "soxr", "torch", "transformers")
FILES = results.files(SCHEMA, report=False)


def document(run: ProbesRun, how: ProbesHow, command_line: Sequence[str]) -> dict[str, Any]:
    """Everything but the single clips, as JSON-ready data."""
    return {
        **results.heading(
            SCHEMA,
            mark=probes_table.mark(run, how),
            command_line=command_line,
            settings={
                "pooling": how.pooling,
                "seed": how.seed,
                "limit": how.limit,
                "device": how.device,
                "classifier": "multinomial logistic regression, L2",
                "inverse_penalties": list(STRENGTHS),
                "inner_folds": probe_folds.INNER_FOLDS,
                "max_iterations": MAX_ITERATIONS,
            },
            statistics={
                "seed": statistics.SEED,
                "bootstrap_resamples": statistics.RESAMPLES,
                "confidence": 0.95,
                "groups_resampled_from": LEAST_GROUPS,
            },
            packages=PACKAGES,
        ),
        "tasks": [_task(probed) for probed in run.tasks],
        "representations": [_representation(features) for features in run.features],
        "scores": [_score(score) for probed in run.tasks for score in probed.scores],
        "left_out": [dataclasses.asdict(unloaded) for unloaded in run.unloaded],
    }


def clip_rows(run: ProbesRun) -> Iterator[dict[str, Any]]:
    """One row for each task, representation and clip: the class, and the one that was predicted out of fold."""
    for probed in run.tasks:
        for score in probed.scores:
            if score.predicted is None:
                continue
            for clip, fold, predicted in zip(probed.clips.clips, probed.fold_of, score.predicted, strict=True):
                yield {
                    "task": score.task,
                    "representation": score.representation,
                    "clip_id": clip.clip_id,
                    "label": clip.label,
                    "group": clip.group,
                    "fold": int(fold),
                    "predicted": str(predicted),
                    "correct": bool(predicted == clip.label),
                }


def _task(probed: ProbedTask) -> dict[str, Any]:
    chosen, task = probed.clips, probed.clips.task
    groups = probed.groups
    return {
        "task": task.name,
        "dataset": chosen.corpus.label,
        "revision": chosen.corpus.revision,
        "label": str(task.label),
        "group": str(task.group) if task.group else None,
        "where": [list(pair) for pair in task.where],
        "folds": task.folds,
        "min_clips": task.min_clips,
        "n": len(chosen.clips),
        "classes": chosen.sizes,
        "groups": None if groups is None else len(set(groups.tolist())),
        "chance": 1 / max(1, len(chosen.sizes)),
        "interval_over": resampled_units(groups),
        "unlabelled": chosen.unlabelled,
        "small_classes": chosen.small_classes,
        "failures": probed.failures,
    }


def _representation(features: PooledFeatures) -> dict[str, Any]:
    representation = features.representation
    return {
        "representation": representation.name,
        "dimensions": representation.dimensions,
        "frame_rate": representation.frame_rate,
        "facts": representation.facts(),
        "identity": json.loads(features.identity),
        "computed_clips": features.computed,
        "seconds": round(features.seconds, 3),
    }


def _score(score: ProbeScore) -> dict[str, Any]:
    accuracy = dict.fromkeys(("value", "low", "high")) if score.accuracy is None else dataclasses.asdict(score.accuracy)
    return {
        "task": score.task,
        "representation": score.representation,
        "accuracy": accuracy,
        "reason": score.reason,
        "inverse_penalties": list(score.strengths),
    }
