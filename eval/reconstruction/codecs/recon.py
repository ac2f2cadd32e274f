"""Audio that someone else's codec already made: a folder with a file for each clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.harness import fingerprints
from eval.harness.clips import CorpusClip
from eval.harness.model_specs import LoadError, ReconstructionError
from eval.reconstruction.codecs.adapter_sources import of_adapter
from eval.reconstruction.codecs.codec_protocol import CodecInfo, Coded
from eval.reconstruction.codecs.shaping import to_clip
from soundcodec_llmcodec.audio import as_clip, mono
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.data import SOUND_ENDINGS, sound_files

MAX_DIFFERENCE_S = 0.5  # a file whose duration differs by more is not taken for the clip's


class Reconstructions:
    """A folder of reconstructions: <split>/<clip id>.<ending>, <clip id>.<ending>, or <source>.<ending>.

    Files at other rates are resampled to the clip's, channels averaged, the length fitted. Nothing is known of how the
    audio was coded: there is no time, and the bit rate is what the user states. Only files within the folder are read.
    """

    def __init__(self, folder: Path, label: str | None = None, bitrate_bps: float | None = None) -> None:
        """List the folder and digest its files. Raises LoadError where it is missing or holds no audio."""
        if not folder.is_dir():
            raise LoadError(f"there is no folder of reconstructions {str(folder)!r}")
        self._folder = folder.resolve()
        self._files = _audio_files(self._folder)
        if not self._files:
            raise LoadError(f"{folder} holds no reconstructions, no file that ends with {', '.join(SOUND_ENDINGS)}")
        digest = fingerprints.of_files(self._folder, (name for names in self._files.values() for name in names))
        self.info = CodecInfo(
            name=label or self._folder.name,
            kind="recon",
            checkpoint=f"audio in {self._folder.name}",
            identity=fingerprints.identity(f"reconstructions {digest}", of_adapter(__file__)),
            bitrate_bps=bitrate_bps,
            timed=False,
        )

    def encode(self, clips: Sequence[CorpusClip]) -> list[Coded]:
        return [Coded(self._file_of(clip)) for clip in clips]

    def decode(self, coded: Sequence[Coded], clips: Sequence[CorpusClip]) -> list[np.ndarray]:
        return [_read(self._folder / item.payload, clip) for item, clip in zip(coded, clips, strict=True)]

    def _file_of(self, clip: CorpusClip) -> str:
        """The clip's file, relative to the folder. Raises ReconstructionError naming what was tried."""
        stems = dict.fromkeys((f"{clip.split}/{clip.clip_id}", clip.clip_id, clip.source))
        for stem in stems:
            # Looked up among the files that were listed, so that an id with ".." can name nothing outside.
            files = self._files.get(stem, [])
            if len(files) > 1:
                raise ReconstructionError(f"{self._folder} has more than one file for the clip: {', '.join(files)}")
            if files:
                return files[0]
        tried = ", ".join(f"{stem}.*" for stem in stems)
        raise ReconstructionError(
            f"{self._folder} has no file for the clip; tried {tried} with {', '.join(SOUND_ENDINGS)}"
        )


def _audio_files(folder: Path) -> dict[str, list[str]]:
    """The audio files below a folder: relative paths with '/', by the same without ending; no links out of it."""
    files: dict[str, list[str]] = {}
    for file in sound_files(folder):
        if file.resolve().is_relative_to(folder):
            relative = file.relative_to(folder)
            files.setdefault(relative.with_suffix("").as_posix(), []).append(relative.as_posix())
    return files


def _read(file: Path, clip: CorpusClip) -> np.ndarray:
    try:
        read = as_clip(file)
    except (AudioError, OSError) as error:
        raise ReconstructionError(f"{file} cannot be read: {error}") from error
    seconds = read.n_samples / read.sampling_rate
    difference = seconds - clip.seconds
    if abs(difference) > MAX_DIFFERENCE_S:
        raise ReconstructionError(
            f"{file} has {seconds:.2f} s, the clip {clip.seconds:.2f} s; more than {MAX_DIFFERENCE_S} s "
            "apart, they are not the same clip"
        )
    return to_clip(mono(read), read.sampling_rate, clip)
