"""What a codec makes of an excerpt: tokens, sound, numbers.

Letters: F frames, Q codebook levels, S samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soundcodec_llmcodec.listening import code_pictures
from soundcodec_llmcodec.listening.page_measures import MEASURES, Value
from soundcodec_llmcodec.listening.recordings import Excerpt, rounded
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.measures.code_use import CodeUse
from soundcodec_llmcodec.tokens import dumps

HASH_SHOWN = 8


@dataclass(frozen=True)
class Player:
    """A codec with its name on the page and its codes' colours, a palette uint8 (V, 3) a level."""

    label: str
    codec: LLMCodec
    palettes: list[np.ndarray]


@dataclass(frozen=True)
class ExcerptReconstruction:
    """`samples` float32 (S,) at the original's rate, as 16-bit audio holds them, made of `codes` int64 (Q, F).

    `stored_bytes` is the size of the .llmc file, `bitrate_bps` what a second of tokens takes at log2(V) bits each.
    """

    label: str
    samples: np.ndarray
    codes: np.ndarray
    strip: bytes
    frame_seconds: float
    bitrate_bps: float
    stored_bytes: int
    use: CodeUse
    values: tuple[Value, ...]


def players(codecs: list[LLMCodec]) -> list[Player]:
    """The codecs with the names that tell them apart: a codec's own, with its hash where several have one name."""
    names = [codec.name for codec in codecs]
    named = []
    for codec in codecs:
        label = codec.name if names.count(codec.name) == 1 else f"{codec.name} ({codec.weights_hash[:HASH_SHOWN]})"
        levels = codec.model.tokenizer.vq.levels
        named.append(
            Player(label, codec, [code_pictures.colours(level.codebook.detach().cpu().numpy()) for level in levels])
        )
    return named


def reconstruct(player: Player, excerpt: Excerpt) -> ExcerptReconstruction:
    """Code the mean of an excerpt's channels, decode it, and measure the one against the other."""
    rate, original = excerpt.clip.sampling_rate, excerpt.mono
    tokens = player.codec.encode(original, rate)
    samples = rounded(player.codec.decode(tokens))
    codes = tokens.codes[0].numpy()
    return ExcerptReconstruction(
        label=player.label,
        samples=samples,
        codes=codes,
        strip=code_pictures.strip(codes, player.palettes),
        frame_seconds=1 / tokens.frame_rate,
        bitrate_bps=tokens.bitrate_bps,
        stored_bytes=len(dumps(tokens)),
        use=CodeUse.of(codes),
        values=tuple(measure.compute(original, samples, rate) for measure in MEASURES),
    )
