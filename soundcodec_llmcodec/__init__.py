"""LLM-Codec: a 16 kHz, 50 tokens/s, one-codebook neural audio codec made for language models."""


from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec

from soundcodec_llmcodec.tokens import Tokens

__version__ = "0.1.0"
__all__ = ["CodecConfig", "LLMCodec", "Tokens", "list_codec", "load_codec", "register"]
