"""What a codec may have beside the published parts: magnitudes in place of phase and a frozen speech encoder before the
codebook, a harmonic source after it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundcodec_llmcodec.setting import setting
from soundcodec_llmcodec.teacher_sizes import HAMA, KNOWN_ARCHITECTURES, PACKAGED, Family, sizes_of, wrong_architecture

if TYPE_CHECKING:
    from torch import Tensor

    from soundcodec_llmcodec.config import CodecConfig

MAX_NUMBER = 2**31 - 1
# Tables of these sizes are made with a model, before its weights are looked at.
_MAX_MAGNITUDE_N_FFT = 32_768
_MAX_SEMANTIC = {"width": 2_048, "heads": 2_048, "ffn_width": 16_384, "mels": 256, "block_frames": 2_048}
_SIZE_KEYS = ("hidden_size", "num_attention_heads", "intermediate_size", "num_hidden_layers")
_MAX_JOIN = {"blocks": 64, "kernel": 255, "width": 8_192}
_MAX_DEPTH, _MAX_CONTEXT = 64, 2_048
_MAX_PITCHES, _LOWEST_PITCH_HZ = 32_768, 10.0
# A frame's own samples and those that Whisper's window and two convolutions reach on either side.
_LEAST_SEMANTIC_N_FFT = 1_040


class ConfigError(ValueError):
    """A codec configuration that cannot be built, with what was found and what was expected."""


@dataclass(frozen=True)
class MagnitudeConfig:
    """What the encoder sees in place of the published log-magnitude and phase: magnitudes alone.

    Mel bands of short windows stand beside the lowest bins of the codec's own window, which show pitch.
    """

    window: int = setting(320, "samples of a window")
    hop: int = setting(80, "samples from one window to the next, whose centres spread over a frame's own hop")
    bands: int = setting(64, "mel bands of a window")
    low_bins: int = setting(200, "lowest bins of the codec's own window")


@dataclass(frozen=True)
class JoinConfig:
    """X-Codec's place for the speech encoder's features: through convolutions, and joined to those of the acoustic
    encoder, before the codebook. After it, one projection goes to the decoder."""

    blocks: int = setting(2, "residual blocks of the semantic encoder")
    kernel: int = setting(3, "frames that a convolution of it sees")
    width: int = setting(256, "features in it")
    features: int | None = setting(
        None, "of a frame's features before the codebook, those that are semantic (null: half of hidden_size)"
    )

    @property
    def reach(self) -> int:
        """Frames on each side that can change a frame's semantic features."""
        return (self.blocks + 1) * (self.kernel // 2)


@dataclass(frozen=True)
class SemanticConfig:
    """A frozen speech encoder beside the acoustic features: X-Codec's branch."""

    teacher: str = setting(
        "whisper-tiny.en",
        "whose weights the speech encoder has: whisper-tiny.en, whisper-base or hama of a package; or a HuBERT, "
        "wav2vec 2.0 or WavLM of transformers, a folder or a hub id (OWNER/NAME, or OWNER/NAME@REVISION)",
    )
    width: int = setting(0, "features of a layer (0: the teacher's)")
    heads: int = setting(0, "attention heads of a layer (0: the teacher's)")
    ffn_width: int = setting(0, "features of the feed-forward (0: the teacher's)")
    mels: int = setting(0, "mel bands that it sees (0: the teacher's; those of transformers hear samples)")
    layers: tuple[int, ...] = setting((2, 3, 4), "layers whose states are taken, 0 being the input of the first")
    block_frames: int = setting(96, "frames of a block that it runs over")
    context_frames: int = setting(32, "frames more that it sees on either side of a block")
    join: JoinConfig | None = setting(
        None,
        "the mean over layers joins the acoustic encoder's features before the codebook, as X-Codec has it (null: a "
        "learnt mix of layers is added to the acoustic encoder's input)",
    )
    architecture: Mapping[str, Any] | None = setting(
        None, "what decides the shape of a teacher of transformers, from its own config (null: the teacher's)"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "join", part("semantic.join", JoinConfig, self.join))
        self._take_sizes()

    def _take_sizes(self) -> None:
        """Put the teacher's sizes in place of those that are not given.

        For a model of transformers its own config is read, from its folder or the hub, where nothing here says it.
        Raises TeacherError where that cannot be had.
        """
        names = ("width", "heads", "ffn_width", "mels")
        left = [name for name in names if getattr(self, name) == 0 and type(getattr(self, name)) is int]
        if not left:
            return
        sizes = PACKAGED.get(self.teacher)
        if sizes is None:
            # A copy, as the table is everybody's.
            known = copy.deepcopy(KNOWN_ARCHITECTURES.get(self.teacher.partition("@")[0]))
            architecture = self.architecture or known
            if architecture is None:
                from soundcodec_llmcodec.hub_teachers import read_architecture

                architecture = read_architecture(self.teacher)
            object.__setattr__(self, "architecture", architecture)
            if isinstance(architecture, Mapping) and not set(_SIZE_KEYS) <= set(architecture):
                return  # what is wrong is said with the codec's other keys
            sizes = sizes_of(architecture)
        for name in left:
            object.__setattr__(self, name, getattr(sizes, name))

    @property
    def family(self) -> Family:
        """Whose network it is."""
        if self.architecture is not None:
            return "transformers"
        return "hama" if self.teacher == HAMA else "whisper"

    def block_around(self, start: int, frames: int) -> tuple[int, int, int]:
        """(low, high, stop): the block that begins at frame `start` of a clip of so many frames sees [low, high), and
        gives the states of [start, stop)."""
        stop = min(frames, start + self.block_frames)
        return max(0, start - self.context_frames), min(frames, stop + self.context_frames), stop


@dataclass(frozen=True)
class HarmonicConfig:
    """A harmonic source in the decoder: pulses at one of some pitches, with harmonics, filtered frame by frame."""

    lowest_hz: float = setting(55.0, "the lowest pitch, Hz")
    per_octave: int = setting(120, "pitches in an octave")
    pitches: int = setting(400, "number of pitches")
    highest_hz: float = setting(7_000.0, "the highest harmonic, Hz")
    filter_bins: int = setting(480, "lowest bins of the codec's own window that a frame filters pulses with")

    def hertz(self) -> Tensor:
        """The pitches (V,) float64 in Hz, rising."""
        import torch

        steps = torch.arange(self.pitches, dtype=torch.float64, device="cpu")
        return self.lowest_hz * 2.0 ** (steps / self.per_octave)


def check_magnitudes(magnitudes: MagnitudeConfig, config: CodecConfig) -> None:
    for name in ("window", "hop", "bands", "low_bins"):
        check_number(f"magnitudes.{name}", getattr(magnitudes, name))
    check_number("n_fft", config.n_fft, _MAX_MAGNITUDE_N_FFT)
    window, hop, spread = magnitudes.window, magnitudes.hop, config.stft_padding
    if config.hop_length % hop:
        raise ConfigError(f"magnitudes.hop {hop} does not divide hop_length {config.hop_length}")
    if window % 2 or hop % 2 or not 0 <= window - hop <= 2 * spread:
        raise ConfigError(
            f"magnitudes.window {window} and its hop {hop} must be even, and half of what the window is longer within "
            f"the {spread} samples that n_fft {config.n_fft} shows on each side of a hop"
        )
    if magnitudes.bands > window // 2 or magnitudes.low_bins > config.n_fft // 2 + 1:
        raise ConfigError(
            f"a window of {window} has up to {window // 2} bands, n_fft {config.n_fft} up to {config.n_fft // 2 + 1} "
            f"bins; got bands {magnitudes.bands}, low_bins {magnitudes.low_bins}"
        )


def check_semantic(semantic: SemanticConfig, config: CodecConfig) -> None:
    if semantic.architecture is not None:
        wrong = wrong_architecture(semantic.architecture, config.n_fft)
        if wrong is not None:
            raise ConfigError(wrong)
    for name, most in _MAX_SEMANTIC.items():
        # Those of transformers hear samples, no mel bands.
        if name != "mels" or semantic.family != "transformers":
            check_number(f"semantic.{name}", getattr(semantic, name), most)
    layers, context = semantic.layers, semantic.context_frames
    whole = [isinstance(x, int) and not isinstance(x, bool) and 0 <= x <= _MAX_DEPTH for x in layers]
    if not layers or not all(whole) or list(layers) != sorted(set(layers)):
        raise ConfigError(f"semantic.layers takes numbers of layers from 0 to {_MAX_DEPTH}, rising, got {layers!r}")
    if isinstance(context, bool) or not isinstance(context, int) or not 0 <= context <= _MAX_CONTEXT:
        raise ConfigError(f"semantic.context_frames is a whole number from 0 to {_MAX_CONTEXT:,}, got {context!r}")
    if semantic.join is not None:
        _check_join(semantic.join, config)
    if semantic.width % semantic.heads or semantic.width % 2 or semantic.width < 4:
        raise ConfigError(
            f"semantic.width {semantic.width} must be even, at least 4 and a multiple of heads {semantic.heads}"
        )
    if (config.sample_rate, config.hop_length) != (16_000, 320) or config.n_fft < _LEAST_SEMANTIC_N_FFT:
        raise ConfigError(
            f"a semantic branch hears 50 frames a second at 16 kHz: it needs sample_rate 16000, hop_length 320 and "
            f"n_fft of at least {_LEAST_SEMANTIC_N_FFT}, got {config.sample_rate}, {config.hop_length}, {config.n_fft}"
        )


def _check_join(join: JoinConfig, config: CodecConfig) -> None:
    for name, most in _MAX_JOIN.items():
        check_number(f"semantic.join.{name}", getattr(join, name), most)
    if join.kernel % 2 == 0:
        raise ConfigError(f"semantic.join.kernel must be odd to keep the length, got {join.kernel}")
    if join.features is not None:
        check_number("semantic.join.features", join.features, config.hidden_size - 1)
    if config.hidden_size < 2:
        raise ConfigError(f"semantic.join needs a hidden_size of at least 2, got {config.hidden_size}")


def check_harmonics(harmonics: HarmonicConfig, config: CodecConfig) -> None:
    for name in ("per_octave", "pitches", "filter_bins"):
        check_number(f"harmonics.{name}", getattr(harmonics, name), _MAX_PITCHES)
    for name in ("lowest_hz", "highest_hz"):
        value = getattr(harmonics, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= config.sample_rate / 2:
            raise ConfigError(
                f"harmonics.{name} must be above 0 and at most half of the sample rate {config.sample_rate}, got "
                f"{value!r}"
            )
    highest = harmonics.lowest_hz * 2.0 ** ((harmonics.pitches - 1) / harmonics.per_octave)
    if harmonics.lowest_hz < _LOWEST_PITCH_HZ or highest > harmonics.highest_hz:
        raise ConfigError(
            f"harmonics has pitches from {harmonics.lowest_hz:g} to {highest:g} Hz; they must lie between "
            f"{_LOWEST_PITCH_HZ:g} Hz and its highest_hz {harmonics.highest_hz:g}"
        )
    if harmonics.filter_bins > config.n_fft // 2 + 1 or config.n_fft % 2:
        raise ConfigError(
            f"harmonics.filter_bins {harmonics.filter_bins} are more than the {config.n_fft // 2 + 1} bins of n_fft "
            f"{config.n_fft}, or that is odd"
        )


def check_number(name: str, value: Any, most: int = MAX_NUMBER) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a positive whole number, got {value!r}")
    if value > most:
        raise ConfigError(f"{name} must be at most {most:,}, got {value:.4g}")


def described_part(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A part's fields as plain data, without what it does not have."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in fields.items() if v is not None}


def part(name: str, kind: Any, value: Any) -> Any:
    """A part of the config from its fields, or as it is."""
    if value is None or isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} takes key: value pairs, got {value!r}")
    field_names = {field.name for field in dataclasses.fields(kind)}
    unknown = sorted(str(key) for key in set(value) - field_names)
    if unknown:
        raise ConfigError(f"unknown keys {unknown} of {name}; known keys are {sorted(field_names)}")
    if not isinstance(value.get("layers", ()), (list, tuple)):
        raise ConfigError(f"{name}.layers takes a list of numbers, got {value['layers']!r}")
    return kind(**value)
