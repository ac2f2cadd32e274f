"""What streams in both directions share: open, flushed, reset, closed."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from numbers import Integral
from types import TracebackType
from typing import Any, TypeVar

CHUNK_FRAMES = 25
_OPEN, _FLUSHED, _CLOSED = "open", "flushed", "closed"
_Self = TypeVar("_Self", bound="Stream")


class StreamError(RuntimeError):
    """A call that a stream's state does not allow, with what to call instead."""


class Stream(ABC):
    """Pushes, then `flush()` for the rest; `reset()` begins anew at any time before `close()`.

    In a `with` block it is closed at the end. Leaving the block without an exception while pushed frames wait for a
    flush warns: they would be lost.
    """

    def __init__(self) -> None:
        self._state = _OPEN

    @property
    @abstractmethod
    def pending_frames(self) -> int:
        """Frames that were pushed and have not come out."""

    @abstractmethod
    def push(self, data: Any) -> Any:
        """Take what there is and give what is ready."""

    @abstractmethod
    def flush(self) -> Any:
        """End the clip and give the rest of it."""

    def reset(self) -> None:
        """Forget all that was pushed and begin a new clip."""
        if self._state == _CLOSED:
            raise StreamError("the stream is closed and cannot begin anew; make another")
        self._begin()
        self._state = _OPEN

    def close(self) -> None:
        """Forget all that was pushed; nothing can be pushed any more. Closing twice does nothing."""
        if self._state != _CLOSED:
            self._begin()
        self._state = _CLOSED

    @abstractmethod
    def _begin(self) -> None:
        """Put the stream's memory as it is before the first push."""

    def _check_open(self) -> None:
        if self._state == _CLOSED:
            raise StreamError("the stream is closed; make another")
        if self._state == _FLUSHED:
            raise StreamError("the stream was flushed, which ended its clip; call reset() before the next one's pushes")

    def _end(self) -> bool:
        """Mark the clip as ended; False where it was so before, and nothing is left to give."""
        if self._state == _CLOSED:
            raise StreamError("the stream is closed; flush it before that")
        ended = self._state == _OPEN
        self._state = _FLUSHED
        return ended

    def __repr__(self) -> str:
        stream: Any = self
        return (
            f"{type(self).__name__}({self._state}, {stream.sampling_rate} Hz, {stream.chunk_frames} frames a run, "
            f"{stream.lookahead_frames} ahead{'' if getattr(self, 'exact', True) else ', approximate'}, "
            f"{self.pending_frames} waiting)"
        )

    def __reduce__(self) -> Any:
        """A stream stays where it is: its resampler's memory can neither be copied nor sent."""
        raise TypeError(
            "a stream can neither be pickled nor copied; give the codec to the worker and open the stream there, with "
            "stream_decoder() or stream_encoder()"
        )

    def __enter__(self: _Self) -> _Self:
        if self._state == _CLOSED:
            raise StreamError("the stream is closed; make another")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.pending_frames:
            warnings.warn(
                f"the stream was left with {self.pending_frames} frames that never came out; call flush() for them "
                f"before the with block ends",
                stacklevel=2,
            )
        self.close()


def positive(name: str, value: Any) -> int:
    """A whole number above 0. Raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of frames above 0, got {value!r}")
    return int(value)
