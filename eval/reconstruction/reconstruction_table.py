"""The leaderboard: one table a split and one overall, as pandas frames and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import tabulate  # noqa: F401  (what pandas writes Markdown with: it is missed before a run, not after)

from eval.harness.leading import ALPHA, leader
from eval.harness.reporting import SHORT_HASH
from eval.harness.statistics import MAX_FAILED_SHARE, RESAMPLES, MetricColumn, MetricSummary, column
from eval.reconstruction.clip_results import ClipResult, CodecRun, ReconstructionRun, SplitRun
from eval.reconstruction.metrics import Metric, Score
from eval.reconstruction.scoring import ORIGINALS

OVERALL = "Overall"
# Beyond so many sources a table of them says nothing (they are speakers, or single recordings).
MOST_SOURCES = 50


@dataclass(frozen=True)
class SplitTable:
    """One split's columns by metric, the same by source, and the table made of them.

    `leaders` is the codec of each metric that is better than every other by more than noise, upper bounds apart.
    """

    split: str
    n_clips: int
    columns: dict[str, MetricColumn]
    sources: dict[str, dict[str, MetricColumn]]  # source -> metric -> Column
    frame: pd.DataFrame
    reasons: tuple[str, ...]
    leaders: dict[str, str | None] = field(default_factory=dict)


def tables(run: ReconstructionRun, baseline: str | None) -> list[SplitTable]:
    """A table for each split, and one over all clips where there is more than one split."""
    splits = list(run.models[0].splits)
    if len(splits) > 1 and OVERALL not in splits:
        splits.append(OVERALL)
    return [_table(split, run, baseline) for split in splits]


def default_baseline(models: Sequence[CodecRun]) -> str | None:
    """The first codec that is no upper bound; None where there is nothing to compare."""
    codecs = [model.info.name for model in models if model.info.kind != "bound"]
    return codecs[0] if codecs and len(models) > 1 else None


def markdown(table: SplitTable, label: str, mark: str | None) -> str:
    """A table under its title, which names the data set and carries the mark; reasons for missing values below it."""
    title = f"{table.split}: {label}, {table.n_clips} clips"
    if mark:
        title = f"{title} -- {mark}"
    return "\n".join([f"## {title}", "", _as_markdown(table.frame, 2), *(f"- {reason}" for reason in table.reasons)])


def sources_markdown(table: SplitTable, models: Sequence[CodecRun], metrics: Sequence[Metric]) -> str:
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
        floors = [columns[metric.name].originals for metric in metrics]
        if any(floors):
            row = {"source": source, "model": ORIGINALS, "n": str(max(floor.n for floor in floors if floor))}
            for metric, floor in zip(metrics, floors, strict=True):
                row[f"{metric.name} {metric.arrow}"] = _cell(floor, floor.n) if floor else "-"
            rows.append(row)
    return "\n".join([f"### {table.split} by source", "", _as_markdown(pd.DataFrame(rows), 2)])


def kbps(model: CodecRun, split_run: SplitRun) -> str:
    """The bit rate in kbit/s as tables show it: the codec's, or with a ~ what was counted."""
    if model.info.bitrate_bps is not None:
        return f"{model.info.bitrate_bps / 1000:.3f}"
    counted = split_run.counted_bps
    return "-" if counted is None else f"~{counted / 1000:.3f}"


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
    lines += [f"- {note}" for note in judges_and_notes(metrics)]
    if any(metric.has_floor for metric in metrics):
        lines.append(
            f"- {ORIGINALS}: what the recogniser hears in the clips themselves against their text, on the same clips; "
            "no competitor, and in no comparison; the dwer of the originals is 0 by definition"
        )
    if baseline is not None:
        lines.append(
            f"- *: differs from {baseline} on the same clips, p < {ALPHA} (sign-flip test, Holm's adjustment for the "
            "models of the column)"
        )
    return "\n".join(lines)


def judges_and_notes(metrics: Sequence[Metric]) -> list[str]:
    """Whose judgements the metrics are, and what is said of their values beside that."""
    judges = [f"{names} by {judge}" for judge, names in _grouped(metrics, lambda metric: metric.judge)]
    lines = [f"judges: {'; '.join(judges)}"] if judges else []
    return lines + [f"{names}: {note}" for note, names in _grouped(metrics, lambda metric: metric.note)]


def _grouped(metrics: Sequence[Metric], of: Callable[[Metric], str | None]) -> list[tuple[str, str]]:
    """What is said of metrics, each once, with the names of those that it is said of."""
    names: dict[str, list[str]] = {}
    for metric in metrics:
        note = of(metric)
        if note:
            names.setdefault(note, []).append(metric.name)
    return [(note, ", ".join(metric_names)) for note, metric_names in names.items()]


def _as_markdown(frame: pd.DataFrame, n_text: int) -> str:
    alignment = ["left"] * n_text + ["right"] * (frame.shape[1] - n_text)
    return frame.to_markdown(index=False, disable_numparse=True, colalign=alignment)


def _table(split: str, run: ReconstructionRun, baseline: str | None) -> SplitTable:
    names = [model.info.name for model in run.models]
    runs = [model.part(split) for model in run.models]
    clips = {name: split_run.clips for name, split_run in zip(names, runs, strict=True)}
    originals = None if run.originals is None else run.originals.part(split).clips
    columns = _columns(clips, run.metrics, baseline, originals)
    n_clips = len(runs[0].clips)
    rows = []
    for model, split_run in zip(run.models, runs, strict=True):
        row = _codec_columns(model, split_run)
        for metric in run.metrics:
            row[f"{metric.name} {metric.arrow}"] = _compared_cell(columns[metric.name], model.info.name, n_clips)
        rows.append(row | _cost_columns(split_run))
    if originals is not None:
        rows.append(_originals_row(rows[0], columns, run.metrics, n_clips))
    # Over all splits they would only repeat what stands below each.
    by_model = zip(names, runs, strict=True) if split != OVERALL else ()
    reasons = tuple(reason for name, split_run in by_model for reason in _reasons(name, split_run))
    by_source = _by_source(clips, run.metrics, baseline, originals)
    leaders = _leaders(run, clips, columns)
    return SplitTable(split, n_clips, columns, by_source, pd.DataFrame(rows), reasons, leaders)


def _leaders(
    run: ReconstructionRun, clips: Mapping[str, list[ClipResult]], columns: Mapping[str, MetricColumn]
) -> dict[str, str | None]:
    codecs = [model.info.name for model in run.models if model.info.kind != "bound"]
    by_metric = {}
    for metric in run.metrics:
        scores = {name: _scores(results, metric.name) for name, results in clips.items()}
        by_metric[metric.name] = leader(scores, columns[metric.name], codecs, metric.direction)
    return by_metric


def _originals_row(
    like: dict[str, str], columns: Mapping[str, MetricColumn], metrics: Sequence[Metric], n_clips: int
) -> dict[str, str]:
    """The row of the clips themselves: values where a metric has a floor, and nothing else."""
    row = dict.fromkeys(like, "-") | {"model": ORIGINALS, "n": str(n_clips)}
    for metric in metrics:
        floor = columns[metric.name].originals
        if floor is not None:
            row[f"{metric.name} {metric.arrow}"] = _cell(floor, n_clips)
    return row


def _columns(
    clips: dict[str, list[ClipResult]],
    metrics: Sequence[Metric],
    baseline: str | None,
    originals: Sequence[ClipResult] | None,
) -> dict[str, MetricColumn]:
    by_metric = {}
    for metric in metrics:
        scores = {name: _scores(results, metric.name) for name, results in clips.items()}
        floor = _scores(originals, metric.name) if originals is not None and metric.has_floor else None
        by_metric[metric.name] = column(scores, baseline, floor)
    return by_metric


def _scores(results: Sequence[ClipResult], metric: str) -> dict[str, Score]:
    return {f"{clip.split}/{clip.clip_id}": clip.scores[metric] for clip in results}


def _by_source(
    clips: dict[str, list[ClipResult]],
    metrics: Sequence[Metric],
    baseline: str | None,
    originals: Sequence[ClipResult] | None,
) -> dict[str, dict[str, MetricColumn]]:
    parts: dict[str, dict[str, list[ClipResult]]] = {}
    for name, results in clips.items():
        for clip in results:
            parts.setdefault(clip.source, {each: [] for each in clips})[name].append(clip)
    if len(parts) > MOST_SOURCES:
        return {}
    columns = {}
    for source in sorted(parts):
        floor = None if originals is None else [clip for clip in originals if clip.source == source]
        columns[source] = _columns(parts[source], metrics, baseline, floor)
    return columns


def _codec_columns(model: CodecRun, split_run: SplitRun) -> dict[str, str]:
    info = model.info
    short = f"{info.checkpoint} {info.checkpoint_hash[:SHORT_HASH]}" if info.checkpoint_hash else info.checkpoint
    row = {
        "model": info.name,
        "checkpoint": short,
        "kbit/s": kbps(model, split_run),
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


def _compared_cell(of_metric: MetricColumn, model: str, n_clips: int) -> str:
    text = _cell(of_metric.summaries[model], n_clips)
    compared = of_metric.comparisons.get(model)
    return f"{text}*" if compared is not None and compared.p_adjusted < ALPHA else text


def _cell(summary: MetricSummary, n_clips: int) -> str:
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
        listed = ", ".join(clip_ids[:5]) + (", ..." if len(clip_ids) > 5 else "")
        lines.append(f"{model}: {why} ({len(clip_ids)} of {len(split_run.clips)} clips: {listed})")
    return lines


def _why(clip: ClipResult) -> list[str]:
    if clip.failure is not None:
        return [f"no reconstruction: {clip.failure}"]
    by_reason = Counter((score.reason, name) for name, score in clip.scores.items() if score.reason is not None)
    return [f"no {name}: {reason}" for reason, name in by_reason]
