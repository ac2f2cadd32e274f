"""LLMCodec under Codec-SUPERB's contract."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.audio import resampled_length
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.audio_writing import write_audio
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.superb.interface import BatchExtractedUnit, ExtractedUnit
from soundcodec_llmcodec.tokens import Tokens

DEVICE_VARIABLE = "LLMCODEC_DEVICE"


class Codec:
    """A codec as Codec-SUPERB uses one. Items are never changed, and `batch_*` gives what the single calls give.

    `stuff_for_synth` is a `Tokens`: ids and lengths, nothing of the encoder. `decode_unit` takes bare ids (a list, an
    array, a tensor) and "<CODEC_i>" text as well. `domain` (None, or one of the codec's domains) may be set.
    """

    name = checkpoints.DEFAULT_NAME
    supports_decode = True

    def __init__(
        self,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str | None = None,
        *,
        codec: LLMCodec | None = None,
        optimize: str | None = None,
    ) -> None:
        """Load the codec `name`, or another `checkpoint` in its place; or wrap `codec`, which is loaded already.

        `device` is "cpu" unless it or $LLMCODEC_DEVICE names another; `optimize` is LLMCodec's. Raises
        checkpoints.CheckpointError.
        """
        self.checkpoint = checkpoint
        self.optimize = optimize
        self.device = device or os.environ.get(DEVICE_VARIABLE) or "cpu"
        self.domain: str | None = None
        self._given = codec
        self.config()

    def config(self) -> None:
        """Load the model and set `codec`, `sampling_rate` (Hz), `setting` and `device`."""
        if self._given is None:
            source = checkpoints.resolve(self.name, self.checkpoint)
            self.codec = LLMCodec.from_pretrained(source, device=self.device, optimize=self.optimize)
        else:
            self.codec = self._given
        self.device = str(self.codec.device)
        self.sampling_rate = self.codec.config.sample_rate
        self.setting = self.name

    def __repr__(self) -> str:
        domain = "" if self.domain is None else f", domain {self.domain!r}"
        return f"Codec({self.setting!r}, {self.codec!r}{domain})"

    def to(self, device: str) -> Codec:
        """Move the model to a device, in place, and return the codec. Raises as `LLMCodec.to`."""
        self.codec.to(device)
        self.device = str(self.codec.device)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """To be pickled and copied: classes of `codec_class` have no module where a name would find them."""
        cls = type(self)
        made_here = cls is not Codec and cls is codec_class(cls.name)
        return (_without_loading, (cls.name if made_here else cls,), vars(self).copy())

    def is_1d(self) -> bool:
        """Whether a unit is (F,), which is so for codecs with one level."""
        return self.codec.config.num_quantizers == 1

    def extract_unit(self, data: Mapping[str, Any]) -> ExtractedUnit:
        """The item's tokens: `unit` int64 (F,), or (Q, F) for several levels. Channels are averaged.

        Raises AudioError for an item without usable audio.
        """
        tokens = self.codec.encode(_item(data), domain=self.domain)
        return ExtractedUnit(tokens.unit, tokens)

    def decode_unit(self, stuff_for_synth: Any) -> np.ndarray:
        """Samples float32 (S,) at `sampling_rate`, of `stuff_for_synth`, an ExtractedUnit, bare ids or text.

        S is the item's length at `sampling_rate`; F * hop_length for bare ids. Raises TokenError for ids out of range.
        """
        return self.codec.decode(self._at_own_rate(stuff_for_synth))

    def synth(self, data: Mapping[str, Any], local_save: bool = True) -> dict[str, Any]:
        """A new item with "unit" and the audio as the codec gives it back, at the item's rate and exact length.

        "audio" is {"array" float32 (S,), "sampling_rate"}; with `local_save`, {"path", "sampling_rate"} of a 32-bit
        float WAV file reconstructed_<setting>/<id>.wav in the current folder.
        """
        tokens = self.codec.encode(_item(data), domain=self.domain)
        return self._result(data, tokens, self.codec.decode(tokens), local_save)

    def batch_extract_unit(self, data_list: Sequence[Mapping[str, Any]]) -> BatchExtractedUnit:
        """`extract_unit` of each; lengths and rates may differ."""
        tokens = self._encode_batch(data_list)
        return BatchExtractedUnit([item.unit for item in tokens], list(tokens), len(tokens))

    def batch_decode_unit(self, batch_extracted_unit: BatchExtractedUnit | Sequence[Any]) -> list[np.ndarray]:
        """`decode_unit` of each, of a batch or of a list of what `decode_unit` takes."""
        # By name, so that a BatchExtractedUnit of Codec-SUPERB's own serves as well.
        batch: Any = batch_extracted_unit
        stuff = getattr(batch, "stuff_for_synth", batch)
        return self.codec.decode_batch([self._at_own_rate(item) for item in stuff])

    def batch_synth(self, data_list: Sequence[Mapping[str, Any]], local_save: bool = True) -> list[dict[str, Any]]:
        """`synth` of each. Files of items with one id are told apart: <id>.wav, <id>#1.wav."""
        tokens = self._encode_batch(data_list)
        decoded = self.codec.decode_batch(tokens)
        rows = zip(data_list, tokens, decoded, strict=True)
        taken_paths: set[Path] = set()
        return [self._result(data, item, samples, local_save, taken_paths) for data, item, samples in rows]

    def _encode_batch(self, data_list: Sequence[Mapping[str, Any]]) -> list[Tokens]:
        return self.codec.encode_batch([_item(data) for data in data_list], domain=self.domain)

    def _at_own_rate(self, stuff: Any) -> Any:
        """What to decode so that it comes out at the codec's rate; bare ids do already."""
        stuff = getattr(stuff, "stuff_for_synth", stuff)
        if not isinstance(stuff, Tokens):
            return stuff
        length = resampled_length(stuff.n_samples, stuff.sampling_rate, self.sampling_rate)
        return dataclasses.replace(stuff, n_samples=length, sampling_rate=self.sampling_rate)

    def _result(
        self,
        data: Mapping[str, Any],
        tokens: Tokens,
        samples: np.ndarray,
        local_save: bool,
        taken_paths: set[Path] | None = None,
    ) -> dict[str, Any]:
        rate = tokens.sampling_rate
        audio: dict[str, Any] = {"array": samples, "sampling_rate": rate}
        if local_save:
            path = self._saved_path(data.get("id"), set() if taken_paths is None else taken_paths)
            # Floats, so that scores of the file and of the array are equal.
            write_audio(path, samples, rate, subtype="FLOAT")
            audio = {"path": str(path), "sampling_rate": rate}
        return {**data, "unit": tokens.unit, "audio": audio}

    def _saved_path(self, item_id: Any, taken_paths: set[Path]) -> Path:
        """The file of an item, added to those of the items before it, none of which it is."""
        folder = Path(f"reconstructed_{self.setting}")
        stem = str(uuid.uuid4() if item_id is None else item_id)
        names = itertools.chain((stem,), (f"{stem}#{number}" for number in itertools.count(1)))
        path = next(path for name in names if (path := folder / f"{name}.wav").resolve() not in taken_paths)
        taken_paths.add(path.resolve())
        if folder.resolve() not in path.resolve().parents:
            raise AudioError(f"the item's id {item_id!r} names a file outside of {folder}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@functools.lru_cache(maxsize=64)
def codec_class(name: str) -> type[Codec]:
    """The class `Codec` for one of checkpoints.NAMES: without arguments, it loads that codec."""
    return type("Codec", (Codec,), {"name": name, "__module__": __name__, "__doc__": Codec.__doc__})


def _without_loading(which: str | type[Codec]) -> Codec:
    """A codec of that name or class before anything is in it."""
    cls = codec_class(which) if isinstance(which, str) else which
    return cls.__new__(cls)


def _item(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or data.get("audio") is None:
        description = f"keys {list(data)}" if isinstance(data, Mapping) else type(data).__name__
        raise AudioError(
            f'expected an item {{"audio": {{"array", "sampling_rate"}}}} or with a path, got {description}'
        )
    return data
