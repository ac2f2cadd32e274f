"""Tables and the picture of an experiment, as files that a README can show."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.harness.statistics import holm, sign_flip_p
from eval.reconstruction.metrics.capping import UNCAPPED_NOTE
from experiments.tradeoff.collect import (
    CAPPED,
    HIGHER_IS_BETTER,
    MeasuredRow,
    draws,
    interval,
    mean,
    outside,
    paired,
    rate,
)
from experiments.tradeoff.groups import Group, gathered
from experiments.tradeoff.held import HELD, held_tables
from experiments.tradeoff.interval_text import signed
from experiments.tradeoff.picture import draw
from experiments.tradeoff.short_table import CURVES, fill, summary
from experiments.tradeoff.tradeoff_rows import Experiment
from soundcodec_llmcodec.files import written_whole

SHOWN = ("mel", "stft", "pesq", "stoi", "f0corr", "wer", CAPPED, "speaker_sim")


def write_report(
    experiment: Experiment,
    out: Path,
    folder: Path,
    further: Sequence[tuple[Experiment, Path]] = (),
    text: Path | None = None,
) -> list[Path]:
    """Write `tradeoff.md`, `tradeoff.json` and `tradeoff.png` of the rows that are measured so far.

    Rows of `further` experiments, on the same clips, stand beside them, named with their label; each is held against
    the baseline and the control curve of its own experiment. `text` is a file that gets the short table,
    between its marks.
    """
    groups = gathered(experiment, out, further)
    rows = [result for group in groups for result in group.rows]
    if text is not None:
        fill(text, summary(groups))
    folder.mkdir(parents=True, exist_ok=True)
    times = draws(len(rows[0].clip_ids))
    written = [folder / "tradeoff.md", folder / "tradeoff.json"]
    parts = [_predictability(groups, times), held_tables(groups, times), _distortion(groups, times)]
    parts += [_salmon(rows), _cost(rows)]
    tables = "\n\n".join("\n".join(part) for part in parts if part) + "\n"
    contents = json.dumps(_document(groups, times), indent=1) + "\n"
    for path, content in zip(written, (tables, contents), strict=True):
        with written_whole(path) as partial:
            partial.write_text(content, encoding="utf-8")
    metrics = [metric for metric in CURVES if metric in groups[0].base.scores]
    return [*written, draw(groups, metrics, folder / "tradeoff.png")]


def _predictability(groups: Sequence[Group], times: np.ndarray) -> list[str]:
    names = "| row | codes used | entropy | unigram | bigram | LM bits/token | perplexity | LM bits/s | against base |"
    lines = [names, "| --- |" + " ---: |" * 8]
    for group in groups:
        chances = _p_values(group)
        for result in group.rows:
            tokens = float(result.tokens.sum())
            bits = interval(rate(result, times))
            against = interval(100 * (rate(result, times) / rate(group.base_of(result), times) - 1))
            per_token = float(result.bits.sum()) / tokens
            cells = [
                result.row.shown,
                f"{result.facts['codes_used']:,} of {result.facts['codebook_size']:,}",
                f"{result.facts['entropy_bits']:.2f}",
                f"{result.unigram_bits.sum() / tokens:.2f}",
                f"{result.bigram_bits.sum() / tokens:.2f}",
                f"{per_token:.2f}",
                f"{2**per_token:,.0f}",
                f"{bits.value:.0f} [{bits.low:.0f}, {bits.high:.0f}]",
                "" if result is group.base else signed(against, "%") + _star(chances.get(result.row.name)),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    note = (
        "[95% interval] over clips; against base: paired, with the baseline of the same experiment and, where there is "
        "one, of the same seed; *: differs from "
        "it, p < 0.05, sign-flip test on the clips' bits, Holm's adjustment. Clips alone are drawn anew: one run of "
        "the codec and of the language model a row."
    )
    return [*lines, "", note]


def _distortion(groups: Sequence[Group], times: np.ndarray) -> list[str]:
    metrics = [name for name in SHOWN if any(name in result.scores for group in groups for result in group.rows)]
    heads = [f"{name} {'↑' if name in HIGHER_IS_BETTER else '↓'}" for name in metrics]
    lines = ["| row | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(metrics)]
    for group in groups:
        for result in group.rows:
            cells = [result.row.shown, *(_score(result, group.base_of(result), name, times) for name in metrics)]
            lines.append("| " + " | ".join(cells) + " |")
    if CAPPED in metrics:
        lines += ["", f"wer: {UNCAPPED_NOTE}; {CAPPED}: the same clips and weights, as `wer_capped`."]
    return lines


def _score(result: MeasuredRow, base: MeasuredRow, name: str, times: np.ndarray) -> str:
    """A metric with its interval and, in brackets, the paired difference from the baseline; "" where it has none."""
    if name not in result.scores:
        return ""
    estimate = interval(mean(result, name, times))
    text = f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
    if result is not base and name in base.scores:
        text += f" ({signed(interval(paired(result, base, name, times)), digits=3)})"
    return text


def _salmon(rows: Sequence[MeasuredRow]) -> list[str]:
    scored = [result for result in rows if result.salmon]
    if not scored:
        return []
    parts = list(dict.fromkeys(part for result in scored for part in result.salmon))
    heads = [part.replace("_consistency", "") for part in parts]
    lines = ["| row | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(parts)]
    for result in scored:
        cells = [_accuracy(result.salmon.get(part, {})) for part in parts]
        lines.append("| " + " | ".join((result.row.shown, *cells)) + " |")
    return lines


def _cost(rows: Sequence[MeasuredRow]) -> list[str]:
    stages = list(dict.fromkeys(stage for result in rows for stage in result.seconds_spent))
    lines = ["| row | " + " | ".join(f"{stage} s" for stage in stages) + " |", "| --- |" + " ---: |" * len(stages)]
    for result in rows:
        cells = [f"{result.seconds_spent[stage]:.0f}" if stage in result.seconds_spent else "" for stage in stages]
        lines.append("| " + " | ".join((result.row.shown, *cells)) + " |")
    return lines


def _document(groups: Sequence[Group], times: np.ndarray) -> dict[str, object]:
    """The tables' numbers for programs."""
    numbers: list[object] = []
    for group in groups:
        chances = _p_values(group)
        numbers += [_numbers(result, group, times) | {"p_value": chances.get(result.row.name)} for result in group.rows]
    return {"baseline": groups[0].base.row.name, "control": groups[0].control, "rows": _without_nan(numbers)}


def _numbers(result: MeasuredRow, group: Group, times: np.ndarray) -> dict[str, object]:
    base = group.base_of(result)
    against = interval(100 * (rate(result, times) / rate(base, times) - 1))
    return {
        "row": result.row.name,
        "title": result.row.title,
        "family": result.row.family,
        "strength": result.row.strength,
        "baseline": base.row.name,
        "facts": dict(result.facts),
        "n_clips": len(result.clip_ids),
        "tokens": int(result.tokens.sum()),
        "seconds_of_audio": float(result.seconds.sum()),
        "bits_per_s": vars(interval(rate(result, times))),
        "unigram_bits_per_s": vars(interval(rate(result, times, result.unigram_bits))),
        "bigram_bits_per_s": vars(interval(rate(result, times, result.bigram_bits))),
        "against_base_percent": vars(against),
        "under_control_percent": {
            name: _held(group.under_control(result, name, times)) for name in HELD if group.is_comparable(result, name)
        },
        "scores": {name: vars(interval(mean(result, name, times))) for name in result.scores},
        "differences_from_base": {
            name: vars(interval(paired(result, base, name, times)))
            for name in result.scores
            if result is not base and name in base.scores
        },
        "salmon": {part: dict(values) for part, values in result.salmon.items()},
        "seconds": dict(result.seconds_spent),
    }


def _held(shares: np.ndarray) -> dict[str, object]:
    """A value with its interval, and the reason where there is none."""
    reason = outside(shares)
    return vars(interval(shares)) | ({} if reason is None else {"reason": reason})


def _p_values(group: Group) -> dict[str, float]:
    """Holm-adjusted p-values, by row, of a sign-flip test on the clips' differences in bits from what it is compared
    with."""
    others = [result for result in group.rows if result is not group.base]
    if not others:
        return {}
    chances = sign_flip_p(np.stack([result.bits - group.base_of(result).bits for result in others], axis=1))
    return holm(dict(zip((result.row.name for result in others), chances.tolist(), strict=True)))


def _accuracy(accuracy: Mapping[str, float | None]) -> str:
    value, low, high = (accuracy.get(name) for name in ("accuracy", "low", "high"))
    if value is None or low is None or high is None:
        return "–"
    return f"{100 * value:.1f} [{100 * low:.0f}, {100 * high:.0f}]"


def _star(p_value: float | None) -> str:
    return " *" if p_value is not None and p_value < 0.05 else ""


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
