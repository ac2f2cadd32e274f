"""Which clips a language model of music may be trained on, and what is cut from the others to be continued.

Letters: S samples.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from eval.sets.frechet import MINIMUM
from soundcodec_llmcodec.audio import mono, resample
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.data import DataRow
from soundcodec_llmcodec.data.datasets import DataSet
from soundcodec_llmcodec.data.token_corpus import TokenClip, TokenSource, shard_name, write_shard, write_source
from soundcodec_llmcodec.llmcodec import LLMCodec

TRAIN, VALIDATION, HELD_OUT = "train", "validation", "held-out"
# "music-Epitaph-1" and "sound-4-157611-B-0" are excerpts of "music-Epitaph" and "sound-4-157611".
RECORDING = r"(.+?)(?:[-_#](?:\d{1,3}|[A-Z]))*"


@dataclass(frozen=True)
class MusicSplit:
    """A split that a hash of the recording decides: other clips in the data set, or another order, change nothing.

    `recording` is a pattern for a whole clip id, whose first group names the recording: excerpts of one piece must not
    stand on both sides. An id that it does not fit is a recording by itself.
    """

    held_out: float = 0.2
    validation: float = 0.05
    recording: str = RECORDING

    def __post_init__(self) -> None:
        if not (0 < self.held_out < 1 and 0 <= self.validation < 1 - self.held_out):
            raise ValueError(
                f"expected shares above 0 that leave some to train on, got {self.held_out} held out and "
                f"{self.validation} to validate on"
            )
        if re.compile(self.recording).groups < 1:
            raise ValueError(f"expected a pattern with a group that names the recording, got {self.recording!r}")

    def recording_of(self, clip_id: str) -> str:
        """The recording that a clip is an excerpt of."""
        match = re.fullmatch(self.recording, clip_id)
        return clip_id if match is None or match[1] is None else match[1]

    def part_of(self, clip_id: str) -> str:
        """TRAIN, VALIDATION or HELD_OUT."""
        digest = hashlib.sha256(self.recording_of(clip_id).encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        if place < self.held_out:
            return HELD_OUT
        return VALIDATION if place < self.held_out + self.validation else TRAIN


@dataclass(frozen=True)
class PromptLengths:
    """Seconds that are given and that are to follow, and how many such crops a clip gives at most, side by side."""

    prompt_s: float = 3.0
    continue_s: float = 3.0
    crops: int = 2

    def __post_init__(self) -> None:
        if not (self.prompt_s > 0 and self.continue_s > 0 and self.crops > 0):
            raise ValueError(f"expected seconds and crops above 0, got {self}")


@dataclass(frozen=True, eq=False)
class MusicPrompt:
    """A crop of a held-out clip: samples float32 (S,) of the prompt and of what truly follows it, at `rate` Hz."""

    prompt_id: str
    recording: str
    samples: np.ndarray
    rate: int


@dataclass(frozen=True)
class HeldOutPrompts:
    """The crops in order; how many held-out clips were too short for one, and how many could not be read."""

    prompts: tuple[MusicPrompt, ...]
    too_short: int
    unreadable: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the crops' names and samples."""
        digest = hashlib.sha256()
        for prompt in self.prompts:
            digest.update(
                f"{prompt.prompt_id}\t{prompt.recording}\t{prompt.rate}\n".encode() + prompt.samples.tobytes()
            )
        return digest.hexdigest()

    def check(self) -> None:
        """Raise ValueError for too few crops for any distance."""
        recordings = len({prompt.recording for prompt in self.prompts})
        if len(self.prompts) < MINIMUM or recordings < 4:
            raise ValueError(
                f"expected at least {MINIMUM} prompts of at least 4 held-out recordings, got {len(self.prompts)} of "
                f"{recordings} ({self.too_short} held-out clips are too short, {self.unreadable} cannot be read); give "
                "more or longer clips, a larger --held-out, or shorter --prompt-s and --continue-s"
            )


def held_out_prompts(data: DataSet, split: MusicSplit, lengths: PromptLengths, limit: int | None) -> HeldOutPrompts:
    """At most `limit` crops of the held-out clips. Raises DataError."""
    prompts: list[MusicPrompt] = []
    too_short = unreadable = 0
    for row in data.rows():
        if split.part_of(row.clip_id) != HELD_OUT:
            continue
        try:
            clip = row.clip()
        except (AudioError, OSError):
            unreadable += 1
            continue
        samples, rate = mono(clip), clip.sampling_rate
        size = round((lengths.prompt_s + lengths.continue_s) * rate)
        n_crops = min(lengths.crops, len(samples) // size)
        too_short += n_crops == 0
        for crop in range(n_crops):
            cut = np.array(samples[crop * size : (crop + 1) * size], np.float32)
            name = f"{row.clip_id}@{crop * size / rate:g}s"
            prompts.append(MusicPrompt(name, split.recording_of(row.clip_id), cut, rate))
            if len(prompts) == limit:
                return HeldOutPrompts(tuple(prompts), too_short, unreadable)
    return HeldOutPrompts(tuple(prompts), too_short, unreadable)


def write_training_tokens(codec: LLMCodec, data: DataSet, split: MusicSplit, folder: Path) -> dict[str, int]:
    """Write a token corpus with the splits `train` and `validation`, without any held-out clip; clips by split.

    Raises TokenCorpusError where the folder holds another codec's tokens, and ValueError for a part without clips.
    """
    clips: dict[str, list[TokenClip]] = {TRAIN: [], VALIDATION: []}
    for row, samples in _training_clips(data, split, codec.config.sample_rate):
        (codes,) = codec.encode_samples_batch([torch.from_numpy(samples)])
        flat = np.ascontiguousarray(codes.numpy().T.reshape(-1), dtype=np.int32)
        clips[split.part_of(row.clip_id)].append(TokenClip(row.clip_id, flat, len(samples), row.text, row.speaker))
    empty = [part for part, of_part in clips.items() if not of_part and (part == TRAIN or split.validation > 0)]
    if empty:
        raise ValueError(f"no clip falls into {' and '.join(empty)}; give more clips, or other shares")
    write_source(folder, TokenSource.of(codec))
    for part, of_part in clips.items():
        if of_part:
            write_shard(folder, shard_name(part, 0, 1), of_part)
    return {part: len(of_part) for part, of_part in clips.items()}


def _training_clips(data: DataSet, split: MusicSplit, rate: int) -> Iterator[tuple[DataRow, np.ndarray]]:
    """The readable clips that are not held out, float32 (S,) at this rate."""
    for row in data.rows():
        if split.part_of(row.clip_id) == HELD_OUT:
            continue
        try:
            clip = row.clip()
        except (AudioError, OSError):
            continue
        yield row, resample(mono(clip), clip.sampling_rate, rate).astype(np.float32, copy=False)
