"""Codecs that are judged by the very model that taught them: their values in those columns flatter them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from eval.reconstruction.clip_results import CodecRun
from eval.reconstruction.metrics import Metric

# What metrics call the models that can teach, by the teacher's name.
_JUDGES = {"whisper-tiny.en": "whisper-tiny", "whisper-base": "whisper-base", "hama": "hama"}


def own_judges(models: Sequence[CodecRun], metrics: Sequence[Metric]) -> list[str]:
    """A line for each codec and teacher of its that judges metrics here."""
    lines = []
    for model in models:
        for teacher in model.info.teachers:
            judge = re.compile(rf"\b{re.escape(_JUDGES.get(teacher, teacher))}(?![\w.-])")
            names = [metric.name for metric in metrics if metric.judge and judge.search(metric.judge)]
            if names:
                lines.append(f"{model.info.name} was taught by {teacher}, which judges {', '.join(names)} here")
    return lines
