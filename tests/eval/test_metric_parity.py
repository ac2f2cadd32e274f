"""Every value that Codec-SUPERB's own metric code gave for 130 pairs of real recordings and codecs' output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from eval import corpora
from eval.metrics import METRICS, Signal

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize("name", ["peer-reconstructions", "codec-superb-tiny-sample"])
def test_upstreams_values(name):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip("shared/data, with real recordings and expected values, is not beside the checkout")
    corpus = corpora.load(str(folder))
    clips = {clip.clip_id: clip for split in corpus.splits for clip in corpus.clips(split)}
    references = {clip_id: Signal(clip.samples, clip.rate) for clip_id, clip in clips.items()}
    expected = json.loads((folder / "expected_metrics.json").read_text(encoding="utf-8"))
    compared = 0
    for codec, by_clip in expected.items():
        for clip_id, values in by_clip.items():
            reference = references[clip_id]
            samples, rate = soundfile.read(folder / "reconstructions" / codec / f"{clip_id}.flac", dtype="float32")
            estimate = Signal(samples, rate)
            for metric in METRICS.values():
                score = metric.score(reference, estimate)
                where = f"{metric.name} of {codec} on {clip_id}"
                if score.value is None:
                    # Upstream turns a failure of PESQ into its worst value.
                    assert (metric.name, values[metric.name]) == ("pesq", 1.0), where
                    continue
                assert score.value == pytest.approx(values[metric.name], **_tolerance(metric.name, rate)), where
                compared += 1
    assert compared >= 190


def _tolerance(metric: str, rate: int) -> dict[str, float]:
    if metric in ("mel", "stft"):
        return {"rel": 1e-3, "abs": 0.0}
    if metric == "stoi":
        return {"rel": 0.0, "abs": 1e-3}
    return {"rel": 0.0, "abs": 5e-3 if rate == 16_000 else 0.03}
