"""Writing a codec's graphs, as ONNX or as programs of torch.export: checked against the codec, and whole or not at all.

Both come from the same programs, whose every length is free.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.coding import TIE_MARGIN
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.export import export_folder as folders
from soundcodec_llmcodec.export.agreement import Agreement, check
from soundcodec_llmcodec.export.export_folder import ONNX, TORCH_EXPORT, ExportError
from soundcodec_llmcodec.export.graphs import DecoderGraph, EncoderGraph
from soundcodec_llmcodec.export.runners import OnnxRunner, Runner, TorchExportRunner
from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import CodecModel

# An ONNX file holds less than 2 GiB; larger weights go into a file of their own beside it.
_MOST_BYTES_INSIDE = 1_900_000_000


def write_onnx(codec: LLMCodec, folder: str | os.PathLike[str]) -> Agreement:
    """Write `encoder.onnx`, `decoder.onnx` and `codec.json` into a folder, once they agree with the codec.

    The folder is new, empty, or an earlier export, which this one replaces. Raises ExportError where it is anything
    else, the codec cannot be exported or the graphs disagree with it, and ImportError without the extra `onnx`.
    """
    onnx_packages()
    return _write(codec, folder, ONNX)


def write_torch_export(codec: LLMCodec, folder: str | os.PathLike[str]) -> Agreement:
    """Write `encoder.pt2`, `decoder.pt2` and `codec.json` as `write_onnx` does; nothing but torch is needed."""
    return _write(codec, folder, TORCH_EXPORT)


def onnx_packages() -> None:
    """Raise ImportError, naming the extra, where a package that writes or checks ONNX is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(missing("exporting to ONNX", str(error.name), "onnx")) from error


def programs(model: CodecModel) -> tuple[Any, Any]:
    """The encoder and the decoder as programs of torch.export whose batch and lengths are free."""
    config = model.config
    batch, samples, frames = (torch.export.Dim(name) for name in ("batch", "samples", "frames"))
    # Any example does: the programs hold none of its sizes.
    n = 3 * config.hop_length + 1
    clips = (torch.zeros(2, n), torch.tensor([n, 1]), torch.tensor(config.partition(None)))
    codes: tuple[Any, ...] = (torch.zeros(2, config.num_quantizers, 4, dtype=torch.int64), torch.tensor([4, 1]))
    free: tuple[Any, ...] = ({0: batch, 2: frames}, {0: batch})
    if config.harmonics is not None:
        codes, free = (*codes, torch.tensor([1]), torch.zeros(2, dtype=torch.float64)), (*free, None, {0: batch})
    with torch.no_grad(), _quiet():
        encoder = torch.export.export(
            EncoderGraph(model).eval(), clips, dynamic_shapes=({0: batch, 1: samples}, {0: batch}, None)
        )
        decoder = torch.export.export(DecoderGraph(model).eval(), codes, dynamic_shapes=free)
    return encoder, decoder


def _decoder_ends(config: CodecConfig) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return folders.decoder_inputs(config), folders.decoder_outputs(config)


def _write(codec: LLMCodec, folder: str | os.PathLike[str], kind: str) -> Agreement:
    _check_config(codec.config)
    with folders.folder_written_whole(folder) as temporary:
        # A model of its own on the CPU: neither the caller's device nor its training mode matters or is changed.
        tensors = {name: tensor.detach().cpu() for name, tensor in codec.model.state_dict().items()}
        encoder, decoder = programs(checkpoints.build(codec.config, tensors, codec.name))
        paths = (temporary / f"encoder{folders.ENDINGS[kind]}", temporary / f"decoder{folders.ENDINGS[kind]}")
        if kind == ONNX:
            _save_onnx(encoder, paths[0], folders.ENCODER_INPUTS, folders.ENCODER_OUTPUTS)
            _save_onnx(decoder, paths[1], *_decoder_ends(codec.config))
        else:
            with _quiet():
                for program, path in zip((encoder, decoder), paths, strict=True):
                    torch.export.save(program, path)
        del encoder, decoder
        runner: Runner = OnnxRunner(*paths) if kind == ONNX else TorchExportRunner(*paths)
        agreement = check(codec, runner)
        checked = {**dataclasses.asdict(agreement), "tie_margin": TIE_MARGIN}
        folders.write_description(temporary, {**folders.describe(codec, kind), "checked": checked})
    return agreement


def _save_onnx(program: Any, path: Path, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
    held = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    with _quiet():
        torch.onnx.export(
            program,
            (),
            path,
            dynamo=True,
            input_names=[name for name, _, _ in inputs],
            output_names=[name for name, _, _ in outputs],
            external_data=held > _MOST_BYTES_INSIDE,
            verbose=False,
        )


def _check_config(config: CodecConfig) -> None:
    if config.n_fft % 2:
        raise ExportError(f"a codec with an odd n_fft ({config.n_fft}) cannot be exported: its graphs need an even one")
    semantic = config.semantic
    if semantic is not None and semantic.family != "whisper":
        raise ExportError(
            f"a codec whose frozen speech encoder is {semantic.teacher} cannot be exported as graphs: only Whisper's "
            "encoder is written out as one. Export a codec with semantic.teacher whisper-tiny.en or whisper-base"
        )
    if semantic is not None and semantic.context_frames > semantic.block_frames:
        raise ExportError(
            f"a semantic branch with more context ({semantic.context_frames} frames) than a block "
            f"({semantic.block_frames}) cannot be exported: its graph sees the two neighbours of a block only"
        )
    if config.codebook_size < 2:
        raise ExportError("a codec with one code only cannot be exported: there is no next code to compare with")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters' warnings off within the block: they are about torch's own insides and optional packages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
