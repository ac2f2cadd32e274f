"""How speech by language models over several codecs' tokens scores, and the table of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from eval.harness.metric import Metric, Signal
from eval.harness.score import Score
from eval.harness.statistics import MetricColumn, MetricSummary, bootstrap, column
from eval.reconstruction.metrics.words import error_rate, words_of
from experiments.semantic.speech_stages import SpeechPlan, test_rows
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.files import read_json, sha256_of, written_whole

WER, VOICE, OPINION = "wer@whisper-base", "speaker_sim", "distillmos"
DEFAULT_METRICS = (WER, VOICE, OPINION)
ORIGINALS = "originals"
# How tables call metrics, and what their values are multiplied by.
_SHOWN = {WER: ("WER %", 100.0, 1), VOICE: ("voice", 1.0, 3), OPINION: ("MOS", 1.0, 2)}

Scores = dict[str, dict[str, Score]]  # metric -> sentence id -> score


@dataclass(frozen=True)
class SpokenResult:
    """What one language model's speech came to: its codec, bits of each test clip and their tokens, how many sentences
    ended by themselves, and scores of its speech and of the codec's resynthesis."""

    name: str
    codec: str
    source: TokenSource
    bits: np.ndarray
    tokens: np.ndarray
    ended: int
    sentences: int
    speech: Scores
    resynthesis: Scores
    facts: Mapping[str, Any]


def scored(folder: Path, plan: SpeechPlan, metrics: Sequence[Metric]) -> Scores:
    """Scores of a folder's sound files against the test clips, kept in `scores.json` beside them.

    Of a sentence without a file nothing is said: all its words are errors, and all else has that reason. WER is against
    the text, the voice against the original clip of the sentence.
    """
    kept = folder / "scores.json"
    rows = list(test_rows(plan))
    made_of = {row.clip_id: _hash(folder / f"{row.clip_id}.wav") for row in rows}
    about = {"metrics": {metric.name: metric.version for metric in metrics}, "files": made_of}
    if kept.is_file() and (before := read_json(kept))["about"] == about:
        return {name: {key: Score(**value) for key, value in by_id.items()} for name, by_id in before["scores"].items()}
    scores: Scores = {metric.name: {} for metric in metrics}
    for row in tqdm(rows, desc=f"scores of {folder.name}", unit="sentence"):
        clip = row.clip()
        reference = Signal(clip.samples.mean(axis=0, dtype=np.float32), clip.sampling_rate, text=row.text, lang="en")
        estimate = _signal(folder / f"{row.clip_id}.wav", reference.rate)
        for metric in metrics:
            scores[metric.name][row.clip_id] = (
                _of_silence(metric, row.text or "") if estimate is None else metric.score(reference, estimate)
            )
    plain = {name: {key: vars(score) for key, score in by_id.items()} for name, by_id in scores.items()}
    with written_whole(kept) as path:
        path.write_text(json.dumps({"about": about, "scores": plain}, indent=1) + "\n", encoding="utf-8")
    return scores


def write_originals(plan: SpeechPlan, folder: Path) -> None:
    """The test clips themselves as sound files, so that they are scored as all speech is."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in test_rows(plan):
        path = folder / f"{row.clip_id}.wav"
        if not path.exists():
            clip = row.clip()
            with written_whole(path) as partial:
                soundfile.write(partial, clip.samples.mean(axis=0), clip.sampling_rate)


def columns(
    results: Sequence[SpokenResult], originals: Scores, metrics: Sequence[Metric]
) -> dict[str, dict[str, MetricColumn]]:
    """ "speech" and "resynthesis" -> metric -> a column of all models, over the sentences that all have a value for."""
    kinds: dict[str, dict[str, MetricColumn]] = {"speech": {}, "resynthesis": {}}
    for metric in metrics:
        speech = {result.name: result.speech[metric.name] for result in results}
        codecs = {result.codec: result.resynthesis[metric.name] for result in results}
        kinds["speech"][metric.name] = column(speech, results[0].name, originals[metric.name])
        kinds["resynthesis"][metric.name] = column(codecs)
    return kinds


def bits_per_token(result: SpokenResult) -> tuple[float, float, float]:
    """(mean, low, high) of bits a token, weighted by the clips' tokens."""
    each = result.bits / result.tokens
    return (float(result.bits.sum() / result.tokens.sum()), *bootstrap(each, result.tokens))


def table(
    results: Sequence[SpokenResult], kinds: Mapping[str, Mapping[str, MetricColumn]], words: int, plan: SpeechPlan
) -> str:
    """The table in Markdown: a row a language model, its codec's resynthesis beside its speech."""
    metrics = list(kinds["speech"])
    heads = ["LM", "codes", "bit/s", "bits/token", "LM bit/s"]
    for name in metrics:
        shown = _SHOWN.get(name, (name, 1.0, 3))[0]
        heads += [shown, f"{shown} of the codec"]
    lines = [" | ".join([*heads, "ended"]), " | ".join(["---", *["---:"] * len(heads)])]
    for result in results:
        mean, low, high = bits_per_token(result)
        rate = result.source.token_rate
        cells = [
            result.name,
            f"{result.source.vocabulary_size:,}",
            f"{rate * np.log2(result.source.vocabulary_size):.0f}",
        ]
        cells += [f"{mean:.2f} [{low:.2f}, {high:.2f}]", f"{rate * mean:.0f}"]
        for name in metrics:
            cells.append(_cell(kinds["speech"][name].summaries[result.name], name))
            cells.append(_cell(kinds["resynthesis"][name].summaries[result.codec], name))
        lines.append(" | ".join([*cells, f"{result.ended}/{result.sentences}"]))
    floor = {name: kinds["speech"][name].originals for name in metrics}
    said = ", ".join(
        f"{_SHOWN.get(name, (name, 1.0, 3))[0]} {_cell(summary, name)}" for name, summary in floor.items() if summary
    )
    note = (
        f"Originals: {said}. {results[0].sentences} test sentences, {words} words; [95% intervals] over sentences, by "
        "bootstrap; all of one corpus, steps and seed. Of the codec: the test clips coded and decoded. bits/token: of "
        "the test clips' tokens given their texts; bit/s: codec's rate, and what the LM needs. ended: sentences that "
        f"the LM ended within {plan.longest_s:g} s."
    )
    return "\n".join([f"| {line} |" for line in lines] + ["", note])


def summaries(kinds: Mapping[str, Mapping[str, MetricColumn]]) -> dict[str, Any]:
    """The columns' numbers for programs, with the difference of each model from the first."""
    return {
        kind: {
            name: {
                "summaries": {model: vars(summary) for model, summary in each.summaries.items()},
                "against_first": {model: vars(compared) for model, compared in each.comparisons.items()},
                "originals": None if each.originals is None else vars(each.originals),
            }
            for name, each in by_metric.items()
        }
        for kind, by_metric in kinds.items()
    }


def _cell(summary: MetricSummary, name: str) -> str:
    if summary.mean is None:
        return summary.refused or "–"
    _, scale, digits = _SHOWN.get(name, (name, 1.0, 3))
    low, high = summary.low, summary.high
    interval = "" if low is None or high is None else f" [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
    return f"{scale * summary.mean:.{digits}f}{interval}"


def _of_silence(metric: Metric, text: str) -> Score:
    """Left out of a word error rate, sentences that nothing is said for would flatter who says nothing."""
    said = words_of(text)
    is_wer = metric.name.partition("@")[0] == "wer"
    return error_rate(said, ()) if is_wer and said else Score(reason="nothing is said")


def _hash(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None


def _signal(path: Path, rate: int) -> Signal | None:
    """A sound file at a rate, None where there is none."""
    if not path.is_file():
        return None
    samples, own_rate = soundfile.read(path, dtype="float32")
    return Signal(Signal(samples, own_rate).at(rate), rate)
