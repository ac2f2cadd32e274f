"""What was measured of each row, clip by clip, and what it says against the baseline and the control curve.

Letters: N clips, R resamples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from eval.harness.statistics import RESAMPLES, resampled
from eval.reconstruction.scoring import ORIGINALS
from experiments.tradeoff.running import is_finished, recorded
from experiments.tradeoff.tradeoff_rows import Experiment, ExperimentError, RowSpec


@dataclass(frozen=True, eq=False)
class MeasuredRow:
    """A row on N clips in one order: bits (N,) that the fresh language model, the unigram and the bigram need of them,
    their seconds (N,), scores (N,) by metric (NaN where a clip has none) and their weights (N,).

    `facts`: codes in use, entropy, checkpoint hash. `seconds_spent` by stage. `salmon`: accuracy by part.
    """

    row: RowSpec
    clip_ids: tuple[str, ...]
    seconds: np.ndarray
    tokens: np.ndarray
    bits: np.ndarray
    unigram_bits: np.ndarray
    bigram_bits: np.ndarray
    scores: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]
    seconds_spent: Mapping[str, float]
    salmon: Mapping[str, Mapping[str, float | None]]

    def has(self, metric: str) -> bool:
        """Whether any clip has a value of the metric."""
        return metric in self.scores and not bool(np.isnan(self.scores[metric]).all())


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval over clips."""

    value: float
    low: float
    high: float


def collected(experiment: Experiment, out: Path) -> list[MeasuredRow]:
    """The rows of an experiment that are measured so far, on the clips that all of them have.

    Raises ExperimentError where the baseline is not among them, where clips differ, and where a row's folder is of
    other settings than the experiment has for it.
    """
    finished_rows = [row for row in experiment.rows if _is_done(out / row.name)]
    for row in finished_rows:
        _check_settings(experiment, row, out / row.name)
    results = [read_row(row, out / row.name) for row in finished_rows]
    if not results or all(result.row.name != experiment.baseline for result in results):
        raise ExperimentError(f"{out} has no measured baseline {experiment.baseline!r} yet")
    first = results[0]
    for result in results[1:]:
        if result.clip_ids != first.clip_ids:
            raise ExperimentError(f"{result.row.name} was measured on other clips than {first.row.name}")
    return results


def read_row(row: RowSpec, folder: Path) -> MeasuredRow:
    """One row's results from its folder."""
    predicted = _lines(folder / "predict" / "clips.jsonl")
    reconstructed = [line for line in _lines(folder / "reconstruct" / "clips.jsonl") if line.get("model") != ORIGINALS]
    by_model: dict[str, dict[str, dict[str, Any]]] = {}
    for line in predicted:
        by_model.setdefault(line["model"], {})[line["clip_id"].rsplit("/", 1)[-1]] = line
    (fresh,) = set(by_model) - {"unigram", "bigram"}
    ids = tuple(sorted(by_model[fresh]))
    scores = {line["clip_id"]: line for line in reconstructed}
    if set(scores) != set(ids):
        raise ExperimentError(f"{folder}: tokens were predicted of other clips than were reconstructed")

    def bits(model: str) -> np.ndarray:
        return np.array([by_model[model][clip_id]["audio_nats"] for clip_id in ids]) / math.log(2)

    metrics = sorted({name for line in reconstructed for name in line["scores"]})
    values = {name: [_number(scores[clip_id]["scores"].get(name)) for clip_id in ids] for name in metrics}
    weights = {name: [scores[clip_id]["weights"].get(name, 1.0) for clip_id in ids] for name in metrics}
    if "wer" in values:
        # A recogniser that repeats itself makes ten errors a word of one clip, which then decides the mean.
        values[CAPPED], weights[CAPPED] = list(np.minimum(values["wer"], 1.0)), weights["wer"]
    document = json.loads((folder / "predict" / "results.json").read_text(encoding="utf-8"))
    (codec,) = document["codecs"]
    hashes = {line["checkpoint_hash"] for line in reconstructed} | {codec["codec_hash"]}
    hashes |= _salmon_hashes(folder / "salmon" / "results.json")
    if len(hashes) > 1:
        raise ExperimentError(f"{folder}: tokens and reconstructions are of different codecs: {sorted(hashes)}")
    return MeasuredRow(
        row=row,
        clip_ids=ids,
        seconds=np.array([by_model[fresh][clip_id]["seconds"] for clip_id in ids]),
        tokens=np.array([by_model[fresh][clip_id]["tokens"] for clip_id in ids]),
        bits=bits(fresh),
        unigram_bits=bits("unigram"),
        bigram_bits=bits("bigram"),
        scores={name: np.array(column) for name, column in values.items()},
        weights={name: np.array(column) for name, column in weights.items()},
        facts={key: codec[key] for key in ("codes_used", "codebook_size", "codec_hash")}
        | {"entropy_bits": _entropy_bits(folder / "reconstruct" / "results.json")},
        seconds_spent={name: stage["seconds"] for name, stage in recorded(folder).items()},
        salmon=_salmon(folder / "salmon" / "results.json"),
    )


def draws(n: int, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each of n clips is drawn in each resample, (R + 1, N); the first is every clip once."""
    return np.concatenate((np.ones((1, n)), resampled(n, resamples)))


def rate(result: MeasuredRow, times: np.ndarray, bits: np.ndarray | None = None) -> np.ndarray:
    """Bits a second (R,) in each resample (R, N): all bits over all seconds."""
    return (times @ (result.bits if bits is None else bits)) / (times @ result.seconds)


def mean(result: MeasuredRow, metric: str, times: np.ndarray) -> np.ndarray:
    """A metric's weighted mean (R,) over the clips that have it, in each resample (R, N)."""
    values, weights = result.scores[metric], result.weights[metric]
    has_value = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # a resample may hold none of the clips that have it: NaN, which intervals drop
        return (times[:, has_value] @ (weights * values)[has_value]) / (times[:, has_value] @ weights[has_value])


def under_control(result: MeasuredRow, controls: Sequence[MeasuredRow], metric: str, times: np.ndarray) -> np.ndarray:
    """By how many percent (R,) the row's bits a second lie under the control curve at the row's own distortion.

    The curve runs straight from control to control, in order of their distortion. NaN where the row lies outside it,
    better than the best control or worse than the last one: nothing is extrapolated, and nothing compared with an end
    point, which is at another distortion. `outside` says so in words.
    Rate-distortion curves are convex, so that a straight line lies above the curve between two controls: with few
    controls far apart, what is found is an upper bound.
    """
    distortion = np.stack([mean(control, metric, times) for control in controls], axis=1)
    rates = np.stack([rate(control, times) for control in controls], axis=1)
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    own = sign * mean(result, metric, times)
    control_bits = np.empty(len(times))
    for index, (points, values) in enumerate(zip(sign * distortion, rates, strict=True)):
        order = np.argsort(points)
        control_bits[index] = np.interp(own[index], points[order], values[order], left=np.nan, right=np.nan)
    return 100 * (1 - rate(result, times) / control_bits)


def outside(values: np.ndarray) -> str | None:
    """Why what `under_control` found (R,) has no value with an interval; None where it has one."""
    if math.isnan(values[0]):
        return OUTSIDE
    if math.isnan(interval(values).value):
        return f"{OUTSIDE} in {np.isnan(values[1:]).mean():.0%} of resamples"
    return None


def paired(result: MeasuredRow, base: MeasuredRow, name: str, times: np.ndarray) -> np.ndarray:
    """The difference of weighted means (R,) over the clips that both have, in each resample."""
    both = ~(np.isnan(result.scores[name]) | np.isnan(base.scores[name]))
    weights = result.weights[name][both]
    differences = (result.scores[name] - base.scores[name])[both]
    with np.errstate(invalid="ignore"):  # as in `mean`
        return (times[:, both] @ (weights * differences)) / (times[:, both] @ weights)


def interval(values: np.ndarray) -> Interval:
    """The first value, with the 2.5th and 97.5th percentile of the others; NaN where more than 2.5% of these are.

    An interval reaches as far as its value: where a curve bends, resamples may lie on one side of it.
    """
    rest = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or len(rest) < 0.975 * len(values[1:]):
        return Interval(math.nan, math.nan, math.nan)
    low, high = np.percentile(rest, (2.5, 97.5))
    value = float(values[0])
    return Interval(value, min(float(low), value), max(float(high), value))


OUTSIDE = "outside the curve"
CAPPED = "wer, each clip at most 1"
HIGHER_IS_BETTER = frozenset({"pesq", "stoi", "f0corr", "speaker_sim"})


def _entropy_bits(path: Path) -> float:
    """The entropy of the validation clips' codes, as they are counted there, in bits."""
    (model,) = json.loads(path.read_text(encoding="utf-8"))["models"]
    (split,) = model["splits"].values()
    return float(split["entropy_bits"])


def _is_done(folder: Path) -> bool:
    """Whether a row is measured, and nothing of it is being made anew."""
    record = recorded(folder)
    has_results = all((folder / name / "results.json").is_file() for name in ("predict", "reconstruct"))
    return has_results and bool(record) and all(is_finished(entry) for entry in record.values())


def _check_settings(experiment: Experiment, row: RowSpec, folder: Path) -> None:
    """Raise ExperimentError where the folder's training, or its language model's, is not the experiment's."""
    # Where a row starts is a path, and the smaller codebook's config follows from it.
    aside = {"init"} if row.codebook is None else {"init", "codec"}
    for name, settings in (("train", experiment.training(row)), ("lm", experiment.lm)):
        path = folder / f"{name}.yaml"
        recorded_settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        differing = [
            key
            for key in sorted({*recorded_settings, *settings} - aside)
            if recorded_settings.get(key) != settings.get(key)
        ]
        if differing:
            raise ExperimentError(
                f"{path} differs from the experiment's row in {', '.join(differing)}: it was made with other settings"
            )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _number(score: float | None) -> float:
    return math.nan if score is None else float(score)


def _salmon_hashes(path: Path) -> set[str]:
    """The codec that SALMon's pairs were scored with, where they were."""
    if not path.is_file():
        return set()
    return {model["codec_hash"] for model in json.loads(path.read_text(encoding="utf-8"))["models"]}


def _salmon(path: Path) -> dict[str, dict[str, float | None]]:
    """Accuracy with its interval and n by part, and of all parts as "average"; empty where it was not measured."""
    if not path.is_file():
        return {}
    (model,) = json.loads(path.read_text(encoding="utf-8"))["models"]
    scores = model["scores"]["token"]
    return {**scores["parts"], "average": scores.get("average") or {}}
