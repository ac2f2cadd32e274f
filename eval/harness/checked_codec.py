"""A codec of one's own, from a file or an installed package, behind checks: what came, and what was expected.

    class MyCodec:                       # or a function without arguments that returns such an object
        sample_rate = 16_000             # Hz of what encode takes and decode gives
        codebook_size = 1024             # V codes a level
        num_quantizers = 1               # Q levels; 1 where it is left out
        token_rate = 50.0                # tokens a second, all levels together; left out: counted in the run
        identity = "weights 1.2"         # changes with anything but this file that may change a token; may be left out

        def encode(self, audio: np.ndarray) -> np.ndarray:   # float32 (S,) -> integers (Q, F) in [0, V)
        def decode(self, codes: np.ndarray) -> np.ndarray:   # int64 (Q, F) -> floats (S',) within -1..1

The bit rate follows: token_rate log2(V). Clips come at the codec's rate; what decode gives is brought back to the
clip's rate and cut or padded to its length.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness import include
from eval.harness.foreign_errors import FOREIGN_ERRORS, described
from eval.harness.hf_tokens import hf_codec
from eval.harness.include import Included, IncludeError
from eval.harness.model_specs import LoadError, ReconstructionError, UnknownSpecError

_IN_FILE = re.compile(r"(?P<file>.+\.py)(?::(?P<name>[^:/]+))?")
# A stated token rate may be off by a share and by some frames at the ends; more is another bit rate than stated.
_RATE_SHARE, _RATE_FRAMES = 0.1, 8


class IncludedCodec:
    """Somebody's codec with its numbers read and checked; what it raises or gives wrongly is a ReconstructionError."""

    def __init__(self, entry: Included) -> None:
        """Make it. Raises LoadError where it cannot be made, or is not of the form above."""
        self.entry = entry
        try:
            self._codec = entry.value()
        except FOREIGN_ERRORS as error:
            raise LoadError(f"{entry.name} of {entry.where} cannot be made: {described(error)}") from error
        kind = type(self._codec).__name__
        missing = [name for name in ("encode", "decode") if not callable(getattr(self._codec, name, None))]
        if missing:
            raise LoadError(f"{entry.name} of {entry.where} is of type {kind}, which has no {' and no '.join(missing)}")
        self.sample_rate = self._whole("sample_rate")
        self.codebook_size = self._whole("codebook_size")
        self.num_quantizers = self._whole("num_quantizers", 1)
        self.token_rate = self._token_rate()
        own = getattr(self._codec, "identity", None)
        self.identity = f"file {entry.digest}" + ("" if own is None else f"; {own}")

    @property
    def bitrate_bps(self) -> float | None:
        """Bits a second of all tokens; None where the codec states no token rate."""
        return None if self.token_rate is None else self.token_rate * math.log2(self.codebook_size)

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """Samples float32 (S,) at the codec's rate as codes int64 (Q, F)."""
        with self._failing("encode"):
            codes = _array(self._codec.encode(samples))
        levels = self.num_quantizers
        if codes.ndim != 2 or codes.shape[0] != levels or codes.dtype.kind not in "iu" or not codes.size:
            raise ReconstructionError(
                f"{self.entry.name}.encode gave {codes.dtype} {codes.shape}, expected integers (Q, F) = ({levels}, F)"
            )
        if codes.min() < 0 or codes.max() >= self.codebook_size:
            raise ReconstructionError(
                f"{self.entry.name}.encode gave codes from {codes.min()} to {codes.max()}, expected 0 to "
                f"{self.codebook_size - 1}, below codebook_size"
            )
        seconds = len(samples) / self.sample_rate
        stated = None if self.token_rate is None else self.token_rate * seconds
        if stated is not None and abs(codes.size - stated) > _RATE_SHARE * stated + _RATE_FRAMES * levels:
            raise ReconstructionError(
                f"{self.entry.name}.encode gave {codes.size} codes for {seconds:.2f} s, expected about {stated:.0f} by "
                f"token_rate = {self.token_rate:g}; state the rate of all levels together, or leave it out"
            )
        return codes.astype(np.int64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes int64 (Q, F) as samples float32 (S',) at the codec's rate."""
        with self._failing("decode"):
            samples = _array(self._codec.decode(codes))
        if samples.ndim != 1 or samples.dtype.kind != "f" or not samples.size:
            raise ReconstructionError(
                f"{self.entry.name}.decode gave {samples.dtype} {samples.shape}, expected floats (S,) within -1..1"
            )
        return samples.astype(np.float32)

    def _whole(self, name: str, default: int | None = None) -> int:
        value = getattr(self._codec, name, default)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise LoadError(
                f"{self.entry.name} of {self.entry.where}: expected {name} as a whole number above 0, got {value!r}"
            )
        return int(value)

    def _token_rate(self) -> float | None:
        value = getattr(self._codec, "token_rate", None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise LoadError(
                f"{self.entry.name} of {self.entry.where}: expected token_rate as tokens a second, got {value!r}"
            )
        return float(value)

    @contextlib.contextmanager
    def _failing(self, method: str) -> Iterator[None]:
        try:
            yield
        except FOREIGN_ERRORS as error:
            raise ReconstructionError(f"{self.entry.name}.{method} raised {described(error)}") from error


def included_codec(spec: str, *, is_taken: bool = False) -> Included | None:
    """The codec of one's own that FILE.py:NAME or an included NAME means, or the one of transformers that hf:ID means;
    None for what is of neither form.

    `is_taken` says that the name is another codec's too. Raises UnknownSpecError for a file that cannot be read or has
    no such codec, and for a name that others have.
    """
    from soundcodec_llmcodec.codec import list_codec

    of_transformers = hf_codec(spec)
    if of_transformers is not None:
        return of_transformers
    match = _IN_FILE.fullmatch(spec)
    if match:
        try:
            return include.codec_in(Path(match["file"]), match["name"])
        except IncludeError as error:
            raise UnknownSpecError(str(error)) from error
    entry = include.included("codec").get(spec)
    if entry is not None and (is_taken or spec in list_codec()):
        raise UnknownSpecError(f"there is a codec {spec!r} beside that of {entry.place}; name yours by FILE.py:{spec}")
    return entry


def _array(values: Any) -> np.ndarray:
    """A tensor, on any device, or an array as an array."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
