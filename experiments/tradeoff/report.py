"""Tables and the picture of an experiment, as files that a README can show."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.aggregate import holm, sign_flip_p
from experiments.tradeoff.collect import (
    CAPPED,
    HIGHER_IS_BETTER,
    Interval,
    Measured,
    collected,
    draws,
    interval,
    mean,
    paired,
    rate,
    under_control,
)
from experiments.tradeoff.picture import draw
from experiments.tradeoff.rows import Experiment, ExperimentError
from soundcodec_llmcodec.files import written_whole

SHOWN = ("mel", "stft", "pesq", "stoi", "f0corr", "wer", CAPPED, "speaker_sim")
CURVES = ("mel", "pesq", "stoi")


def write_report(
    experiment: Experiment, out: Path, folder: Path, further: Sequence[tuple[Experiment, Path]] = ()
) -> list[Path]:
    """Write `tradeoff.md`, `tradeoff.json` and `tradeoff.png` of the rows that are measured so far.

    Rows of `further` experiments, on the same clips, stand beside them as a family of their own, named by their steps;
    they are not held against a control curve of fewer steps.
    """
    rows = collected(experiment, out)
    for other, place in further:
        rows += [_told_apart(other, one) for one in collected(other, place)]
    if len({one.clip_ids for one in rows}) > 1:
        raise ExperimentError("the experiments were measured on different clips")
    folder.mkdir(parents=True, exist_ok=True)
    times = draws(len(rows[0].clip_ids))
    written = [folder / "tradeoff.md", folder / "tradeoff.json"]
    text = "\n".join((*_predictability(rows, experiment, times), "", *_distortion(rows, experiment, times), "",
                      *_salmon(rows), "", *_cost(rows))) + "\n"  # fmt: skip
    contents = json.dumps(_document(rows, experiment, times), indent=1) + "\n"
    for path, content in zip(written, (text, contents), strict=True):
        with written_whole(path) as partial:
            partial.write_text(content, encoding="utf-8")
    shown = [metric for metric in CURVES if metric in rows[0].scores]
    return [*written, draw(rows, baseline(rows, experiment), experiment.control, shown, folder / "tradeoff.png")]


def _is_comparable(one: Measured, experiment: Experiment) -> bool:
    """Whether a row is to be held against the control curve: no control itself, and trained as long as they were."""
    return one.row.family != experiment.control and one.row.name in {row.name for row in experiment.rows}


def _told_apart(experiment: Experiment, one: Measured) -> Measured:
    steps = f"{int(experiment.training(one.row)['steps']):,} steps"
    return replace(one, row=replace(one.row, name=f"{one.row.name}, {steps}", family=steps))


def baseline(rows: Sequence[Measured], experiment: Experiment) -> Measured:
    """The row that others are compared with."""
    return next(one for one in rows if one.row.name == experiment.baseline)


def controls(rows: Sequence[Measured], experiment: Experiment) -> list[Measured]:
    """The rows of the control curve."""
    return [one for one in rows if one.row.family == experiment.control]


def _predictability(rows: Sequence[Measured], experiment: Experiment, times: np.ndarray) -> list[str]:
    base = baseline(rows, experiment)
    names = "| row | codes used | entropy | unigram | bigram | LM bits/token | perplexity | LM bits/s | against base |"
    lines = [f"{names} under control at equal mel |", "| --- |" + " ---: |" * 9]
    base_rate = rate(base, times)
    chances = _p_values(rows, base)
    for one in rows:
        tokens = float(one.tokens.sum())
        bits = interval(rate(one, times))
        against = interval(100 * (rate(one, times) / base_rate - 1))
        under = interval(under_control(one, controls(rows, experiment), "mel", times))
        per_token = float(one.bits.sum()) / tokens
        cells = [
            one.row.name,
            f"{one.facts['codes_used']:,} of {one.facts['codebook_size']:,}",
            f"{one.facts['entropy_bits']:.2f}",
            f"{one.unigram_bits.sum() / tokens:.2f}",
            f"{one.bigram_bits.sum() / tokens:.2f}",
            f"{per_token:.2f}",
            f"{2**per_token:,.0f}",
            f"{bits.value:.0f} [{bits.low:.0f}, {bits.high:.0f}]",
            "" if one is base else _signed(against, "%") + _star(chances.get(one.row.name)),
            _plain(under, "%") if _is_comparable(one, experiment) else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    told = (
        "[95% interval] over clips; against base: paired; *: differs from it, p < 0.05, sign-flip test on the clips' "
        "bits, Holm's adjustment. Clips alone are drawn anew: one run of the codec and of the language model a row."
    )
    return [*lines, "", told]


def _distortion(rows: Sequence[Measured], experiment: Experiment, times: np.ndarray) -> list[str]:
    base = baseline(rows, experiment)
    metrics = [name for name in SHOWN if any(name in one.scores for one in rows)]
    heads = [f"{name} {'↑' if name in HIGHER_IS_BETTER else '↓'}" for name in metrics]
    lines = ["| row | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(metrics)]
    for one in rows:
        cells = [one.row.name]
        for name in metrics:
            if name not in one.scores:
                cells.append("")
                continue
            found = interval(mean(one, name, times))
            text = f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
            if one is not base and name in base.scores:
                text += f" ({_signed(interval(paired(one, base, name, times)), digits=3)})"
            cells.append(text)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _salmon(rows: Sequence[Measured]) -> list[str]:
    told = [one for one in rows if one.salmon]
    if not told:
        return []
    parts = list(told[0].salmon)
    heads = [part.replace("_consistency", "") for part in parts]
    lines = ["| row | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(parts)]
    for one in told:
        found = [one.salmon[part] for part in parts]
        cells = [_accuracy(part) for part in found]
        lines.append("| " + " | ".join((one.row.name, *cells)) + " |")
    return lines


def _cost(rows: Sequence[Measured]) -> list[str]:
    stages = list(dict.fromkeys(stage for one in rows for stage in one.seconds_spent))
    lines = ["| row | " + " | ".join(f"{stage} s" for stage in stages) + " |", "| --- |" + " ---: |" * len(stages)]
    for one in rows:
        cells = [f"{one.seconds_spent[stage]:.0f}" if stage in one.seconds_spent else "" for stage in stages]
        lines.append("| " + " | ".join((one.row.name, *cells)) + " |")
    return lines


def _document(rows: Sequence[Measured], experiment: Experiment, times: np.ndarray) -> dict[str, object]:
    """The tables' numbers for programs."""
    base_rate = rate(baseline(rows, experiment), times)
    found = []
    for one in rows:
        scores = {name: vars(interval(mean(one, name, times))) for name in one.scores}
        found.append(
            {
                "row": one.row.name,
                "family": one.row.family,
                "strength": one.row.strength,
                "facts": dict(one.facts),
                "n_clips": len(one.clip_ids),
                "bits_per_s": vars(interval(rate(one, times))),
                "against_base_percent": vars(interval(100 * (rate(one, times) / base_rate - 1))),
                "under_control_percent": {
                    name: vars(interval(under_control(one, controls(rows, experiment), name, times)))
                    for name in CURVES
                    if name in one.scores and _is_comparable(one, experiment)
                },
                "scores": scores,
                "salmon": {part: dict(values) for part, values in one.salmon.items()},
                "seconds": dict(one.seconds_spent),
            }
        )
    return {"baseline": experiment.baseline, "control": experiment.control, "rows": _without_nan(found)}


def _p_values(rows: Sequence[Measured], base: Measured) -> dict[str, float]:
    """Holm-adjusted p-values, by row, of a sign-flip test on the clips' differences in bits from the baseline."""
    others = [one for one in rows if one is not base]
    if not others:
        return {}
    found = sign_flip_p(np.stack([one.bits - base.bits for one in others], axis=1))
    return holm(dict(zip((one.row.name for one in others), found.tolist(), strict=True)))


def _accuracy(found: Mapping[str, float | None]) -> str:
    value, low, high = (found.get(name) for name in ("accuracy", "low", "high"))
    if value is None or low is None or high is None:
        return "–"
    return f"{100 * value:.1f} [{100 * low:.0f}, {100 * high:.0f}]"


def _star(p_value: float | None) -> str:
    return " *" if p_value is not None and p_value < 0.05 else ""


def _signed(found: Interval, unit: str = "", digits: int = 1) -> str:
    if math.isnan(found.value):
        return "–"
    return f"{found.value:+.{digits}f}{unit} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"


def _plain(found: Interval, unit: str = "") -> str:
    if math.isnan(found.value):
        return "beyond its end"
    return f"{found.value:.1f}{unit} [{found.low:.1f}, {found.high:.1f}]"


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
