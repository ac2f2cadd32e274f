"""What a metric is: a definition, and a function of two signals that gives a value or a reason."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import scipy.fft
import soxr

from eval.harness.score import Score
from soundcodec_llmcodec import extras
from soundcodec_llmcodec.measures import mel_distance

T = TypeVar("T")


class Signal:
    """One clip, with what several metrics need of it computed once: samples float32 (S,) at `rate` Hz.

    The samples are not copied and must not be changed. Keep a reference's Signal to score several estimates against it.
    `text` is what is said in it, where the data set tells, and `lang` in which language (ISO 639-1).
    """

    def __init__(self, samples: np.ndarray, rate: int, *, text: str | None = None, lang: str | None = None) -> None:
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(f"expected float32 samples of shape (S,), got {samples.dtype} {samples.shape}")
        if rate <= 0:
            raise ValueError(f"expected a rate in Hz above 0, got {rate}")
        self.samples = samples
        self.rate = rate
        self.text = text
        self.lang = lang
        self._derived: dict[Hashable, Any] = {}
        self._at: dict[int, np.ndarray] = {rate: samples}
        self._magnitudes: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return len(self.samples) / self.rate

    @functools.cached_property
    def problem(self) -> str | None:
        """Why no metric can say anything about this signal, if so."""
        if not len(self.samples):
            return "is empty"
        if not np.all(np.isfinite(self.samples)):
            return "holds NaN or infinity"
        return None

    @functools.cached_property
    def is_silent(self) -> bool:
        """Whether all samples are equal (zeros, or a constant offset): nothing can be heard. True without samples."""
        return bool(np.all(self.samples == self.samples[0])) if len(self.samples) else True

    def at(self, rate: int) -> np.ndarray:
        """The samples at another rate, float32 (S',), by soxr's HQ resampler."""
        if rate not in self._at:
            self._at[rate] = soxr.resample(self.samples, self.rate, rate, quality="HQ")
        return self._at[rate]

    def magnitude(self, window: int) -> np.ndarray:
        """|STFT| float32 (F, window // 2 + 1): periodic Hann, hop window / 4, centred with reflect padding.

        Raises ValueError for a signal of window / 2 samples or fewer, which cannot be reflected.
        """
        if window not in self._magnitudes:
            # As mel_distance.magnitude, by scipy's transform: on float32 it is many times as fast as numpy's.
            spectrum = scipy.fft.rfft(mel_distance.framed(self.samples, window) * mel_distance.hann(window), axis=-1)
            # Twice as fast as np.abs, which guards against squares that are out of float32's range.
            self._magnitudes[window] = np.sqrt(np.square(spectrum.real) + np.square(spectrum.imag))
        return self._magnitudes[window]

    def derived(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once and kept under `key`: a pitch track, an embedding, a transcript."""
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    def padded(self, n_samples: int) -> Signal:
        """The signal with zeros at its end up to n_samples; itself where it is that long already."""
        missing = n_samples - len(self.samples)
        if missing <= 0:
            return self

        def make() -> Signal:
            return Signal(np.pad(self.samples, (0, missing)), self.rate, text=self.text, lang=self.lang)

        return self.derived(("padded", n_samples), make)


@dataclass(frozen=True)
class Metric:
    """A metric's definition. `compute` takes reference and estimate: same rate, same length, not empty, finite.

    `needs` are the modules that it imports when it computes, `extra` is the extra of this project that installs them
    where `eval` does not (`install` the command, where an extra cannot); one with an extra is computed only when asked
    for by name.
    `judge` names the model whose judgement the value is, where it is one's. With `has_floor`, the originals themselves
    have a value that is not the best one by definition, and which tables show. `note` is what a table's legend says of
    the values beside that.
    """

    name: str
    definition: str
    unit: str
    direction: Literal["lower", "higher"]
    value_range: tuple[float | None, float | None]
    source: str
    version: int
    compute: Callable[[Signal, Signal], Score]
    extra: str | None = None
    needs: tuple[str, ...] = ()
    install: str | None = None
    judge: str | None = None
    has_floor: bool = False
    note: str | None = None

    @property
    def missing(self) -> str | None:
        """What to install before this metric can be computed; None when all is there."""
        absent = [module for module in self.needs if importlib.util.find_spec(module) is None]
        if not absent:
            return None
        return extras.missing(self.name, ", ".join(absent), self.extra or "eval", command=self.install)

    @property
    def unusable(self) -> str | None:
        """Why this metric cannot be computed here: what it needs is missing, or is there and cannot be imported."""
        if self.missing or self.install:  # what an extra cannot install may be imported with a stand-in only
            return self.missing
        for module in self.needs:
            try:
                importlib.import_module(module)
            except (ImportError, OSError) as error:  # OSError: a library of compiled code that does not load
                why = " ".join(str(error).split())[:200]
                command = extras.install(self.extra or "eval")
                return f"{self.name} needs the package {module}, which cannot be imported ({why}): {command}"
        return None

    @property
    def arrow(self) -> str:
        """The direction in which codecs get better."""
        return "↓" if self.direction == "lower" else "↑"

    def score(self, reference: Signal, estimate: Signal) -> Score:
        """Compare an estimate with its reference at the reference's rate; the shorter is padded with zeros.

        Raises ValueError where the rates differ: whoever reconstructs gives the reference's rate back.
        """
        if reference.rate != estimate.rate:
            raise ValueError(f"the reference has {reference.rate} Hz, the estimate {estimate.rate} Hz; resample first")
        for name, signal in (("reference", reference), ("estimate", estimate)):
            if signal.problem:
                return Score(reason=f"the {name} {signal.problem}")
        longest = max(len(reference), len(estimate))
        return self.compute(reference.padded(longest), estimate.padded(longest))


def silence(reference: Signal, estimate: Signal) -> Score | None:
    """The reason that a metric of audible signals gives when one of the two is silent; None when neither is."""
    for name, signal in (("reference", reference), ("estimate", estimate)):
        if signal.is_silent:
            return Score(reason=f"the {name} is silent")
    return None
