"""A run as a table: models by rows, the parts and their average by columns, as a pandas frame and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from eval.harness.leading import ALPHA
from eval.harness.reporting import SHORT_HASH
from eval.harness.statistics import MAX_FAILED_SHARE, RESAMPLES
from eval.salmon import accuracy
from eval.salmon.accuracy import Accuracy, AccuracyColumn
from eval.salmon.pair_scores import PER_TOKEN, SUMMED, SalmonModelRun, SalmonRun
from eval.salmon.salmon_parts import PARTS, in_order

__all__ = [
    "AVERAGE",
    "HOW",
    "Table",
    "default_baseline",
    "legend",
    "markdown",
    "pairs_per_s",
    "tables",
    "title",
]

AVERAGE = "average"
AVERAGE_TITLE = "Average"
BY_CHANCE, BY_BASELINE = "*", "†"
HOW = {PER_TOKEN: "log-likelihood a token", SUMMED: "log-likelihood summed over the tokens"}
_SHOWN_IDS = 5


@dataclass(frozen=True)
class Table:
    """The table for one normalization. `pairs` counts those of each part; `columns` is by part, and AVERAGE where
    there is more than one part; `reasons` say why values are missing."""

    normalize: str
    pairs: dict[str, int]
    columns: dict[str, AccuracyColumn]
    frame: pd.DataFrame
    reasons: tuple[str, ...]
    baseline: str | None


def tables(run: SalmonRun, normalize: str, baseline: str | None) -> Table:
    """The table of a run. Raises ValueError for a baseline that is none of the models."""
    names = [model.info.name for model in run.models]
    if baseline is not None and baseline not in names:
        raise ValueError(f"the baseline {baseline!r} is none of the models: {', '.join(names)}")
    parts = in_order(run.parts)
    points = {
        part: {
            model.info.name: {score.pair_id: score.point(normalize) for score in model.scores[part]}
            for model in run.models
        }
        for part in parts
    }
    columns = accuracy.columns(points, baseline)
    if len(parts) > 1:
        columns[AVERAGE] = accuracy.average(points, columns, baseline)
    pairs = {part: max(len(by_id) for by_id in points[part].values()) for part in parts}
    rows = [_row(model, columns, pairs) for model in run.models]
    reasons = [reason for model in run.models for reason in _reasons(model, parts)]
    reasons += [f"{model.name}: not loaded: {model.reason}" for model in run.unloaded]
    return Table(normalize, pairs, columns, pd.DataFrame(rows), (*reasons, *_refusals(columns)), baseline)


def default_baseline(models: Sequence[SalmonModelRun]) -> str | None:
    """The first model; None where there is nothing to compare it with."""
    return models[0].info.name if len(models) > 1 else None


def markdown(table: Table, label: str, mark: str | None) -> str:
    """The table under a title that names the suite and carries the mark; numbers of pairs and reasons below it."""
    marked = f" -- {mark}" if mark else ""
    counts = set(table.pairs.values())
    each = ", ".join(f"{title(part)} {n}" for part, n in table.pairs.items())
    n_pairs = f"{counts.pop()} pairs a part" if len(counts) == 1 else f"pairs: {each}"
    lines = [f"## SALMon: {label}, {n_pairs}, {HOW[table.normalize]}{marked}", "", _as_markdown(table.frame)]
    return "\n".join([*lines, *(f"- {reason}" for reason in table.reasons)])


def legend(table: Table) -> str:
    """What the columns mean."""
    lines = [
        f"- accuracy in %: the share of pairs whose coherent recording has the larger {HOW[table.normalize]}, a tie "
        "counting as half; [95% interval by Wilson]; over the pairs on which every model has a score; chance is 50",
        "- Average: the mean of the parts, each counting once",
        "- ties, failed: pairs with equal scores, and pairs without; pairs/s: coding and scoring on this machine",
        f"- {BY_CHANCE}: differs from chance, p < {ALPHA} (exact binomial test, ties split; Average: sign-flip test; "
        "Holm's adjustment for the models of the column)",
        f"- refused: no accuracy, because more than {MAX_FAILED_SHARE:.0%} of the pairs have no score",
    ]
    if table.baseline is not None:
        lines.append(
            f"- {BY_BASELINE}: differs from {table.baseline} on the same pairs, p < {ALPHA} (McNemar's exact test; "
            f"Average: sign-flip test; Holm's adjustment; intervals of differences: {RESAMPLES} resamples of the pairs)"
        )
    return "\n".join(lines)


def title(part: str) -> str:
    """A column's name in tables: SALMon's short one, or the part's own."""
    if part == AVERAGE:
        return AVERAGE_TITLE
    return PARTS[part].title if part in PARTS else part


def pairs_per_s(model: SalmonModelRun) -> float | None:
    """Pairs coded and scored a second, of those that were timed."""
    seconds = model.encode_s + model.score_s
    return model.timed_pairs / seconds if seconds > 0 and model.timed_pairs else None


def _row(model: SalmonModelRun, columns: Mapping[str, AccuracyColumn], pairs: Mapping[str, int]) -> dict[str, str]:
    info = model.info
    scores = [score for part in pairs for score in model.scores[part]]
    speed = pairs_per_s(model)
    accuracies = {part: column.accuracies[info.name] for part, column in columns.items() if part != AVERAGE}
    row = {
        "model": info.name,
        "codec": f"{info.codec} {info.codec_hash[:SHORT_HASH]}",
        "LM": f"{info.lm} {info.lm_identity[:SHORT_HASH]}",
        "prefix": info.lm_prefix,
        "tokens/s": f"{info.token_rate:g}",
        "kbit/s": f"{info.bitrate_bps / 1000:.3f}",
    }
    for part, column in columns.items():
        compared = column.comparisons.get(info.name)
        differs = compared is not None and compared.p_adjusted < ALPHA
        row[title(part)] = _cell(column.accuracies[info.name], pairs.get(part), differs)
    row["ties"] = str(sum(accuracy.ties or 0 for accuracy in accuracies.values()))
    row["failed"] = str(sum(score.failure is not None for score in scores))
    row["pairs/s"] = "-" if speed is None else f"{speed:.2f}"
    return row


def _cell(accuracy: Accuracy, n_pairs: int | None, differs: bool) -> str:
    if accuracy.accuracy is None or accuracy.low is None or accuracy.high is None:
        return "refused"
    text = f"{100 * accuracy.accuracy:.1f} [{100 * accuracy.low:.0f}, {100 * accuracy.high:.0f}]"
    text += BY_CHANCE if accuracy.p_adjusted is not None and accuracy.p_adjusted < ALPHA else ""
    text += BY_BASELINE if differs else ""
    return text if n_pairs in (None, accuracy.n) else f"{text} (n={accuracy.n})"


def _reasons(model: SalmonModelRun, parts: Sequence[str]) -> list[str]:
    """One line for each way in which scores are missing, with the pairs."""
    lines = []
    for part in parts:
        missing: dict[str, list[str]] = {}
        for score in model.scores[part]:
            if score.failure is not None:
                missing.setdefault(score.failure, []).append(score.pair_id)
        for why, ids in missing.items():
            listed = ", ".join(ids[:_SHOWN_IDS]) + (", ..." if len(ids) > _SHOWN_IDS else "")
            lines.append(f"{model.info.name}, {title(part)}: {why} ({len(ids)} pairs: {listed})")
    return lines


def _refusals(columns: Mapping[str, AccuracyColumn]) -> list[str]:
    return [
        f"{model}, {title(part)}: refused: {accuracy.refused}"
        for part, column in columns.items()
        for model, accuracy in column.accuracies.items()
        if accuracy.refused and part != AVERAGE
    ]


def _as_markdown(frame: pd.DataFrame) -> str:
    n_text = 4
    alignment = ["left"] * n_text + ["right"] * (frame.shape[1] - n_text)
    return frame.to_markdown(index=False, disable_numparse=True, colalign=alignment)
