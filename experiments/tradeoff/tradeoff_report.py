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
    rows = [one for group in groups for one in group.rows]
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
    shown = [metric for metric in CURVES if metric in groups[0].base.scores]
    return [*written, draw(groups, shown, folder / "tradeoff.png")]


def _predictability(groups: Sequence[Group], times: np.ndarray) -> list[str]:
    names = "| row | codes used | entropy | unigram | bigram | LM bits/token | perplexity | LM bits/s | against base |"
    lines = [names, "| --- |" + " ---: |" * 8]
    for group in groups:
        chances = _p_values(group)
        for one in group.rows:
            tokens = float(one.tokens.sum())
            bits = interval(rate(one, times))
            against = interval(100 * (rate(one, times) / rate(group.base_of(one), times) - 1))
            per_token = float(one.bits.sum()) / tokens
            cells = [
                one.row.shown,
                f"{one.facts['codes_used']:,} of {one.facts['codebook_size']:,}",
                f"{one.facts['entropy_bits']:.2f}",
                f"{one.unigram_bits.sum() / tokens:.2f}",
                f"{one.bigram_bits.sum() / tokens:.2f}",
                f"{per_token:.2f}",
                f"{2**per_token:,.0f}",
                f"{bits.value:.0f} [{bits.low:.0f}, {bits.high:.0f}]",
                "" if one is group.base else signed(against, "%") + _star(chances.get(one.row.name)),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    told = (
        "[95% interval] over clips; against base: paired, with the baseline of the same experiment and, where there is "
        "one, of the same seed; *: differs from "
        "it, p < 0.05, sign-flip test on the clips' bits, Holm's adjustment. Clips alone are drawn anew: one run of "
        "the codec and of the language model a row."
    )
    return [*lines, "", told]


def _distortion(groups: Sequence[Group], times: np.ndarray) -> list[str]:
    metrics = [name for name in SHOWN if any(name in one.scores for group in groups for one in group.rows)]
    heads = [f"{name} {'↑' if name in HIGHER_IS_BETTER else '↓'}" for name in metrics]
    lines = ["| row | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(metrics)]
    for group in groups:
        for one in group.rows:
            cells = [one.row.shown, *(_score(one, group.base_of(one), name, times) for name in metrics)]
            lines.append("| " + " | ".join(cells) + " |")
    if CAPPED in metrics:
        lines += ["", f"wer: {UNCAPPED_NOTE}; {CAPPED}: the same clips and weights, as `wer_capped`."]
    return lines


def _score(one: MeasuredRow, base: MeasuredRow, name: str, times: np.ndarray) -> str:
    """A metric with its interval and, in brackets, the paired difference from the baseline; "" where it has none."""
    if name not in one.scores:
        return ""
    found = interval(mean(one, name, times))
    text = f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
    if one is not base and name in base.scores:
        text += f" ({signed(interval(paired(one, base, name, times)), digits=3)})"
    return text


def _salmon(rows: Sequence[MeasuredRow]) -> list[str]:
    told = [one for one in rows if one.salmon]
    if not told:
        return []
    parts = list(dict.fromkeys(part for one in told for part in one.salmon))
    heads = [part.replace("_consistency", "") for part in parts]
    lines = ["| row | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(parts)]
    for one in told:
        cells = [_accuracy(one.salmon.get(part, {})) for part in parts]
        lines.append("| " + " | ".join((one.row.shown, *cells)) + " |")
    return lines


def _cost(rows: Sequence[MeasuredRow]) -> list[str]:
    stages = list(dict.fromkeys(stage for one in rows for stage in one.seconds_spent))
    lines = ["| row | " + " | ".join(f"{stage} s" for stage in stages) + " |", "| --- |" + " ---: |" * len(stages)]
    for one in rows:
        cells = [f"{one.seconds_spent[stage]:.0f}" if stage in one.seconds_spent else "" for stage in stages]
        lines.append("| " + " | ".join((one.row.shown, *cells)) + " |")
    return lines


def _document(groups: Sequence[Group], times: np.ndarray) -> dict[str, object]:
    """The tables' numbers for programs."""
    found: list[object] = []
    for group in groups:
        chances = _p_values(group)
        found += [_numbers(one, group, times) | {"p_value": chances.get(one.row.name)} for one in group.rows]
    return {"baseline": groups[0].base.row.name, "control": groups[0].control, "rows": _without_nan(found)}


def _numbers(one: MeasuredRow, group: Group, times: np.ndarray) -> dict[str, object]:
    base = group.base_of(one)
    against = interval(100 * (rate(one, times) / rate(base, times) - 1))
    return {
        "row": one.row.name,
        "title": one.row.title,
        "family": one.row.family,
        "strength": one.row.strength,
        "baseline": base.row.name,
        "facts": dict(one.facts),
        "n_clips": len(one.clip_ids),
        "tokens": int(one.tokens.sum()),
        "seconds_of_audio": float(one.seconds.sum()),
        "bits_per_s": vars(interval(rate(one, times))),
        "unigram_bits_per_s": vars(interval(rate(one, times, one.unigram_bits))),
        "bigram_bits_per_s": vars(interval(rate(one, times, one.bigram_bits))),
        "against_base_percent": vars(against),
        "under_control_percent": {
            name: _held(group.under_control(one, name, times)) for name in HELD if group.is_comparable(one, name)
        },
        "scores": {name: vars(interval(mean(one, name, times))) for name in one.scores},
        "differences_from_base": {
            name: vars(interval(paired(one, base, name, times)))
            for name in one.scores
            if one is not base and name in base.scores
        },
        "salmon": {part: dict(values) for part, values in one.salmon.items()},
        "seconds": dict(one.seconds_spent),
    }


def _held(found: np.ndarray) -> dict[str, object]:
    """A value with its interval, and the reason where there is none."""
    reason = outside(found)
    return vars(interval(found)) | ({} if reason is None else {"reason": reason})


def _p_values(group: Group) -> dict[str, float]:
    """Holm-adjusted p-values, by row, of a sign-flip test on the clips' differences in bits from what it is compared
    with."""
    others = [one for one in group.rows if one is not group.base]
    if not others:
        return {}
    found = sign_flip_p(np.stack([one.bits - group.base_of(one).bits for one in others], axis=1))
    return holm(dict(zip((one.row.name for one in others), found.tolist(), strict=True)))


def _accuracy(found: Mapping[str, float | None]) -> str:
    value, low, high = (found.get(name) for name in ("accuracy", "low", "high"))
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
