"""The registry, as SoundCodec.codec: load a codec by name, list the names, ask whether it decodes."""

from __future__ import annotations

import os

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.nearest import did_you_mean
from soundcodec_llmcodec.superb.adapter import Codec, codec_class


class UnknownCodecError(ValueError):
    """A name that is not in the registry."""


def load_codec(
    name: str = checkpoints.DEFAULT_NAME,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | None = None,
    optimize: str | None = None,
) -> Codec:
    """The codec `name`, with Codec-SUPERB's methods and, as `.codec`, the LLMCodec itself.

    "llmcodec" is the bundled checkpoint, offline; `checkpoint` (a folder, a file or a hub id) or $LLMCODEC_CHECKPOINT
    puts another in its place. The other names are the published checkpoints on the Hugging Face hub. `device` is "cpu"
    unless it or $LLMCODEC_DEVICE names another. `optimize` is None (the default: every number as it should be),
    "bf16-decoder" (audio changes a little) or "bf16" (some tokens change too), both faster. Raises UnknownCodecError,
    or checkpoints.CheckpointError where the weights cannot be had or the device cannot be used.
    """
    return codec_class(_checked(name))(checkpoint, device, optimize=optimize)


def list_codec() -> list[str]:
    """The names that `load_codec` takes, sorted."""
    return sorted(checkpoints.NAMES)


def codec_supports_decode(name: str) -> bool:
    """Whether the codec turns tokens into audio again; known without loading it. Raises UnknownCodecError."""
    return codec_class(_checked(name)).supports_decode


def _checked(name: str) -> str:
    if name in checkpoints.NAMES:
        return name
    hint = did_you_mean(str(name), checkpoints.NAMES, ".")
    names = ", ".join(list_codec())
    raise UnknownCodecError(
        f"no codec is called {name!r}{hint} The codecs are: {names}. For weights of your own, pass checkpoint=..."
    )
