"""The leaderboard: one table a split and one overall, as pandas frames and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from eval.aggregate import MAX_FAILED_SHARE, RESAMPLES, Column, Summary, column
from eval.metrics import Metric
from eval.records import ClipResult, ModelRun, Run, SplitRun

OVERALL = "Overall"
NOT_FOR_REPORTING = "NOT FOR REPORTING"
SHORT_HASH = 8
ALPHA = 0.05
# Beyond so many sources a table of them says nothing (they are speakers, or single recordings).
MOST_SOURCES = 50


@dataclass(frozen=True)
class SplitTable:
    """One split's columns by metric, the same by source, and the table made of them."""

    split: str
    n_clips: int
    columns: dict[str, Column]
    sources: dict[str, dict[str, Column]]  # source -> metric -> Column
    frame: pd.DataFrame
    reasons: tuple[str, ...]


def tables(run: Run, baseline: str | None) -> list[SplitTable]:
    """A table for each split, and one over all clips where there is more than one split."""
    splits = list(run.models[0].splits)
    made = [_table(split, run, [one.splits[split] for one in run.models], baseline) for split in splits]
    if len(splits) > 1 and OVERALL not in splits:
        made.append(_table(OVERALL, run, [one.overall for one in run.models], baseline))
    return made


def default_baseline(models: Sequence[ModelRun]) -> str | None:
    """The first codec that is no upper bound; None where there is nothing to compare."""
    codecs = [model.info.name for model in models if model.info.kind != "bound"]
    return codecs[0] if codecs and len(models) > 1 else None


def markdown(table: SplitTable, label: str, mark: str | None) -> str:
    """A table under its title, which names the data set and carries the mark; reasons for missing values below it."""
    title = f"{table.split}: {label}, {table.n_clips} clips"
    if mark:
        title = f"{title} -- {mark}"
    return "\n".join([f"## {title}", "", _as_markdown(table.frame, 2), *(f"- {reason}" for reason in table.reasons)])


def sources_markdown(table: SplitTable, models: Sequence[ModelRun], metrics: Sequence[Metric]) -> str:
    """A split's means by source: a row for each source and model."""
    if not table.sources:
        return f"### {table.split} by source\n\n- left out: there are more than {MOST_SOURCES} sources"
    rows = []
    for source, columns in table.sources.items():
        for model in models:
            row = {"source": source, "model": model.info.name}
            cells = {metric: columns[metric.name].summaries[model.info.name] for metric in metrics}
            row["n"] = str(max(summary.n for summary in cells.values()))
            row |= {f"{metric.name} {metric.arrow}": _cell(summary, summary.n) for metric, summary in cells.items()}
            rows.append(row)
    return "\n".join([f"### {table.split} by source", "", _as_markdown(pd.DataFrame(rows), 2)])


def mark(synthetic: bool, limit: int | None) -> str | None:
    """What a title says when its numbers must not be quoted."""
    if limit is not None:
        return f"{NOT_FOR_REPORTING} (--limit {limit})"
    return f"{NOT_FOR_REPORTING} (synthetic clips)" if synthetic else None


def legend(metrics: Sequence[Metric], baseline: str | None) -> str:
    """What the columns mean."""
    arrows = ", ".join(f"{metric.name} {metric.arrow} [{metric.unit}]" for metric in metrics)
    lines = [
        f"- {arrows}: means over the clips on which every model has a value, ± half of the 95% bootstrap interval "
        f"({RESAMPLES} resamples of the clips)",
        "- kbit/s and tokens/s follow from the codec's configuration; ~ is counted from what was coded; codes: "
        "different ones used / in the codebook; bits: entropy of a code here",
        "- failed: clips without a reconstruction; enc, dec: seconds of work per second of audio here; MiB: the most "
        "memory that a batch took beyond the loaded model",
        f"- refused: no mean, because more than {MAX_FAILED_SHARE:.0%} of the model's clips have no value of this "
        "metric (or no clip has one from every model)",
    ]
    if baseline is not None:
        lines.append(
            f"- *: differs from {baseline} on the same clips, p < {ALPHA} (sign-flip test, Holm's adjustment for the "
            "models of the column)"
        )
    return "\n".join(lines)


def _as_markdown(frame: pd.DataFrame, n_text: int) -> str:
    alignment = ["left"] * n_text + ["right"] * (frame.shape[1] - n_text)
    return frame.to_markdown(index=False, disable_numparse=True, colalign=alignment)


def _table(split: str, run: Run, runs: list[SplitRun], baseline: str | None) -> SplitTable:
    names = [model.info.name for model in run.models]
    clips = {name: split_run.clips for name, split_run in zip(names, runs, strict=True)}
    columns = _columns(clips, run.metrics, baseline)
    n_clips = len(runs[0].clips)
    rows = []
    for model, split_run in zip(run.models, runs, strict=True):
        row = _codec_columns(model, split_run)
        for metric in run.metrics:
            row[f"{metric.name} {metric.arrow}"] = _compared_cell(columns[metric.name], model.info.name, n_clips)
        rows.append(row | _cost_columns(split_run))
    # Over all splits they would only repeat what stands below each.
    told = zip(names, runs, strict=True) if split != OVERALL else ()
    reasons = tuple(reason for name, split_run in told for reason in _reasons(name, split_run))
    return SplitTable(split, n_clips, columns, _by_source(clips, run.metrics, baseline), pd.DataFrame(rows), reasons)


def _columns(clips: dict[str, list[ClipResult]], metrics: Sequence[Metric], baseline: str | None) -> dict[str, Column]:
    by_metric = {}
    for metric in metrics:
        scores = {
            name: {f"{clip.split}/{clip.clip_id}": clip.scores[metric.name] for clip in results}
            for name, results in clips.items()
        }
        by_metric[metric.name] = column(scores, baseline)
    return by_metric


def _by_source(
    clips: dict[str, list[ClipResult]], metrics: Sequence[Metric], baseline: str | None
) -> dict[str, dict[str, Column]]:
    parts: dict[str, dict[str, list[ClipResult]]] = {}
    for name, results in clips.items():
        for clip in results:
            parts.setdefault(clip.source, {each: [] for each in clips})[name].append(clip)
    if len(parts) > MOST_SOURCES:
        return {}
    return {source: _columns(parts[source], metrics, baseline) for source in sorted(parts)}


def _codec_columns(model: ModelRun, split_run: SplitRun) -> dict[str, str]:
    info = model.info
    short = f"{info.checkpoint} {info.checkpoint_hash[:SHORT_HASH]}" if info.checkpoint_hash else info.checkpoint
    counted = split_run.counted_bps
    rate = "-" if counted is None else f"~{counted / 1000:.3f}"
    row = {
        "model": info.name,
        "checkpoint": short,
        "kbit/s": rate if info.bitrate_bps is None else f"{info.bitrate_bps / 1000:.3f}",
        "tokens/s": "-" if info.token_rate is None else f"{info.token_rate:g}",
        "codes": "-",
        "bits": "-",
    }
    if info.codebook_size is not None:
        total = info.codebook_size * (info.num_quantizers or 1)
        entropy = split_run.usage.entropy_bits(info.codebook_size)
        row["codes"] = f"{len(split_run.usage.codes)}/{total}"
        row["bits"] = "-" if entropy is None else f"{entropy:.2f}"
    return row | {"n": str(len(split_run.clips)), "failed": str(len(split_run.failures))}


def _cost_columns(split_run: SplitRun) -> dict[str, str]:
    usage = split_run.usage
    return {
        "enc": "-" if split_run.encode_rtf is None else f"{split_run.encode_rtf:.3f}",
        "dec": "-" if split_run.decode_rtf is None else f"{split_run.decode_rtf:.3f}",
        "MiB": "-" if usage.peak_mib is None else f"{usage.peak_mib:.0f}",
    }


def _compared_cell(of_metric: Column, model: str, n_clips: int) -> str:
    text = _cell(of_metric.summaries[model], n_clips)
    compared = of_metric.comparisons.get(model)
    return f"{text}*" if compared is not None and compared.p_adjusted < ALPHA else text


def _cell(summary: Summary, n_clips: int) -> str:
    if summary.mean is None:
        return "refused"
    text = f"{summary.mean:.3f}"
    if summary.low is not None and summary.high is not None:
        text += f" ±{(summary.high - summary.low) / 2:.3f}"
    return text if summary.n == n_clips else f"{text} (n={summary.n})"


def _reasons(model: str, split_run: SplitRun) -> list[str]:
    """One line for each way in which values are missing, with the clips."""
    missing: dict[str, list[str]] = {}
    for clip in split_run.clips:
        for why in _why(clip):
            missing.setdefault(why, []).append(clip.clip_id)
    lines = []
    for why, clip_ids in missing.items():
        shown = ", ".join(clip_ids[:5]) + (", ..." if len(clip_ids) > 5 else "")
        lines.append(f"{model}: {why} ({len(clip_ids)} of {len(split_run.clips)} clips: {shown})")
    return lines


def _why(clip: ClipResult) -> list[str]:
    if clip.failure is not None:
        return [f"no reconstruction: {clip.failure}"]
    by_reason = Counter((score.reason, name) for name, score in clip.scores.items() if score.reason is not None)
    return [f"no {name}: {reason}" for reason, name in by_reason]
