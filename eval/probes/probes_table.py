"""The accuracies as Markdown tables: representations by rows and tasks by columns, and what the tasks are."""

from __future__ import annotations

import pandas as pd

from eval.harness import reporting
from eval.harness.statistics import RESAMPLES
from eval.probes.probe_folds import INNER_FOLDS
from eval.probes.probe_scores import LEAST_GROUPS, MAJORITY, ProbeScore, difference, resampled_units
from eval.probes.probes_run import ProbedTask, ProbesHow, ProbesRun

CHANCE = "chance"
_DIFFERENCES = "### Differences from the first representation"
_POOLED = {"mean": "their mean over frames", "mean-std": "their mean and standard deviation over frames"}


def mark(run: ProbesRun, how: ProbesHow) -> str | None:
    """What a title says when its numbers must not be quoted."""
    return reporting.mark(any(probed.clips.corpus.synthetic for probed in run.tasks), how.limit)


def title(run: ProbesRun, how: ProbesHow) -> str:
    """The table's title, with the mark of numbers that are not for reporting."""
    note = mark(run, how)
    tasks = ", ".join(probed.clips.task.name for probed in run.tasks)
    return f"Linear probes: {tasks}" + (f" -- {note}" if note else "")


def markdown(run: ProbesRun, how: ProbesHow) -> str:
    """The accuracies, the tasks, and what the columns mean."""
    parts = [
        f"## {title(run, how)}",
        _as_markdown(frame(run), 1),
        *([] if len(run.features) < 2 else [_DIFFERENCES, _as_markdown(differences(run), 1)]),
        "### The tasks",
        _as_markdown(tasks(run), 4),
        "\n".join(f"- {line}" for line in [*warnings(run), *legend(how)]),
    ]
    return "\n\n".join(parts)


def frame(run: ProbesRun) -> pd.DataFrame:
    """Accuracies in per cent, with their intervals: chance and the majority class first."""
    rows = [
        {"representation": CHANCE, "features": "", "Hz": ""},
        {"representation": MAJORITY, "features": "", "Hz": ""},
    ]
    for features in run.features:
        each = features.representation
        rows.append({"representation": each.name, "features": f"{each.dimensions:,}", "Hz": f"{each.frame_rate:g}"})
    for probed in run.tasks:
        cells = {score.representation: _cell(score) for score in probed.scores}
        cells[CHANCE] = f"{100 * chance(probed):.1f}"
        for row in rows:
            row[f"{probed.clips.task.name} % ↑"] = cells[row["representation"]]
    return pd.DataFrame(rows)


def differences(run: ProbesRun) -> pd.DataFrame:
    """How much more each representation has right than the first, in percentage points, on the same clips and folds."""
    first, *others = [features.representation.name for features in run.features]
    rows: list[dict[str, str]] = [{"representation": name} for name in others]
    for probed in run.tasks:
        predicted = {score.representation: score.predicted for score in probed.scores}
        for row in rows:
            own, baseline = predicted[row["representation"]], predicted[first]
            cell = "-"
            if own is not None and baseline is not None:
                more = difference(own, baseline, probed.labels, probed.groups)
                cell = f"{100 * more.value:+.1f} [{100 * more.low:+.1f}, {100 * more.high:+.1f}]"
            row[f"{probed.clips.task.name} %"] = cell
    return pd.DataFrame(rows)


def tasks(run: ProbesRun) -> pd.DataFrame:
    """A row for each task: its data, classes, groups and folds."""
    rows = []
    for probed in run.tasks:
        task, groups = probed.clips.task, probed.groups
        rows.append(
            {
                "task": task.name,
                "data": probed.clips.corpus.label,
                "class": str(task.label).replace("|", "\\|"),
                "held out": str(task.group).replace("|", "\\|") if task.group else "clips",
                "clips": f"{len(probed.clips.clips):,}",
                "classes": f"{len(probed.clips.sizes):,}",
                "groups": "-" if groups is None else f"{len(set(groups.tolist())):,}",
                "folds": str(task.folds),
                "interval over": resampled_units(groups),
            }
        )
    return pd.DataFrame(rows)


def chance(probed: ProbedTask) -> float:
    """The accuracy of guessing each class as often as any other."""
    return 1 / max(1, len(probed.clips.sizes))


def warnings(run: ProbesRun) -> list[str]:
    """What was left out, and why."""
    lines = [f"{each.name}: left out: {each.reason}" for each in run.unloaded]
    for probed in run.tasks:
        name, chosen = probed.clips.task.name, probed.clips
        reasons = dict.fromkeys(score.reason for score in probed.scores if score.reason)
        lines += [f"{name}: no accuracy: {reason}" for reason in reasons]
        if probed.failures:
            clip_id, reason = next(iter(probed.failures.items()))
            lines.append(f"{name}: {len(probed.failures)} clips failed; {clip_id}: {reason}")
        if chosen.unlabelled:
            lines.append(f"{name}: {chosen.unlabelled} clips without a class or a group left out")
        if chosen.small_classes:
            lines.append(f"{name}: {chosen.small_classes} classes below min_clips={chosen.task.min_clips} left out")
    return lines


def legend(how: ProbesHow) -> list[str]:
    """What the numbers mean."""
    return [
        f"accuracy out of fold, of logistic regression on a clip's vectors by {_POOLED[how.pooling]}; scale and "
        f"penalty ({INNER_FOLDS} inner folds) are those of the training clips; folds by seed {how.seed}",
        "held out: no value of it is both learnt from and measured on",
        f"[95% interval]: {RESAMPLES} resamples of the clips, or of the groups where there are {LEAST_GROUPS} or more; "
        "it does not hold the choice of folds",
        f"{MAJORITY}: its share of the clips; {CHANCE}: 1 / classes",
    ]


def _cell(score: ProbeScore) -> str:
    value = score.accuracy
    if value is None:
        return "-"
    return f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def _as_markdown(table: pd.DataFrame, n_text: int) -> str:
    alignment = ["left"] * n_text + ["right"] * (table.shape[1] - n_text)
    return table.to_markdown(index=False, disable_numparse=True, colalign=alignment)
