"""What a codec makes of an excerpt: tokens, sound, numbers.

Letters: F frames, Q codebook levels, S samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soundcodec_llmcodec import tokens
from soundcodec_llmcodec.listening import code_pictures as codes
from soundcodec_llmcodec.listening.code_pictures import CodeUse
from soundcodec_llmcodec.listening.page_measures import MEASURES, Value
from soundcodec_llmcodec.listening.recordings import Excerpt, rounded
from soundcodec_llmcodec.llmcodec import LLMCodec

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
    made = []
    for codec in codecs:
        label = codec.name if names.count(codec.name) == 1 else f"{codec.name} ({codec.weights_hash[:HASH_SHOWN]})"
        levels = codec.model.tokenizer.vq.levels
        made.append(Player(label, codec, [codes.colours(level.codebook.detach().cpu().numpy()) for level in levels]))
    return made


def reconstruct(player: Player, excerpt: Excerpt) -> ExcerptReconstruction:
    """Code the mean of an excerpt's channels, decode it, and measure the one against the other."""
    rate, original = excerpt.clip.sampling_rate, excerpt.mono
    made = player.codec.encode(original, rate)
    samples = rounded(player.codec.decode(made))
    codes_of = made.codes[0].numpy()
    return ExcerptReconstruction(
        label=player.label,
        samples=samples,
        codes=codes_of,
        strip=codes.strip(codes_of, player.palettes),
        frame_seconds=1 / made.frame_rate,
        bitrate_bps=made.bitrate_bps,
        stored_bytes=len(tokens.dumps(made)),
        use=codes.use(codes_of),
        values=tuple(measure.compute(original, samples, rate) for measure in MEASURES),
    )
