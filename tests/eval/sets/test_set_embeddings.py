"""Embeddings by name: what the mel statistics hear, and that a clip of any rate is one and the same."""

from __future__ import annotations

import numpy as np
import pytest

from eval.sets import musicnn
from eval.sets.set_embeddings import EMBEDDINGS, SetEmbedding, embedding_named

RATE = 16_000
MEL = EMBEDDINGS["mel-statistics"]


def tone(hz, seconds=1.0, rate=RATE):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_mel_statistics_tell_where_the_sound_is_and_how_it_moves():
    (low,), (high,) = MEL(tone(200), RATE), MEL(tone(3_000), RATE)
    assert low[:32].argmax() < high[:32].argmax()
    (moving,) = MEL(tone(200) * np.linspace(0.001, 1, RATE).astype(np.float32), RATE)
    band = low[:32].argmax()
    assert moving[32 + band] > low[32 + band] + 5
    # Twice as loud is 6 dB more in a band that sounds.
    (loud,) = MEL(2 * tone(200), RATE)
    assert loud[band] - low[band] == pytest.approx(20 * np.log10(2), abs=0.01)


def test_a_clip_at_another_rate_is_the_same_clip():
    (one,), (other,) = MEL(tone(500), RATE), MEL(tone(500, rate=24_000), 24_000)
    assert abs(one[one[:32].argmax()] - other[one[:32].argmax()]) < 0.5


def test_wrong_samples_and_wrong_items_are_errors():
    with pytest.raises(ValueError, match="samples as"):
        MEL(np.zeros((2, 100), np.float32), RATE)
    wrong = SetEmbedding("wrong", "", 3, RATE, lambda samples: np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"wrong: expected finite items as \(N, 3\)"):
        wrong(tone(100), RATE)
    with pytest.raises(ValueError, match="no embedding is called 'vggish'; there are musicnn-tags"):
        embedding_named("vggish")


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(musicnn.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="package musicnn, which is not installed: pip install --no-deps musicnn"):
        embedding_named("musicnn").check()
