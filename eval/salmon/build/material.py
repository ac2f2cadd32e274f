"""What pairs are made of: speech with what is known of it, and sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Utterance:
    """Speech at pairs.RATE, samples (S,), and what is known of it; `words` are (start_s, end_s, word)."""

    name: str
    source: str
    samples: np.ndarray
    text: str | None = None
    speaker: str | None = None
    gender: str | None = None
    emotion: str | None = None
    lang: str | None = None
    words: tuple[tuple[float, float, str], ...] | None = None
    license: str | None = None

    def about(self) -> dict[str, Any]:
        """What metadata says of this recording, JSON-ready."""
        columns = {"id": self.name, "source": self.source, "text": self.text, "speaker": self.speaker}
        columns |= {"gender": self.gender, "emotion": self.emotion, "license": self.license}
        return {key: value for key, value in columns.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound at pairs.RATE, samples (S,). `recording` is what it is an excerpt of: two excerpts of one recording are
    one background."""

    name: str
    source: str
    samples: np.ndarray
    kind: str
    recording: str
    license: str | None = None

    def about(self) -> dict[str, Any]:
        """What metadata says of this sound, JSON-ready."""
        columns = {"id": self.name, "source": self.source, "kind": self.kind, "recording": self.recording}
        return columns | ({"license": self.license} if self.license else {})
