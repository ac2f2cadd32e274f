"""The leaderboard: one table a split and one overall, as pandas frames and as Markdown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from eval.aggregate import MAX_FAILED_SHARE, RESAMPLES, Summary, summarize
from eval.metrics import Metric
from eval.runner import ClipResult, ModelRun, Run, SplitRun

OVERALL = "Overall"
NOT_FOR_REPORTING = "NOT FOR REPORTING"
SHORT_HASH = 8


@dataclass(frozen=True)
class SplitTable:
    """One split's summaries, metric -> model -> Summary, and the table made of them."""

    split: str
    n_clips: int
    summaries: dict[str, dict[str, Summary]]
    frame: pd.DataFrame
    reasons: tuple[str, ...]


def tables(run: Run) -> list[SplitTable]:
    """A table for each split, and one over all clips where there is more than one split."""
    splits = list(run.models[0].splits)
    made = [_table(split, run.models, [one.splits[split] for one in run.models], run.metrics) for split in splits]
    if len(splits) > 1:
        made.append(_table(OVERALL, run.models, [one.overall for one in run.models], run.metrics))
    return made


def markdown(table: SplitTable, label: str, mark: str | None) -> str:
    """A table under its title, which names the data set and carries the mark; reasons for missing values below it."""
    title = f"{table.split}: {label}, {table.n_clips} clips"
    if mark:
        title = f"{title} -- {mark}"
    alignment = ["left", "left"] + ["right"] * (table.frame.shape[1] - 2)
    text = table.frame.to_markdown(index=False, disable_numparse=True, colalign=alignment)
    return "\n".join([f"## {title}", "", text, *(f"- {reason}" for reason in table.reasons)])


def mark(synthetic: bool, limit: int | None) -> str | None:
    """What a title says when its numbers must not be quoted."""
    if limit is not None:
        return f"{NOT_FOR_REPORTING} (--limit {limit})"
    return f"{NOT_FOR_REPORTING} (synthetic clips)" if synthetic else None


def legend(metrics: tuple[Metric, ...]) -> str:
    """What the columns mean."""
    arrows = ", ".join(f"{metric.name} {metric.arrow} [{metric.unit}]" for metric in metrics)
    return "\n".join(
        (
            f"- {arrows}: means over the clips on which every model has a value, ± half of the 95% bootstrap interval "
            f"({RESAMPLES} resamples of the clips)",
            "- kbit/s and tokens/s follow from the codec's configuration; codes: different ones used / in the codebook",
            "- failed: clips without a reconstruction; RTF: seconds of encoding and decoding per second of audio here",
            f"- refused: no mean, because more than {MAX_FAILED_SHARE:.0%} of the model's clips have no value of this "
            "metric (or no clip has one from every model)",
        )
    )


def _table(split: str, models: list[ModelRun], runs: list[SplitRun], metrics: tuple[Metric, ...]) -> SplitTable:
    names = [model.info.name for model in models]
    summaries = {
        metric.name: summarize(
            {
                name: {f"{clip.split}/{clip.clip_id}": clip.scores[metric.name] for clip in split_run.clips}
                for name, split_run in zip(names, runs, strict=True)
            }
        )
        for metric in metrics
    }
    n_clips = len(runs[0].clips)
    rows = []
    for model, split_run in zip(models, runs, strict=True):
        row = _codec_columns(model, split_run)
        for metric in metrics:
            row[f"{metric.name} {metric.arrow}"] = _cell(summaries[metric.name][model.info.name], n_clips)
        row["RTF"] = "-" if split_run.real_time_factor is None else f"{split_run.real_time_factor:.3f}"
        rows.append(row)
    # Over all splits they would only repeat what stands below each.
    told = zip(names, runs, strict=True) if split != OVERALL else ()
    reasons = tuple(reason for name, split_run in told for reason in _reasons(name, split_run))
    return SplitTable(split, n_clips, summaries, pd.DataFrame(rows), reasons)


def _codec_columns(model: ModelRun, split_run: SplitRun) -> dict[str, str]:
    info = model.info
    short = f"{info.checkpoint} {info.checkpoint_hash[:SHORT_HASH]}" if info.checkpoint_hash else info.checkpoint
    n_codes = None if info.codebook_size is None else info.codebook_size * (info.num_quantizers or 1)
    return {
        "model": info.name,
        "checkpoint": short,
        "kbit/s": "-" if info.bitrate_bps is None else f"{info.bitrate_bps / 1000:.3f}",
        "tokens/s": "-" if info.token_rate is None else f"{info.token_rate:g}",
        "codes": "-" if n_codes is None else f"{len(split_run.codes)}/{n_codes}",
        "n": str(len(split_run.clips)),
        "failed": str(len(split_run.failures)),
    }


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
