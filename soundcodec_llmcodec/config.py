"""What a codec is: one frozen description from which every rate and size follows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soundcodec_llmcodec.config_parts import (
    MAX_NUMBER,
    ConfigError,
    HarmonicConfig,
    JoinConfig,
    MagnitudeConfig,
    SemanticConfig,
    check_harmonics,
    check_magnitudes,
    check_number,
    check_semantic,
    described_part,
    part,
)
from soundcodec_llmcodec.setting import setting

__all__ = ["CodecConfig", "ConfigError", "HarmonicConfig", "JoinConfig", "MagnitudeConfig", "SemanticConfig"]

CONFIG_VERSION = 1
# A config may come from anywhere: audio is resampled to its rate, so an absurd one would ask for absurd memory.
_MAX_SAMPLE_RATE = 192_000


@dataclass(frozen=True)
class CodecConfig:
    """A codec of LLM-Codec's family. Rates are in Hz, lengths in samples at `sample_rate`."""

    sample_rate: int = setting(16_000, "samples a second, Hz")
    hop_length: int = setting(320, "samples of a frame")
    n_fft: int = setting(1_280, "samples of the window around a frame")
    hidden_size: int = setting(512, "features of a frame")
    encoder_layers: int = setting(8, "conformer layers before the codebook")
    decoder_layers: int = setting(12, "conformer layers after it")
    head_dim: int = setting(64, "features of an attention head")
    ffn_mult: int = setting(4, "features of the feed-forward over hidden_size")
    conv_kernel_size: int = setting(31, "frames of a conformer's convolution")
    attention_window: int | None = setting(
        None,
        "frames that attention sees on each side (null: the whole clip, as published); a number bounds the receptive "
        "field, which makes chunked coding of long audio exact",
    )
    num_quantizers: int = setting(1, "codebook levels")
    level_choices: tuple[int, ...] = setting(
        (),
        "numbers of levels that the decoder can be given: training draws one a step (quantizer dropout), and all "
        "levels are one of them (empty: all levels alone)",
    )
    codebook_size: int = setting(20_480, "codes of a level")
    codebook_dim: int = setting(8, "features of a code vector")
    codebook_partitions: tuple[tuple[str, int, int], ...] = setting(
        (), "a domain's name and the half-open range of codes that it may use, each"
    )
    magnitudes: MagnitudeConfig | None = setting(
        None, "what the encoder sees in place of log-magnitude and phase (null: those, as published)"
    )
    semantic: SemanticConfig | None = setting(None, "a frozen speech encoder beside it (null: none)")
    harmonics: HarmonicConfig | None = setting(None, "a pulse train at the pitch in the decoder (null: none)")

    def __post_init__(self) -> None:
        for name, kind in _PARTS.items():
            object.__setattr__(self, name, part(name, kind, getattr(self, name)))
        object.__setattr__(self, "level_choices", tuple(self.level_choices))
        partitions = tuple((str(name), int(start), int(end)) for name, start, end in self.codebook_partitions)
        object.__setattr__(self, "codebook_partitions", partitions)
        _check_numbers(self)
        _check_shapes(self)

    # -- what follows from the fields ------------------------------------------------------------------------------
    @property
    def frame_rate(self) -> float:
        """Frames a second, Hz."""
        return self.sample_rate / self.hop_length

    @property
    def token_rate(self) -> float:
        """Tokens a second over all codebook levels, Hz."""
        return self.frame_rate * self.num_quantizers

    @property
    def bitrate_bps(self) -> float:
        """Bits a second when every token is written at its full log2(codebook_size) bits."""
        return self.token_rate * math.log2(self.codebook_size)

    @property
    def stft_padding(self) -> int:
        """Samples of reflect padding on each side, so that frame k is centred on its own hop."""
        return (self.n_fft - self.hop_length) // 2

    @property
    def num_heads(self) -> int:
        """Attention heads a layer."""
        return self.hidden_size // self.head_dim

    @property
    def domains(self) -> tuple[str, ...]:
        """Names that `domain=` accepts."""
        return tuple(name for name, _, _ in self.codebook_partitions)

    def frames(self, n_samples: int) -> int:
        """Frames that cover n_samples samples at `sample_rate`: ceil(n / hop_length)."""
        if n_samples < 0:
            raise ValueError(f"a number of samples cannot be negative, got {n_samples}")
        return -(-n_samples // self.hop_length)

    def context_frames(self, layers: int) -> int | None:
        """Frames on each side that can change one frame's output after `layers` conformer layers; None if unbounded.

        The window and half the convolution kernel a layer, and the frames that overlap in the (inverse) STFT: as many
        as reach into a frame's hop through the inverse STFT and, before it, into a frame's window through the harmonic
        source. The semantic branch of an encoder adds `encoder_context`.
        """
        if self.attention_window is None:
            return None
        overlap = -(-self.n_fft // self.hop_length)
        return layers * (self.attention_window + self.conv_kernel_size // 2) + overlap

    @property
    def encoder_context(self) -> int | None:
        """Frames on each side that can change one frame's code; None if unbounded."""
        context = self.context_frames(self.encoder_layers)
        if context is None or self.semantic is None:
            return context
        semantic = self.semantic.block_frames + self.semantic.context_frames
        if self.semantic.join is None:
            return context + semantic
        # Beside the conformer and not before it.
        return max(context, (self.context_frames(0) or 0) + semantic + self.semantic.join.reach)

    @property
    def levels_to_decode(self) -> tuple[int, ...]:
        """Numbers of levels, rising, that tokens may have."""
        return self.level_choices or (self.num_quantizers,)

    def check_levels(self, levels: int) -> None:
        """Raise ValueError for a number of levels that the decoder was not made for."""
        if levels not in self.levels_to_decode:
            choices = ", ".join(map(str, self.levels_to_decode))
            raise ValueError(f"this codec's tokens have {choices} levels, not {levels!r}")

    @property
    def chunk_grid(self) -> int:
        """Frames of which a chunk's first is a multiple: the attention's blocks, and the semantic branch's."""
        window = self.attention_window or 1
        return window if self.semantic is None else math.lcm(window, self.semantic.block_frames)

    def partition(self, domain: str | None) -> tuple[int, int]:
        """The half-open range of codes that a domain may use; None is the whole codebook."""
        if domain is None:
            return 0, self.codebook_size
        for name, start, end in self.codebook_partitions:
            if name == domain:
                return start, end
        names = ", ".join(self.domains) or "none: this codec has one undivided codebook"
        raise ValueError(f"unknown domain {domain!r}; this codec's domains are: {names}")

    # -- to and from plain data ------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_dict` gives the same config back."""
        fields = dataclasses.asdict(self)
        fields["codebook_partitions"] = {name: [start, end] for name, start, end in self.codebook_partitions}
        for name in _PARTS:
            # What a codec does not have is left out: its description is what it was before there was such a part.
            if fields[name] is None:
                del fields[name]
            else:
                fields[name] = described_part(fields[name])
        if self.level_choices:
            fields["level_choices"] = list(self.level_choices)
        else:
            del fields["level_choices"]
        return {"config_version": CONFIG_VERSION, **fields}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CodecConfig:
        """The config that `to_dict` described. Raises ConfigError on unknown keys or another version."""
        fields = dict(data)
        version = fields.pop("config_version", CONFIG_VERSION)
        if version != CONFIG_VERSION:
            raise ConfigError(f"config version {version!r}; this release reads version {CONFIG_VERSION}")
        field_names = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - field_names)
        if unknown:
            raise ConfigError(f"unknown config keys {unknown}; known keys are {sorted(field_names)}")
        partitions = fields.get("codebook_partitions", ())
        if isinstance(partitions, Mapping):
            fields["codebook_partitions"] = tuple((name, *bounds) for name, bounds in partitions.items())
        return cls(**fields)

    @classmethod
    def preset(cls, name: str) -> CodecConfig:
        """A named config: 'published' (122.6 M parameters), 'compact' (ours), 'compact_phase' (9.7 M, compact before
        it saw magnitudes and a speech encoder's states) or 'tiny' (for tests)."""
        if name not in PRESETS:
            raise ConfigError(f"unknown preset {name!r}; presets are {sorted(PRESETS)}")
        return cls(**PRESETS[name])


def _check_numbers(config: CodecConfig) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in ("codebook_partitions", "level_choices", *_PARTS) or (
            field.name == "attention_window" and value is None
        ):
            continue
        check_number(field.name, value, _MAX_SAMPLE_RATE if field.name == "sample_rate" else MAX_NUMBER)


def _check_shapes(config: CodecConfig) -> None:
    if config.hidden_size % config.head_dim:
        raise ConfigError(f"hidden_size {config.hidden_size} is not a multiple of head_dim {config.head_dim}")
    if config.head_dim % 2:
        raise ConfigError(f"head_dim must be even, its halves are rotated against each other, got {config.head_dim}")
    if config.conv_kernel_size % 2 == 0:
        raise ConfigError(f"conv_kernel_size must be odd to keep the length, got {config.conv_kernel_size}")
    if config.n_fft < config.hop_length or (config.n_fft - config.hop_length) % 2:
        raise ConfigError(f"n_fft {config.n_fft} minus hop_length {config.hop_length} must be even and not negative")
    if config.magnitudes is not None:
        check_magnitudes(config.magnitudes, config)
    if config.semantic is not None:
        check_semantic(config.semantic, config)
    if config.harmonics is not None:
        check_harmonics(config.harmonics, config)
    choices = config.level_choices
    for levels in choices:
        check_number("level_choices", levels, config.num_quantizers)
    if choices and (list(choices) != sorted(set(choices)) or choices[-1] != config.num_quantizers):
        raise ConfigError(
            f"level_choices are rising numbers of levels that end with all {config.num_quantizers}, got {choices}"
        )
    for name, start, end in config.codebook_partitions:
        if not 0 <= start < end <= config.codebook_size:
            raise ConfigError(f"domain {name!r} has codes [{start}, {end}) outside [0, {config.codebook_size})")


_PARTS: dict[str, type] = {"magnitudes": MagnitudeConfig, "semantic": SemanticConfig, "harmonics": HarmonicConfig}

_PUBLISHED_PARTITIONS = (
    ("speech", 0, 8_192),
    ("vocal", 0, 12_288),
    ("music", 0, 20_480),
    ("audio", 0, 20_480),
    ("other", 12_288, 20_480),
)

PRESETS: dict[str, dict[str, Any]] = {
    "published": {"codebook_partitions": _PUBLISHED_PARTITIONS},
    "compact": {
        "hidden_size": 256,
        "encoder_layers": 3,
        "decoder_layers": 8,
        "ffn_mult": 2,
        "attention_window": 32,
        "magnitudes": MagnitudeConfig(),
        "semantic": SemanticConfig(),
        "harmonics": HarmonicConfig(),
    },
    "compact_phase": {
        "hidden_size": 256,
        "encoder_layers": 4,
        "decoder_layers": 5,
        "ffn_mult": 2,
        "attention_window": 32,
    },
    "tiny": {
        "hidden_size": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "head_dim": 16,
        "ffn_mult": 2,
        "conv_kernel_size": 7,
        "attention_window": 4,
        "codebook_size": 512,
        "codebook_partitions": (("speech", 0, 256), ("other", 256, 512)),
    },
}
