"""A run of made-up log-likelihoods with known accuracies, for the tests of tables, results and the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.harness.model_specs import Unloaded
from eval.salmon.pair_samples import PairSamples
from eval.salmon.pair_scores import ModelInfo, PairScore, SalmonModelRun, SalmonRun
from eval.salmon.suite import Pair, PairedRecording, Suite

RATE = 16_000
HOSTILE = "<script>alert('x')</script>"
PARTS = ("speaker_consistency", "gender_consistency", "rir_consistency")


def score(part: str, index: int, outcome: str) -> PairScore:
    """A pair that is "right", "wrong", a "tie", "failed", or "longer": right by the sum but wrong a token."""
    digests = (f"{part}-{index}-p", f"{part}-{index}-n")
    if outcome == "failed":
        return PairScore(part, f"sample_{index}", None, None, 0, 0, *digests, failure="no <audio> in it")
    positive = -100.0
    # Dyadic steps, so that sums and means tie where they should.
    negative = positive + {"right": -8.0, "wrong": 4.0, "tie": 0.0, "longer": -8.0}[outcome]
    negative -= (index % 4) * {"right": 1.0, "wrong": -0.5}.get(outcome, 0.0)
    return PairScore(part, f"sample_{index}", positive, negative, 64, 128 if outcome == "longer" else 64, *digests)


def model(name: str, outcomes: dict[str, Sequence[str]]) -> SalmonModelRun:
    """A model with these outcomes by part."""
    info = ModelInfo(name, "codec", "ab" * 32, f"{name} lm", "cd" * 32, "bos", 20_480, 50.0, 716.0, 3_000_000)
    scores = {part: [score(part, i, one) for i, one in enumerate(each)] for part, each in outcomes.items()}
    return SalmonModelRun(info, scores, encode_s=2.0, score_s=3.0, audio_s=60.0, timed_pairs=20)


def outcomes(right: int, wrong: int, ties: int = 0, failed: int = 0) -> list[str]:
    """So many of each."""
    return ["right"] * right + ["wrong"] * wrong + ["tie"] * ties + ["failed"] * failed


def run() -> SalmonRun:
    """One good model, one that always ties, one that fails at a few pairs of the last part; and one not loaded."""
    good = {PARTS[0]: outcomes(36, 4), PARTS[1]: outcomes(30, 10), PARTS[2]: outcomes(22, 18)}
    even = {part: outcomes(0, 0, 40) for part in PARTS}
    other = {PARTS[0]: outcomes(20, 20), PARTS[1]: outcomes(30, 10), PARTS[2]: outcomes(20, 17, 1, 2)}
    models = (model("good", good), model("uniform", even), model(HOSTILE, other))
    return SalmonRun(PARTS, models, "f" * 64, (Unloaded("absent", "no <weights> here"),))


def suite(parts: Sequence[str] = PARTS) -> Suite:
    """The suite that the run was of; its pairs are tones."""
    return Suite(
        "made up", "made & up", True, dict.fromkeys(parts, 40), lambda part: (pair(part, i) for i in range(40))
    )


def pair(part: str, index: int) -> Pair:
    """A tone that stays, and one that changes at the middle."""
    time = np.arange(RATE) / RATE
    low, high = (0.1 * np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (300 + index, 900))
    changed = np.concatenate((low[: RATE // 2], high[RATE // 2 :]))
    recordings = (PairedRecording(samples, RATE, f"{part}-{index}-{k}") for k, samples in (("p", low), ("n", changed)))
    return Pair(part, f"sample_{index}", *recordings, about={"text": "A <b>sentence</b>.", "cut_sample": RATE // 2})


def samples(folder: Path, n: int = 1) -> PairSamples:
    """The first n pairs of each part, written."""
    kept = PairSamples(folder, n)
    for part in PARTS:
        for index in range(n):
            kept.keep(part, index, pair(part, index))
    return kept
