"""LLM-Codec: a 16 kHz, 50 tokens/s, one-codebook neural audio codec made for language models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundcodec_llmcodec.codec import list_codec, load_codec
    from soundcodec_llmcodec.config import CodecConfig
    from soundcodec_llmcodec.llmcodec import LLMCodec
    from soundcodec_llmcodec.superb.register import register, unregister
    from soundcodec_llmcodec.tokens import Tokens

__version__ = "0.2.0.dev0"
__all__ = ["CodecConfig", "LLMCodec", "Tokens", "list_codec", "load_codec", "register", "unregister"]

# Imported when first asked for, so that `llmcodec --help` does not wait for torch.
_HOMES = {
    "CodecConfig": "config",
    "LLMCodec": "llmcodec",
    "Tokens": "tokens",
    "list_codec": "codec",
    "load_codec": "codec",
    "register": "superb.register",
    "unregister": "superb.register",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
