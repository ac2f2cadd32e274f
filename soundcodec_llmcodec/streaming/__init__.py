"""Streams: ids to samples and samples to ids bit by bit, in bounded memory, with the look-ahead stated."""

from soundcodec_llmcodec.streaming.decoder import StreamDecoder
from soundcodec_llmcodec.streaming.encoder import StreamEncoder
from soundcodec_llmcodec.streaming.stream import CHUNK_FRAMES, StreamError

__all__ = ["CHUNK_FRAMES", "StreamDecoder", "StreamEncoder", "StreamError"]
