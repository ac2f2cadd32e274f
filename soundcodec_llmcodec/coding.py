"""Runs the model over clips of any length: padded batches, masks, and chunks for long audio.

Everything here is at the codec's own rate. Letters: B batch, S samples, F frames, Q codebook levels.

A clip longer than `chunk_frames` is coded in chunks, each with as many frames of context on either side as can change
its result. With a bounded attention window that is every frame that matters, so chunks give what the whole clip gives;
with whole-clip attention the context is UNBOUNDED_CONTEXT frames and the codes are close, not equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.harmonics import Anchor
from soundcodec_llmcodec.nn.model import CodecModel, framed_samples

CHUNK_FRAMES = 1_536
UNBOUNDED_CONTEXT = 256
# Padded frames of a batch. On a CPU the widest layer's numbers are to stay in the cache, and small batches fill the
# cores already.
BATCH_FRAMES = 4_096
BATCH_ELEMENTS_CPU = 1 << 19
# float32 rounding moves a lead by up to 3e-7 with a batch's shape (measured on 60 clips of speech). A code that leads
# the next by less than this is looked at again alone, so that a batch decides a near-tie as the single clip does.
TIE_MARGIN = 5e-6


class CodecInputError(ValueError):
    """Samples or codes that the model cannot run on, with what came and what was expected."""


@contextmanager
def exact_inference(model: CodecModel) -> Iterator[None]:
    """Eval mode, no gradients, and float32 products in float32: neither the caller's autocast nor TF32 gets in."""
    device = _device(model)
    # Part by part: a codec in training may keep some of its parts in eval mode.
    training = [part for part in model.modules() if part.training]
    for part in training:
        part.training = False
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False), _no_tf32(device):
            yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def _no_tf32(device: torch.device) -> Iterator[None]:
    """TF32 off, where there is such a thing: on CUDA, by whichever of PyTorch's two interfaces this release has."""
    if device.type != "cuda":
        yield
        return
    switches: list[tuple[Any, str, Any]]
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        conv = torch.backends.cudnn.conv  # type: ignore[attr-defined]
        switches = [(torch.backends.cuda.matmul, "fp32_precision", "ieee"), (conv, "fp32_precision", "ieee")]
    else:
        switches = [(torch.backends.cuda.matmul, "allow_tf32", False), (torch.backends.cudnn, "allow_tf32", False)]
    before = [getattr(owner, name) for owner, name, _ in switches]
    for owner, name, value in switches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


def encode(model: CodecModel, samples: Tensor, domain: str | None, chunk_frames: int, progress: bool = False) -> Tensor:
    """Samples (S,) to codes (Q, F) on the CPU."""
    check_samples(samples)
    config = model.config
    with exact_inference(model):
        if config.frames(samples.shape[0]) <= chunk_frames:
            padded = framed_samples(samples, config)[None].to(_device(model))
            return model.encode(padded, None, domain)[0].cpu()
        frames = config.frames(samples.shape[0])
        codes = torch.empty(config.num_quantizers, frames, dtype=torch.int64, device="cpu")
        for first, last, low, high in chunks(config, frames, "encode", chunk_frames, progress):
            padded = framed_samples(samples, config, low, high)[None].to(_device(model))
            codes[:, first:last] = model.encode(padded, None, domain)[0, :, first - low : last - low].cpu()
        return codes


def encode_batch(model: CodecModel, samples: Sequence[Tensor], domain: str | None, chunk_frames: int) -> list[Tensor]:
    """Samples (S_i,) to codes (Q, F_i), each what `encode` gives it alone."""
    for index, item in enumerate(samples):
        with naming(index, len(samples)):
            check_samples(item)
    config = model.config
    frames = [config.frames(item.shape[0]) for item in samples]
    results: list[Tensor | None] = [None] * len(samples)
    for group in groups(frames, chunk_frames, model.config, _device(model)):
        if len(group) > 1:
            codes, settled = _encode_group(model, [samples[i] for i in group], [frames[i] for i in group], domain)
            for position, index in enumerate(group):
                if settled[position]:
                    results[index] = codes[position, :, : frames[index]].clone()
    return [
        encode(model, samples[index], domain, chunk_frames) if result is None else result
        for index, result in enumerate(results)
    ]


def decode(model: CodecModel, codes: Tensor, chunk_frames: int, progress: bool = False) -> Tensor:
    """Codes (Q, F) to samples (F * hop,) on the CPU."""
    check_codes(codes, model.config)
    config, frames = model.config, codes.shape[1]
    with exact_inference(model):
        if frames <= chunk_frames:
            return model.decode(codes[None].to(_device(model)))[0].cpu()
        hop = config.hop_length
        samples = torch.empty(frames * hop, dtype=torch.float32, device="cpu")
        cycles = None  # of the harmonic source at the next chunk's first frame
        for first, last, low, high in chunks(config, frames, "decode", chunk_frames, progress):
            anchor = None if cycles is None else Anchor(first - low, cycles)
            part = model.decode_part(codes[None, :, low:high].to(_device(model)), None, anchor)
            samples[first * hop : last * hop] = part.samples[0, (first - low) * hop : (last - low) * hop].cpu()
            cycles = None if part.cycles is None or last == frames else part.cycles[:, last - low]
        return samples


def decode_batch(model: CodecModel, codes: Sequence[Tensor], chunk_frames: int) -> list[Tensor]:
    """Codes (Q, F_i) to samples (F_i * hop,), each what `decode` gives it alone (to float32 rounding)."""
    for index, item in enumerate(codes):
        with naming(index, len(codes)):
            check_codes(item, model.config)
    frames = [item.shape[1] for item in codes]
    results: list[Tensor | None] = [None] * len(codes)
    by_levels: dict[int, list[int]] = {}
    for index, item in enumerate(codes):
        by_levels.setdefault(len(item), []).append(index)
    for levels, indices in by_levels.items():
        of_these = groups([frames[i] for i in indices], chunk_frames, model.config, _device(model))
        for group in ([indices[i] for i in places] for places in of_these):
            if len(group) == 1:
                continue
            mask = _frame_mask([frames[i] for i in group])
            shape = (len(group), levels, mask.shape[1])
            padded = torch.zeros(shape, dtype=torch.int64, device="cpu")
            for position, index in enumerate(group):
                padded[position, :, : frames[index]] = codes[index]
            with exact_inference(model):
                samples = model.decode(padded.to(_device(model)), mask.to(_device(model))).cpu()
            for position, index in enumerate(group):
                results[index] = samples[position, : frames[index] * model.config.hop_length].clone()
    return [
        decode(model, codes[index], chunk_frames) if result is None else result for index, result in enumerate(results)
    ]


@contextmanager
def naming(index: int, count: int) -> Iterator[None]:
    """Put the item's place in a batch before an error's message."""
    try:
        yield
    except ValueError as error:
        raise type(error)(f"item {index} of {count}: {error}") from error


def check_samples(samples: Tensor) -> None:
    """Raise CodecInputError unless samples is (S,) finite floats with S >= 1."""
    if samples.ndim != 1 or not samples.is_floating_point():
        raise CodecInputError(f"expected mono float samples (S,), got shape {tuple(samples.shape)} {samples.dtype}")
    if samples.shape[0] == 0:
        raise CodecInputError("the clip is empty (0 samples); a clip needs at least one sample")
    if not torch.isfinite(samples).all():
        bad = int((~torch.isfinite(samples)).sum())
        raise CodecInputError(f"{bad} of {samples.shape[0]} samples are NaN or infinite; clean the clip first")


def check_codes(codes: Tensor, config: CodecConfig) -> None:
    """Raise CodecInputError unless codes is (Q, F) int64 in range with F >= 1."""
    if codes.ndim != 2 or codes.shape[0] not in config.levels_to_decode or codes.dtype != torch.int64:
        expected = f"({' or '.join(map(str, config.levels_to_decode))}, F) int64"
        raise CodecInputError(f"expected codes {expected}, got shape {tuple(codes.shape)} {codes.dtype}")
    if codes.shape[1] == 0:
        raise CodecInputError("no codes to decode (0 frames); at least one frame is needed")
    wrong = codes[(codes < 0) | (codes >= config.codebook_size)]
    if len(wrong):
        raise CodecInputError(f"codes {wrong[:5].tolist()} are outside [0, {config.codebook_size})")


def check_length(codes: Tensor, n_samples: int | None, config: CodecConfig) -> None:
    """Raise CodecInputError unless codes (Q, F) hold n_samples samples (None: all of them)."""
    most = codes.shape[-1] * config.hop_length
    if n_samples is not None and not 1 <= n_samples <= most:
        raise CodecInputError(f"{codes.shape[-1]} frames hold 1 to {most} samples, not {n_samples}")


def _encode_group(
    model: CodecModel, samples: Sequence[Tensor], frames: Sequence[int], domain: str | None
) -> tuple[Tensor, list[bool]]:
    """Codes (B, Q, F) of a padded batch, and for each item whether no near-tie was met."""
    mask = _frame_mask(frames)
    width = (mask.shape[1] - 1) * model.config.hop_length + model.config.n_fft
    padded = torch.zeros(len(samples), width, dtype=torch.float32, device="cpu")
    for position, item in enumerate(samples):
        framed = framed_samples(item, model.config)
        padded[position, : framed.shape[0]] = framed
    with exact_inference(model):
        start, end = model.config.partition(domain)
        quantized = model.tokenizer(padded.to(_device(model)), mask.to(_device(model)), start, end, want_margins=True)
    if quantized.margins is None:
        return quantized.codes.cpu(), [True] * len(samples)
    close = (quantized.margins.cpu() < TIE_MARGIN) & mask[:, None, :]
    return quantized.codes.cpu(), [not bool(item.any()) for item in close]


def _frame_mask(frames: Sequence[int]) -> Tensor:
    """(B, F) bool: each item's own frames."""
    return torch.arange(max(frames), device="cpu")[None] < torch.tensor(list(frames), device="cpu")[:, None]


def groups(frames: Sequence[int], chunk_frames: int, config: CodecConfig, device: torch.device) -> Iterator[list[int]]:
    """Indices in batches of similar length, of as many padded frames as suit the device; long clips go alone."""
    most = BATCH_FRAMES
    if device.type == "cpu":
        most = min(most, max(1, BATCH_ELEMENTS_CPU // (config.hidden_size * config.ffn_mult)))
    group: list[int] = []
    for index in sorted(range(len(frames)), key=lambda i: -frames[i]):
        longest = frames[group[0]] if group else frames[index]
        if group and (longest * (len(group) + 1) > most or longest > chunk_frames):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def chunks(
    config: CodecConfig, frames: int, label: Literal["encode", "decode"], chunk_frames: int, progress: bool
) -> Iterator[tuple[int, int, int, int]]:
    """(first, last, low, high): frames [first, last) to keep from a run over [low, high)."""
    encodes = label == "encode"
    context = config.encoder_context if encodes else config.context_frames(config.decoder_layers)
    # Whole blocks keep attention's blocks, and the semantic branch's, where they lie in the whole clip.
    grid = config.chunk_grid if encodes else config.attention_window or 1
    context = -(-(UNBOUNDED_CONTEXT if context is None else context) // grid) * grid
    chunk_frames = max(grid, chunk_frames // grid * grid)
    starts = range(0, frames, chunk_frames)
    for first in tqdm(starts, desc=label, unit="chunk", disable=not progress):
        last = min(first + chunk_frames, frames)
        yield first, last, max(0, first - context), min(frames, last + context)


def _device(model: CodecModel) -> torch.device:
    return next(model.parameters()).device
