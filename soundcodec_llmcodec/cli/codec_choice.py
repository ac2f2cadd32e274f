"""The codec that --codec or --checkpoint and --device name."""

from __future__ import annotations

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.llmcodec import LLMCodec

TOKEN_ENDING = ".llmc"


def load_codec(checkpoint: str | None, device: str) -> LLMCodec:
    """The codec of that name, folder, file or hub id (the default one where None) on `device`."""
    return LLMCodec.from_pretrained(checkpoints.resolve(checkpoint=checkpoint), device=device)
