"""What a language model goes on with: is it a voice, is it the prompt's voice, are there words in it?

    python benchmarks/continuations.py FOLDER_OR_PARQUET[:SPLIT] --lms bundled FOLDER ... --clips 40

The first seconds of each clip are the prompt; the model draws as many seconds more as `--seconds` says (temperature and
top-p below, seed 0, it may not end). Beside each model stand the clip's own continuation through the codec (what a
perfect model would reach) and codes drawn at random. Needs the extras eval-all and lm.

voiced: the share of frames with a pitch (Praat). own / other voice: cosine of the voice (resemblyzer) with the prompt
as recorded, and with the next clip's prompt. nearer: the share of clips whose continuation is nearer to its own prompt.
words/s: words that a small recogniser claims to hear, which is no proof that they are words.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from eval.harness.metric import Signal
from eval.reconstruction.metrics import pitch, speaker_sim
from eval.reconstruction.metrics.recogniser import TINY
from eval.reconstruction.metrics.words import words_of
from soundcodec_llmcodec.audio import mono, resample
from soundcodec_llmcodec.data import open_dataset
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.continuation import continue_audio
from soundcodec_llmcodec.lm.loading import load_token_lm

RATE = 16_000


def main() -> None:
    arguments = _parsed()
    codec = LLMCodec.from_pretrained(arguments.codec)
    prompt_s, new_s = int(arguments.prompt_seconds * RATE), int(arguments.seconds * RATE)
    clips = _clips(arguments, prompt_s + new_s)
    prompts = [clip[:prompt_s] for clip in clips]
    print(
        f"{len(clips)} clips of {arguments.data}, prompts of {arguments.prompt_seconds:g} s, {arguments.seconds:g} s "
        f"more; temperature {arguments.temperature:g}, top-p {arguments.top_p:g}\n"
    )
    print("| continuation | voiced | own voice | other voice | nearer | words/s |\n" + "| --- " * 6 + "|")
    told = Told(prompts)
    told("the recording, not coded", [clip[prompt_s:] for clip in clips])
    through = [codec.decode(codec.encode(clip, RATE).unit)[prompt_s:] for clip in clips]
    told("the recording, through the codec", through)
    for name in arguments.lms:
        lm = load_token_lm(name, TokenSource.of(codec))

        def goes_on(prompt: np.ndarray, lm: Any = lm) -> np.ndarray:
            made = continue_audio(
                codec,
                lm,
                prompt,
                RATE,
                seconds=arguments.seconds,
                temperature=arguments.temperature,
                top_p=arguments.top_p,
                may_end=False,
            )
            return made.audio[made.prompt_samples :]

        told(name, [goes_on(prompt) for prompt in prompts])
    random = np.random.default_rng(0)
    frames = new_s // codec.config.hop_length
    told("random codes", [codec.decode(random.integers(0, codec.config.codebook_size, frames)) for _ in prompts])


class Told:
    """Prints a row for continuations of the prompts."""

    def __init__(self, prompts: list[np.ndarray]) -> None:
        self.prompts = [Signal(np.ascontiguousarray(prompt, dtype=np.float32), RATE) for prompt in prompts]

    def __call__(self, name: str, continuations: list[np.ndarray]) -> None:
        sounds = [Signal(np.ascontiguousarray(np.asarray(new), dtype=np.float32), RATE) for new in continuations]
        voiced = np.mean([np.mean(track > 0) for sound in sounds if (track := pitch.track(sound)) is not None])
        others = self.prompts[1:] + self.prompts[:1]
        likeness = [
            (speaker_sim.METRIC.compute(own, sound).value, speaker_sim.METRIC.compute(other, sound).value)
            for own, other, sound in zip(self.prompts, others, sounds, strict=True)
        ]
        found = np.array([pair for pair in likeness if None not in pair], dtype=np.float64)
        words = sum(len(words_of(TINY.text(sound, "en"))) for sound in sounds) / sum(sound.seconds for sound in sounds)
        if len(found):
            own, other = found.mean(0)
            voices = f"{own:.3f} | {other:.3f} | {np.mean(found[:, 0] > found[:, 1]):.0%} of {len(found)}"
        else:
            voices = "no voice | no voice | -"
        print(f"| {name} | {voiced:.0%} | {voices} | {words:.1f} |", flush=True)


def _clips(arguments: argparse.Namespace, samples: int) -> list[np.ndarray]:
    """The first clips that are long enough, float32 at 16 kHz, cut to that length; neighbours are of two speakers."""
    found: dict[str, list[np.ndarray]] = {}
    for item in open_dataset(arguments.data).rows():
        clip = item.clip()
        signal = resample(mono(clip), clip.sampling_rate, RATE)
        if len(signal) >= samples and item.speaker is not None:
            found.setdefault(item.speaker, []).append(signal[:samples])
    turns = max(map(len, found.values()), default=0)
    clips = [of[turn] for turn in range(turns) for of in found.values() if turn < len(of)]
    if len(found) < 2:
        raise SystemExit(
            f"{arguments.data} has {len(clips)} clips of {samples / RATE:g} s with a speaker; two are needed"
        )
    return clips[: arguments.clips]


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--lms", nargs="+", default=["bundled"])
    parser.add_argument("--codec", default="llmcodec")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--prompt-seconds", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-p", type=float, default=0.9)
    return parser.parse_args()


if __name__ == "__main__":
    main()
