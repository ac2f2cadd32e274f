"""The command info."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from soundcodec_llmcodec import checkpoints, tokens
from soundcodec_llmcodec.audio import resampled_length
from soundcodec_llmcodec.audio_files import blocks, opened
from soundcodec_llmcodec.checkpoint_files import WEIGHTS_ENDINGS
from soundcodec_llmcodec.cli.codec_choice import TOKEN_ENDING
from soundcodec_llmcodec.cli.command_errors import CommandError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.data import SOUND_ENDINGS
from soundcodec_llmcodec.llmcodec import LLMCodec


def info(arguments: argparse.Namespace) -> int:
    """`llmcodec info`: describe a token file, a sound file or a checkpoint on stdout."""
    path = Path(arguments.what)
    if not path.exists() and path.suffix.lower() in (*SOUND_ENDINGS, TOKEN_ENDING, *WEIGHTS_ENDINGS):
        raise CommandError(f"there is no file {path}")
    if path.is_file() and path.suffix.lower() not in WEIGHTS_ENDINGS:
        with path.open("rb") as file:
            is_tokens = file.read(len(tokens.MAGIC)) == tokens.MAGIC
        described = describe_tokens(path) if is_tokens or path.suffix.lower() == TOKEN_ENDING else describe_audio(path)
    else:
        described = describe_checkpoint(arguments.what)
    if arguments.json:
        print(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        width = max(len(name) for name in described)
        for name, value in described.items():
            print(f"{name:<{width}}  {_as_text(value)}")
    return 0


def describe_tokens(path: Path) -> dict[str, Any]:
    """What a token file holds. Raises TokenFileError."""
    clip = tokens.load(path)
    size = path.stat().st_size
    return {
        "kind": "tokens",
        "file": os.fspath(path),
        "duration_s": round(clip.duration_s, 6),
        "sampling_rate": clip.sampling_rate,
        "n_samples": clip.n_samples,
        "channels": clip.channels,
        "frames": len(clip),
        "frame_rate": clip.frame_rate,
        "num_quantizers": clip.num_quantizers,
        "codebook_size": clip.codebook_size,
        "codes_used": int(clip.codes.unique().numel()),
        "bitrate_bps": round(clip.bitrate_bps, 2),
        "file_bytes": size,
        "file_bitrate_bps": round(8 * size / clip.duration_s, 2),
        "codec_hash": clip.codec_hash,
        "codec_name": clip.codec_name,
    }


def describe_audio(path: Path) -> dict[str, Any]:
    """What a sound file's header says, and how many frames a codec of the usual rates makes of it.

    A file whose header states no length is read to its end."""
    config = CodecConfig()
    with opened(path) as file:
        n_samples = sum(map(len, blocks(file))) if file.frames is None else file.frames
        return {
            "kind": "audio",
            "file": os.fspath(path),
            "format": f"{file.format} {file.subtype}",
            "duration_s": round(n_samples / file.samplerate, 6),
            "sampling_rate": file.samplerate,
            "n_samples": n_samples,
            "channels": file.channels,
            "frames": config.frames(resampled_length(n_samples, file.samplerate, config.sample_rate)),
            "frame_rate": config.frame_rate,
            "file_bytes": path.stat().st_size,
        }


def describe_checkpoint(what: str) -> dict[str, Any]:
    """A checkpoint's rates, sizes and hash; a hub id or a published name is downloaded. Raises CheckpointError."""
    codec = LLMCodec.from_pretrained(checkpoints.resolve(what))
    config = codec.config
    return {
        "kind": "checkpoint",
        "name": codec.name,
        "hash": codec.weights_hash,
        "parameters": sum(parameter.numel() for parameter in codec.model.parameters()),
        "sample_rate": config.sample_rate,
        "hop_length": config.hop_length,
        "frame_rate": config.frame_rate,
        "num_quantizers": config.num_quantizers,
        "codebook_size": config.codebook_size,
        "codebook_dim": config.codebook_dim,
        "bitrate_bps": round(config.bitrate_bps, 2),
        "attention_window": config.attention_window,
        "domains": list(config.domains),
        "info": codec.info,
    }


def _as_text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False) if value else "-"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
