"""Likeness of the voices of reference and estimate."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from eval.harness.metric import Metric, Signal, silence
from eval.harness.score import Score
from eval.reconstruction.metrics.one_thread import torch_on_one_thread

RATE = 16_000
# Below this the encoder sees mostly the padding of its window of 1.6 s.
SHORTEST_S = 0.4


@functools.cache
def _encoder() -> Any:
    """The encoder with the weights that its package carries, loaded once in a process."""
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


def _embedding(signal: Signal) -> np.ndarray | None:
    """float32 (256,) with norm 1, kept with the signal; None where there is too little voice."""

    def make() -> np.ndarray | None:
        from resemblyzer import preprocess_wav

        # A louder sample than full scale would wrap around in the voice detector's 16 bits.
        voice = preprocess_wav(np.clip(signal.at(RATE), -1.0, 1.0))
        if len(voice) < SHORTEST_S * RATE:
            return None
        with torch_on_one_thread():
            return np.asarray(_encoder().embed_utterance(voice))

    return signal.derived("voice", make)


def _compute(reference: Signal, estimate: Signal) -> Score:
    silent = silence(reference, estimate)
    if silent:
        return silent
    voices = []
    for name, signal in (("reference", reference), ("estimate", estimate)):
        voice = _embedding(signal)
        if voice is None:
            return Score(reason=f"less than {SHORTEST_S:g} s of voice in the {name}")
        voices.append(voice.astype(np.float64))
    return Score.of(float(np.clip(np.dot(voices[0], voices[1]), -1.0, 1.0)))


METRIC = Metric(
    name="speaker_sim",
    definition=(
        "cosine of the two voices' embeddings by the encoder of the package resemblyzer, at 16 kHz (soxr HQ), long "
        "silences cut out; the encoder's embeddings have no negative parts, so that unlike voices are well above 0"
    ),
    unit="1",
    direction="higher",
    value_range=(0.0, 1.0),
    source="Wan et al. 2018 (generalized end-to-end loss); resemblyzer",
    version=1,
    compute=_compute,
    extra="eval-all",
    # webrtcvad, which resemblyzer imports, needs pkg_resources of setuptools below 81.
    needs=("resemblyzer", "pkg_resources"),
    judge="the voice encoder of resemblyzer",
)
