"""Short ways to make signals and to score them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from eval.reconstruction.metrics import METRICS, Score, Signal

RATE = 16_000


@pytest.fixture
def hiss() -> Callable[..., np.ndarray]:
    """hiss(n, seed, scale): n float32 samples of seeded white noise."""

    def make(n: int, seed: int = 0, scale: float = 0.1) -> np.ndarray:
        return (scale * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)

    return make


@pytest.fixture
def harmonics() -> Callable[..., np.ndarray]:
    """harmonics(f0, rate): a voiced sound, float32, whose pitch in Hz is f0, a number a sample."""

    def make(f0: np.ndarray, rate: int = RATE) -> np.ndarray:
        phase = 2 * np.pi * np.cumsum(f0) / rate
        return sum(0.3 / k * np.sin(k * phase) for k in range(1, 6)).astype(np.float32)

    return make


@pytest.fixture
def score() -> Callable[..., Score]:
    """score(name, reference, estimate, rate): one metric of two arrays."""

    def compute(name: str, reference: np.ndarray, estimate: np.ndarray, rate: int = RATE) -> Score:
        return METRICS[name].score(Signal(reference, rate), Signal(estimate, rate))

    return compute
