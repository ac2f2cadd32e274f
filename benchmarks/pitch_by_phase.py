"""Whether a codec's magnitudes or its phases lose the pitch: each of the two beside the original's other.

python benchmarks/pitch_by_phase.py --codec llmcodec runs/kept --data FOLDER:validation --clips 16

Voiced frames are Praat's, as in the metric f0corr: the share of the original's that are found, the share of those found
whose pitch is more than a semitone off, and f0corr (0 where there is none), means over clips.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eval.harness.metric import Signal
from eval.reconstruction.metrics import f0corr, pitch
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.train.crops import open_corpus

WINDOW = 512


def variants(clip: Tensor, decoded: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Waves (S,) of the decoded clip and of the two mixtures."""
    hann = torch.hann_window(WINDOW)
    ours, theirs = (torch.stft(wave, WINDOW, WINDOW // 4, window=hann, return_complex=True) for wave in (decoded, clip))
    yield "decoded", decoded
    for name, size, phase in (
        ("decoded magnitudes, the original's phases", ours, theirs),
        ("the original's magnitudes, decoded phases", theirs, ours),
    ):
        mixed = torch.polar(size.abs(), phase.angle())
        yield name, torch.istft(mixed, WINDOW, WINDOW // 4, window=hann, length=len(clip))


def measures(clip: Tensor, wave: Tensor, rate: int) -> tuple[float, float, float]:
    """(f0corr, share of voiced frames found, share of those found that are more than a semitone off)."""
    one, other = (Signal(np.ascontiguousarray(x.numpy(), dtype=np.float32), rate) for x in (clip, wave))
    score = f0corr.correlation(one, other).value
    wanted, got = pitch.track(one), pitch.track(other)
    if wanted is None or got is None or not (wanted > 0).any():
        return float("nan"), float("nan"), float("nan")
    both = (wanted > 0) & (got > 0)
    off = np.abs(12 * np.log2(got[both] / wanted[both])) > 1
    return score or 0.0, both.sum() / (wanted > 0).sum(), float(off.mean()) if both.any() else float("nan")


def main() -> None:
    """Print a row for each codec and variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", nargs="+", required=True)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--clips", type=int, default=16)
    arguments = parser.parse_args()
    for name in arguments.codec:
        codec = LLMCodec.from_pretrained(name)
        rate = codec.config.sample_rate
        rows: dict[str, list[tuple[float, float, float]]] = {}
        with tempfile.TemporaryDirectory() as cache:
            corpus = open_corpus(arguments.data, rate, Path(cache))
            for index in range(min(arguments.clips, len(corpus.ids))):
                clip = corpus.clip(index)
                decoded = codec.decode_codes(codec.encode_samples(clip), len(clip))
                for variant, wave in variants(clip, decoded):
                    rows.setdefault(variant, []).append(measures(clip, wave, rate))
        print(f"{name}, {len(next(iter(rows.values())))} clips: f0corr, voiced frames found, of those off")
        for variant, values in rows.items():
            print(f"  {variant:44}", *(f"{value:.3f}" for value in np.nanmean(np.array(values), axis=0)))


if __name__ == "__main__":
    main()
