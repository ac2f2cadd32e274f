"""What differs between transformers' codec models: their options, their codes and code vectors, and the call of their
two halves."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from eval.harness.model_specs import LoadError, UnknownSpecError
from eval.harness.padding import padded_to_multiple

_SCALE_BITS = 32  # EnCodec's own format stores a chunk's loudness as a float32


@dataclass(frozen=True)
class FamilyCodes:
    """Codes, a tensor (Q, F), what `decode` takes, and the bits if there are more than those of the codes."""

    codes: Any
    payload: Any
    n_bits: int | None = None


class Family(ABC):
    """A type of model: rates in Hz, codebook and levels as configured, and the two halves for one clip.

    `options` are the keys that may stand behind the question mark; `chosen` is what was chosen, defaults included.
    """

    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: Any, options: Mapping[str, str], where: str) -> None:
        self.model = model
        self.config = model.config
        self._where = where
        # Three names for one thing in transformers' configurations.
        names = ("sampling_rate", "sample_rate", "input_sampling_rate")
        self.input_rate = int(next(getattr(self.config, name) for name in names if hasattr(self.config, name)))
        self.output_rate = int(getattr(self.config, "output_sampling_rate", self.input_rate))
        self.chosen: dict[str, float] = {}
        self.codebook_size: int = getattr(self.config, "codebook_size", 0)
        self.num_quantizers = 1
        self.configure(options)

    def configure(self, options: Mapping[str, str]) -> None:  # noqa: B027
        """Take the options; a model without any has none to take. Raises UnknownSpecError for values it lacks."""

    @property
    def frame_rate(self) -> float:
        """Frames a second, exact, where transformers rounds it up."""
        return self.input_rate / int(self.config.hop_length)

    @property
    def bitrate_bps(self) -> float | None:
        """Frame rate times bits of all levels in use; None where more is stored, which is then counted by clip."""
        return self.frame_rate * self.num_quantizers * math.log2(self.codebook_size)

    @abstractmethod
    def encode(self, samples: np.ndarray) -> FamilyCodes:
        """Samples float32 (S,) at `input_rate`."""

    @abstractmethod
    def decode(self, payload: Any) -> Any:
        """A tensor (S',) at `output_rate`, of `Encoded.payload`."""

    def vectors(self, codes: Any) -> Any:
        """Codes (Q', F), a tensor of the first Q' levels, to what the decoder gets of them, summed over levels: (F, D).

        Raises LoadError for a type of model that has none by level.
        """
        raise LoadError(f"{self._where} ({self.config.model_type}) gives no code vectors here; those of RVQ codecs are")

    def tensor(self, samples: np.ndarray) -> Any:
        """Samples (S,) as (1, 1, S) on the model's device."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None, None].to(self.model.device)

    def _levels(self, text: str | None, available: int) -> int:
        """The option num_quantizers; all levels where it is not given, as in transformers."""
        if text is None:
            return available
        if not text.isdecimal() or not 1 <= int(text) <= available:
            raise UnknownSpecError(f"{self._where} has 1 to {available} num_quantizers, got {text!r}")
        return int(text)

    def _bandwidth(self, text: str | None, default: float) -> float:
        """The option bandwidth, in kbit/s."""
        available = [float(value) for value in self.config.target_bandwidths]
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = math.nan
        if value not in available:
            listed = ", ".join(f"{rate:g}" for rate in available)
            raise UnknownSpecError(f"{self._where} has the bandwidths {listed} (kbit/s), got {text!r}")
        return value


class Encodec(Family):
    """EnCodec. Without a bandwidth, the lowest is used, as in transformers. Mono is copied to each channel of a stereo
    model and its output averaged. A model that codes in overlapping chunks with scales stores more than its codes at
    the frame rate: the bits are then counted by clip."""

    options = ("bandwidth",)

    def configure(self, options: Mapping[str, str]) -> None:
        bandwidth = self._bandwidth(options.get("bandwidth"), float(self.config.target_bandwidths[0]))
        self.chosen = {"bandwidth": bandwidth}
        quantizer = self.model.quantizer
        n_levels = quantizer.get_num_quantizers_for_bandwidth(bandwidth)
        self.num_quantizers = min(n_levels, len(quantizer.layers))

    @property
    def bitrate_bps(self) -> float | None:
        chunked = self.config.chunk_length_s is not None or self.config.normalize
        return None if chunked else super().bitrate_bps

    def encode(self, samples: np.ndarray) -> FamilyCodes:
        import torch

        audio = self.tensor(samples).expand(1, self.config.audio_channels, -1)
        out = self.model.encode(audio, bandwidth=self.chosen["bandwidth"])
        padding = int(out.last_frame_pad_length or 0)
        codes = torch.cat(list(out.audio_codes[:, 0]), dim=-1)
        codes = codes[:, : codes.shape[-1] - padding]
        scales = [scale for scale in out.audio_scales if scale is not None]
        n_bits = None
        if self.bitrate_bps is None:
            n_bits = round(codes.numel() * math.log2(self.codebook_size)) + _SCALE_BITS * len(scales)
        return FamilyCodes(codes, (out.audio_codes, out.audio_scales, padding), n_bits)

    def vectors(self, codes: Any) -> Any:
        return self.model.quantizer.decode(codes[:, None])[0].transpose(0, 1)

    def decode(self, payload: Any) -> Any:
        codes, scales, padding = payload
        out = self.model.decode(codes, scales, last_frame_pad_length=padding)
        return out.audio_values[0].mean(dim=0)


class Dac(Family):
    """DAC. Zeros fill the last frame, as its feature extractor does; decoded from the codes alone."""

    options = ("num_quantizers",)

    def configure(self, options: Mapping[str, str]) -> None:
        self.num_quantizers = self._levels(options.get("num_quantizers"), self.config.n_codebooks)
        self.chosen = {"num_quantizers": self.num_quantizers}

    def encode(self, samples: np.ndarray) -> FamilyCodes:
        whole = padded_to_multiple(samples, int(self.config.hop_length))
        codes = self.model.encode(self.tensor(whole), n_quantizers=self.num_quantizers).audio_codes
        return FamilyCodes(codes[0], codes)

    def vectors(self, codes: Any) -> Any:
        return self.model.quantizer.from_codes(codes[None])[0][0].transpose(0, 1)

    def decode(self, payload: Any) -> Any:
        return self.model.decode(audio_codes=payload).audio_values.reshape(-1)


class Mimi(Family):
    """Mimi. Its frames are those of its transformer's output, 12.5 a second as published."""

    options = ("num_quantizers",)

    def configure(self, options: Mapping[str, str]) -> None:
        if self.config.audio_channels != 1:
            raise LoadError(f"{self._where} codes {self.config.audio_channels} channels; only one is supported")
        self.num_quantizers = self._levels(options.get("num_quantizers"), self.config.num_quantizers)
        self.chosen = {"num_quantizers": self.num_quantizers}

    @property
    def frame_rate(self) -> float:
        return float(self.config.frame_rate)

    def encode(self, samples: np.ndarray) -> FamilyCodes:
        codes = self.model.encode(self.tensor(samples), num_quantizers=self.num_quantizers).audio_codes
        return FamilyCodes(codes[0], codes)

    def vectors(self, codes: Any) -> Any:
        return self.model.quantizer.decode(codes[None])[0].transpose(0, 1)

    def decode(self, payload: Any) -> Any:
        return self.model.decode(payload).audio_values.reshape(-1)


class Xcodec(Family):
    """X-Codec. Without a bandwidth, the highest is used, as in transformers; zeros fill the last frame."""

    options = ("bandwidth",)

    def configure(self, options: Mapping[str, str]) -> None:
        bandwidth = self._bandwidth(options.get("bandwidth"), float(self.config.target_bandwidths[-1]))
        self.chosen = {"bandwidth": bandwidth}
        quantizer = self.model.quantizer
        self.num_quantizers = min(quantizer.get_num_quantizers_for_bandwidth(bandwidth), len(quantizer.quantizers))

    def encode(self, samples: np.ndarray) -> FamilyCodes:
        whole = padded_to_multiple(samples, int(self.config.hop_length))
        codes = self.model.encode(self.tensor(whole), bandwidth=self.chosen["bandwidth"]).audio_codes
        return FamilyCodes(codes[0], codes)

    def vectors(self, codes: Any) -> Any:
        return self.model.quantizer.decode(codes[:, None])[0].transpose(0, 1)

    def decode(self, payload: Any) -> Any:
        return self.model.decode(payload).audio_values.reshape(-1)


class Fsq(Family):
    """X-Codec2 and NeuCodec: one level of finite scalar quantization; NeuCodec decodes at a higher rate.

    Their feature extractor in transformers needs torchaudio. The same Kaldi filter banks come from the SeamlessM4T
    extractor, which X-Codec2's authors use.
    """

    _FEATURES_RATE, _HOP, _STRIDE, _BINS = 16_000, 320, 2, 80

    def configure(self, options: Mapping[str, str]) -> None:
        self.codebook_size = math.prod(self.config.quantization_levels)
        if self.input_rate != self._FEATURES_RATE or self._hop != self._HOP:
            raise LoadError(
                f"{self._where} has hops of {self._hop} samples at {self.input_rate} Hz; its semantic features are "
                f"defined for {self._HOP} at {self._FEATURES_RATE}"
            )

    @property
    def _hop(self) -> int:
        return math.prod(self.config.downsampling_ratios)

    @property
    def frame_rate(self) -> float:
        return self.input_rate / self._hop

    def features(self, whole: np.ndarray) -> Any:
        """Log filter banks (1, F, 2 * 80) of samples (S,), S a multiple of 320, normalised by bin over the clip."""
        import transformers

        extractor = transformers.SeamlessM4TFeatureExtractor(
            feature_size=self._BINS, num_mel_bins=self._BINS, sampling_rate=self._FEATURES_RATE, stride=self._STRIDE
        )
        around = np.pad(whole, self._HOP // 2)
        out = extractor(around, sampling_rate=self._FEATURES_RATE, return_tensors="pt")
        return out["input_features"].to(self.model.device)

    def encode(self, samples: np.ndarray) -> FamilyCodes:
        # At least one zero after the clip, as the models' own extractor has it.
        whole = padded_to_multiple(samples, self._HOP, at_least=1)
        codes = self.model.encode(self.tensor(whole), input_features=self.features(whole)).audio_codes
        return FamilyCodes(codes[0], codes)

    def decode(self, payload: Any) -> Any:
        return self.model.decode(payload).audio_values.reshape(-1)


class WavTokenizer(Family):
    """WavTokenizer: one level; the model itself fills the last frame. Loudness stays as it is, as published: its
    extractor's `normalize_audio` belongs to one language model, not to the codec."""

    def encode(self, samples: np.ndarray) -> FamilyCodes:
        codes = self.model.encode(self.tensor(samples)).audio_codes
        return FamilyCodes(codes[0], codes)

    def vectors(self, codes: Any) -> Any:
        return self.model.encoder_model.quantizer.decode(codes)[0].transpose(0, 1)

    def decode(self, payload: Any) -> Any:
        return self.model.decode(payload).audio_values.reshape(-1)


FAMILIES: dict[str, type[Family]] = {
    "encodec": Encodec,
    "dac": Dac,
    "mimi": Mimi,
    "xcodec": Xcodec,
    "xcodec2": Fsq,
    "neucodec": Fsq,
    "wavtokenizer": WavTokenizer,
}
_CONTINUOUS = "its latents are continuous: there are no codes, and so no bit rate"
_NO_CODEC = "it is a language model over a codec's frames, no codec"
# What else of transformers codes sound, and why it is none of FAMILIES.
LEFT_OUT: dict[str, str] = {
    "vibevoice_acoustic_tokenizer": _CONTINUOUS,
    "pocket_tts_audio_tokenizer": _CONTINUOUS,
    "vibevoice": _NO_CODEC,
    "pocket_tts": _NO_CODEC,
    "higgs_audio_v2": f"{_NO_CODEC}; its codec is a repository of its own (bosonai/higgs-audio-v2-tokenizer)",
    "higgs_audio_v2_tokenizer": "transformers runs it with torchaudio, which nothing here needs",
}
