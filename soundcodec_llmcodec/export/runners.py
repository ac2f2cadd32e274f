"""The two graphs as functions of numpy arrays, whatever runs them.

Letters: B batch, S samples, F frames, Q codebook levels.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from soundcodec_llmcodec.export import export_folder as folders
from soundcodec_llmcodec.extras import missing

# Sessions of a process that this one was forked from.
_OF_PARENTS: list[Any] = []


class Encoded(NamedTuple):
    """Codes (B, Q, F) int64, each item's frames (B,) int64, and margins (B, Q, F) float32."""

    codes: np.ndarray
    frames: np.ndarray
    margins: np.ndarray


class Anchored(NamedTuple):
    """The cycles (B,) float64 of a harmonic source at the centre of a frame."""

    frame: int
    cycles: np.ndarray


class Synthesized(NamedTuple):
    """Samples (B, F * hop) float32, and a harmonic source's cycles at the frames' centres (B, F) float64, if any."""

    samples: np.ndarray
    cycles: np.ndarray | None = None


class Runner(Protocol):
    """The encoder and the decoder of one export."""

    def encode(self, samples: np.ndarray, lengths: np.ndarray, code_range: np.ndarray) -> Encoded:
        """Samples (B, S) float32, lengths (B,) int64 and the range of codes (2,) int64 to `Encoded`."""

    def decode(self, codes: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Codes (B, Q, F) int64 with frames (B,) int64 to samples (B, F * hop) float32."""

    def decode_part(self, codes: np.ndarray, frames: np.ndarray, anchor: Anchored | None = None) -> Synthesized:
        """The same of stretches of clips, with what the next stretch needs."""


class OnnxRunner:
    """Graphs that onnxruntime runs."""

    def __init__(
        self,
        encoder: str | os.PathLike[str],
        decoder: str | os.PathLike[str],
        *,
        threads: int | None = None,
        providers: tuple[str, ...] = ("CPUExecutionProvider",),
    ) -> None:
        """Load two files; `threads` None leaves their number to onnxruntime. Raises ImportError without the extra."""
        self._given = (os.path.abspath(encoder), os.path.abspath(decoder), threads, providers)
        self._open()

    def __getstate__(self) -> tuple[Any, ...]:
        """What is pickled: where the graphs are, and how to run them."""
        return self._given

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._given = state
        self._open()

    def _open(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(missing("running an ONNX export", "onnxruntime", "onnx")) from error
        encoder, decoder, threads, providers = self._given
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; its warnings are about the graph's own tidiness
        if threads is not None:
            options.intra_op_num_threads = threads
        self._encoder = onnxruntime.InferenceSession(encoder, options, providers=list(providers))
        self._decoder = onnxruntime.InferenceSession(decoder, options, providers=list(providers))
        self._process = os.getpid()

    def _reopen_after_a_fork(self) -> None:
        """A forked child has none of the sessions' threads, and would wait for them for ever."""
        if self._process != os.getpid():
            # Kept: their end would wait for those threads as well.
            _OF_PARENTS.extend((self._encoder, self._decoder))
            self._open()

    def encode(self, samples: np.ndarray, lengths: np.ndarray, code_range: np.ndarray) -> Encoded:
        """As `Runner` says."""
        self._reopen_after_a_fork()
        inputs = {"samples": samples, "lengths": lengths, "code_range": code_range}
        return Encoded(*self._encoder.run([name for name, _, _ in folders.ENCODER_OUTPUTS], inputs))

    def decode(self, codes: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """As `Runner` says."""
        return self.decode_part(codes, frames).samples

    def decode_part(self, codes: np.ndarray, frames: np.ndarray, anchor: Anchored | None = None) -> Synthesized:
        """As `Runner` says."""
        self._reopen_after_a_fork()
        inputs = {"codes": codes, "frames": frames}
        if any(graph_input.name == "cycles" for graph_input in self._decoder.get_inputs()):
            inputs["frame"], inputs["cycles"] = _anchored(anchor, len(codes))
        return Synthesized(*self._decoder.run(None, inputs))


class TorchExportRunner:
    """Programs of torch.export."""

    def __init__(self, encoder: str | os.PathLike[str], decoder: str | os.PathLike[str]) -> None:
        """Load two `.pt2` files."""
        self._encoder: Any = torch.export.load(Path(encoder)).module()
        program = torch.export.load(Path(decoder))
        self._anchors = len(program.graph_signature.user_inputs) > len(folders.DECODER_INPUTS)
        self._decoder: Any = program.module()

    def encode(self, samples: np.ndarray, lengths: np.ndarray, code_range: np.ndarray) -> Encoded:
        """As `Runner` says."""
        with torch.no_grad():
            outputs = self._encoder(*(torch.from_numpy(array) for array in (samples, lengths, code_range)))
        return Encoded(*(tensor.numpy() for tensor in outputs))

    def decode(self, codes: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """As `Runner` says."""
        return self.decode_part(codes, frames).samples

    def decode_part(self, codes: np.ndarray, frames: np.ndarray, anchor: Anchored | None = None) -> Synthesized:
        """As `Runner` says."""
        inputs = [codes, frames, *(_anchored(anchor, len(codes)) if self._anchors else ())]
        with torch.no_grad():
            outputs = self._decoder(*(torch.from_numpy(array) for array in inputs))
        return Synthesized(*(tensor.numpy() for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))))


def _anchored(anchor: Anchored | None, items: int) -> tuple[np.ndarray, np.ndarray]:
    frame, cycles = (0, np.zeros(items)) if anchor is None else anchor
    return np.array([frame], dtype=np.int64), np.asarray(cycles, dtype=np.float64)


def padded(items: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Items (..., N_i) as one batch (B, ..., N) filled up with zeros, and their lengths (B,) int64."""
    lengths = np.array([item.shape[-1] for item in items], dtype=np.int64)
    batch = np.zeros((len(items), *items[0].shape[:-1], int(lengths.max())), dtype=items[0].dtype)
    for row, item in zip(batch, items, strict=True):
        row[..., : item.shape[-1]] = item
    return batch, lengths
