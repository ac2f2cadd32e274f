"""Every value that Codec-SUPERB's own metric code gave for 130 pairs of real recordings and codecs' output."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from eval.harness import corpora
from eval.reconstruction.metrics import METRICS, SUPERB_NAMES, Signal
from eval.reconstruction.metrics.superb_rules import PREFIX

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.parametrize(("name", "pairs"), [("peer-reconstructions", 80), ("codec-superb-tiny-sample", 50)])
def test_upstreams_values(name, pairs, record_property):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{SHARED}, with real recordings and expected values, is not there")
    expected = json.loads((folder / "expected_metrics.json").read_text(encoding="utf-8"))
    largest: dict[str, tuple[float, str]] = {}
    compared = 0
    for codec, clip_id, reference, estimate in _pairs(folder, expected):
        for metric in SUPERB_NAMES:
            value = METRICS[metric].score(reference, estimate).value
            kind, tolerance = _tolerance(metric.removeprefix(PREFIX), reference.rate)
            wanted = expected[codec][clip_id][metric.removeprefix(PREFIX)]
            where = f"{metric} of {codec} on {clip_id}: {value}, not {wanted}"
            assert value is not None, where
            deviation = abs(value - wanted) / (wanted if kind.endswith("relative") else 1.0)
            assert deviation <= tolerance, where
            largest[kind] = max(largest.get(kind, (-math.inf, "")), (deviation, where))
            compared += 1
    assert compared == 6 * pairs
    for kind, (deviation, where) in sorted(largest.items()):
        record_property(kind, deviation)
        print(f"{name}: {kind} at most {deviation:.2g} ({where})")


def _pairs(folder: Path, expected: dict[str, dict[str, object]]) -> Iterator[tuple[str, str, Signal, Signal]]:
    corpus = corpora.load(str(folder))
    for split in corpus.splits:
        for clip in corpus.clips(split):
            reference = Signal(clip.samples, clip.rate)
            for codec in expected:
                file = folder / "reconstructions" / codec / f"{clip.clip_id}.flac"
                samples, rate = soundfile.read(file, dtype="float32")
                yield codec, clip.clip_id, reference, Signal(samples, rate)


def _tolerance(metric: str, rate: int) -> tuple[str, float]:
    """What is compared, and how far it may be off."""
    if metric in ("mel", "stft", "waveform"):
        return f"{metric}, relative", 1e-3
    if metric == "pesq":
        return ("pesq at 16 kHz", 5e-3) if rate == 16_000 else ("pesq after resampling", 0.03)
    return metric, {"stoi": 1e-3, "f0corr": 1e-2}[metric]
