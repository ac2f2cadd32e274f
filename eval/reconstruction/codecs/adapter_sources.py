"""A digest of what an adapter does with audio; it is a part of `CodecInfo.identity`."""

from __future__ import annotations

import functools
import importlib.metadata
from pathlib import Path

from eval.harness import fingerprints


@functools.cache
def of_adapter(*files: str) -> str:
    """Digest of an adapter's sources (each its __file__) and of what brings clips to a codec's rate and back."""
    import soundcodec_llmcodec.audio

    shaping, audio = Path(__file__).with_name("shaping.py"), Path(soundcodec_llmcodec.audio.__file__)
    sources = fingerprints.of_sources(*map(Path, files), shaping, audio)
    return f"adapter {sources[:16]}; soxr {importlib.metadata.version('soxr')}"
