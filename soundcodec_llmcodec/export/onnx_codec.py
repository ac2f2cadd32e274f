"""OnnxCodec: an exported folder as a codec, run by onnxruntime.

Letters: S samples, F frames, Q codebook levels.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from soundcodec_llmcodec import coding
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.export import export_folder as folders
from soundcodec_llmcodec.export.export_folder import ExportError
from soundcodec_llmcodec.export.runners import Anchored, OnnxRunner, padded
from soundcodec_llmcodec.forking import one_thread_after_forks
from soundcodec_llmcodec.llmcodec import LLMCodec


class OnnxCodec(LLMCodec):
    """A folder of `llmcodec export --onnx`, which is all that it needs: `encode`, `decode` and their batches.

    They keep LLMCodec's promises: n samples in, n samples out, at the caller's rate; one clip has the same tokens alone
    and in a batch; clips longer than `chunk_frames` are coded in chunks, which with a bounded attention window is
    exact. Tokens have the hash of the codec that was exported, so that either decodes the other's. What needs the
    PyTorch model itself (streams, saving) raises ExportError.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        threads: int | None = None,
        providers: tuple[str, ...] = ("CPUExecutionProvider",),
        chunk_frames: int = coding.CHUNK_FRAMES,
    ) -> None:
        """Load a folder; `threads` and `providers` are onnxruntime's (None: as many threads as it likes).

        Raises ExportError where the folder is no whole ONNX export, ImportError without the extra `onnx`.
        """
        one_thread_after_forks()
        described, config = folders.read_description(folder, folders.ONNX)
        # The decoder's graph takes all levels; for fewer, export codec.with_levels(N).
        self.config = dataclasses.replace(config, level_choices=())
        self.name = str(described.get("codec_name"))
        self.info = dict(described.get("info") or {})
        self.chunk_frames = chunk_frames
        self.optimize = None
        self._codec_hash = str(described["codec_hash"])
        paths = (Path(folder) / described[part]["file"] for part in ("encoder", "decoder"))
        self._runner = OnnxRunner(*paths, threads=threads, providers=providers)

    @classmethod
    def from_pretrained(
        cls,
        path_or_repo: str | os.PathLike[str] = "",
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        device: str | torch.device = "cpu",
        optimize: str | None = None,
        levels: int | None = None,
    ) -> OnnxCodec:
        """The codec of an exported folder on the CPU; the class itself takes other providers."""
        if optimize is not None:
            raise ExportError("an exported codec runs as it was exported; optimize is LLMCodec's")
        if levels is not None:
            raise ExportError("an exported codec has the levels that it was exported with; export codec.with_levels(N)")
        if revision is not None or torch.device(device).type != "cpu":
            raise ExportError("an exported folder has no revisions, and its device is chosen by OnnxCodec(providers=)")
        return cls(path_or_repo)

    @classmethod
    def random(cls, config: CodecConfig, seed: int = 0) -> NoReturn:
        """Not here: export a codec of LLMCodec.random."""
        raise ExportError("an exported codec is read from a folder; export LLMCodec.random(config) instead")

    @property
    def model(self) -> NoReturn:  # type: ignore[override]
        """Not here: graphs are no PyTorch model."""
        raise ExportError("an exported codec has no PyTorch model; use LLMCodec for streams, saving and training")

    @property
    def device(self) -> torch.device:
        """Where samples and codes come out: the CPU."""
        return torch.device("cpu")

    @property
    def weights_hash(self) -> str:
        """The hash of the codec that was exported, 64 hex digits."""
        return self._codec_hash

    # -- the core, at the codec's own rate -------------------------------------------------------------------------
    def encode_samples(self, samples: Tensor, *, domain: str | None = None, progress: bool = False) -> Tensor:
        """Mono samples (S,) at `config.sample_rate` to codes (Q, F) int64, F = ceil(S / hop_length)."""
        coding.check_samples(samples)
        config, hop = self.config, self.config.hop_length
        frames = config.frames(samples.shape[0])
        if frames <= self.chunk_frames:
            return self._encode([samples], domain)[0][0]
        codes = torch.empty(config.num_quantizers, frames, dtype=torch.int64, device="cpu")
        chunks = coding.chunks(config, frames, "encode", self.chunk_frames, progress)
        for first, last, low, high in chunks:
            # The graph reflects each chunk at its ends; that reaches less far than the context that is cut off.
            part = self._encode([samples[low * hop : high * hop]], domain)[0][0]
            codes[:, first:last] = part[:, first - low : last - low]
        return codes

    def encode_samples_batch(self, samples: Sequence[Tensor], *, domain: str | None = None) -> list[Tensor]:
        """`encode_samples` of each (S_i,), in padded batches; an item that meets a near-tie is decided alone."""
        for index, item in enumerate(samples):
            with coding.naming(index, len(samples)):
                coding.check_samples(item)
        results: dict[int, Tensor] = {}
        for group in coding.groups(
            [self.config.frames(item.shape[0]) for item in samples], self.chunk_frames, self.config, self.device
        ):
            if len(group) > 1:
                for index, (codes, settled) in zip(
                    group, self._encode([samples[index] for index in group], domain), strict=True
                ):
                    if settled:
                        results[index] = codes
        return [
            results[index] if index in results else self.encode_samples(item, domain=domain)
            for index, item in enumerate(samples)
        ]

    def decode_codes(self, codes: Tensor, n_samples: int | None = None, *, progress: bool = False) -> Tensor:
        """Codes (Q, F) to samples (S,) at `config.sample_rate`; S is n_samples or F * hop_length."""
        coding.check_codes(codes, self.config)
        coding.check_length(codes, n_samples, self.config)
        config, hop, frames = self.config, self.config.hop_length, codes.shape[1]
        if frames <= self.chunk_frames:
            return self._decode([codes])[0][:n_samples]
        samples = torch.empty(frames * hop, dtype=torch.float32, device="cpu")
        chunks = coding.chunks(config, frames, "decode", self.chunk_frames, progress)
        cycles = None  # of the harmonic source at the next chunk's first frame
        for first, last, low, high in chunks:
            anchor = None if cycles is None else Anchored(first - low, cycles)
            synthesized = self._runner.decode_part(
                codes[None, :, low:high].cpu().numpy(), np.array([high - low]), anchor
            )
            part = torch.from_numpy(synthesized.samples[0, (first - low) * hop : (last - low) * hop])
            samples[first * hop : last * hop] = part
            cycles = None if synthesized.cycles is None or last == frames else synthesized.cycles[:, last - low]
        return samples[:n_samples]

    def decode_codes_batch(
        self, codes: Sequence[Tensor], n_samples: Sequence[int | None] | None = None
    ) -> list[Tensor]:
        """`decode_codes` of each (Q, F_i)."""
        lengths = [None] * len(codes) if n_samples is None else list(n_samples)
        for index, (item, length) in enumerate(zip(codes, lengths, strict=True)):
            with coding.naming(index, len(codes)):
                coding.check_codes(item, self.config)
                coding.check_length(item, length, self.config)
        results: dict[int, Tensor] = {}
        for group in coding.groups([item.shape[1] for item in codes], self.chunk_frames, self.config, self.device):
            if len(group) > 1:
                results.update(zip(group, self._decode([codes[index] for index in group]), strict=True))
        return [
            results[index][:length] if index in results else self.decode_codes(codes[index], length)
            for index, length in enumerate(lengths)
        ]

    # -- one run of a graph ----------------------------------------------------------------------------------------
    def _encode(self, samples: Sequence[Tensor], domain: str | None) -> list[tuple[Tensor, bool]]:
        """For each clip (S_i,) its codes (Q, F_i), and whether no near-tie was met."""
        batch, lengths = padded([item.detach().cpu().float().numpy() for item in samples])
        encoded = self._runner.encode(batch, lengths, np.array(self.config.partition(domain), dtype=np.int64))
        results = []
        for codes, margins, frames in zip(encoded.codes, encoded.margins, encoded.frames, strict=True):
            settled = not (margins[:, :frames] < coding.TIE_MARGIN).any()
            results.append((torch.from_numpy(codes[:, :frames].copy()), settled))
        return results

    def _decode(self, codes: Sequence[Tensor]) -> list[Tensor]:
        """For each codes (Q, F_i) its samples (F_i * hop,)."""
        batch, frames = padded([item.cpu().numpy() for item in codes])
        samples = self._runner.decode(batch, frames)
        hop = self.config.hop_length
        return [torch.from_numpy(row[: n * hop].copy()) for row, n in zip(samples, frames.tolist(), strict=True)]
