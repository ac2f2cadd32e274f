"""Sample files to look at and to listen to: a card with name, spectrogram and player for each."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from soundcodec_llmcodec.measures import spectrogram
from soundcodec_llmcodec.pages.markup import Markup, tag
from soundcodec_llmcodec.pages.single_file import data_url
from soundcodec_llmcodec.pages.spectrogram_image import relative_image


@dataclass(frozen=True)
class SampleFile:
    """A sample file: its bytes, duration in s, rate in Hz and spectrogram; or the `problem` that it has."""

    stored: bytes = b""
    seconds: float = 0.0
    rate: int = 0
    powers: np.ndarray | None = None
    problem: str | None = None


def read_sample(name: str, path: Path | None) -> SampleFile:
    """The sample file of this name in a run folder; None where it is not there."""
    if path is None:
        return SampleFile(problem=f"the file {name} is not in the run folder")
    stored = path.read_bytes()
    try:
        samples, rate = soundfile.read(io.BytesIO(stored), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        return SampleFile(problem=f"cannot read {name}: {error}")
    if not len(samples):
        return SampleFile(problem=f"the file {name} is empty")
    return SampleFile(stored, len(samples) / rate, int(rate), spectrogram.power(samples.mean(axis=1), int(rate)))


def card(
    name: str, sample: SampleFile, loudest: float, axes: Markup | None, scores: Markup | None, class_: str
) -> Markup:
    """A recording: name, spectrogram against the `loudest` power of a common scale, player, and what is said of it."""
    title = tag("h4", name, title=name)
    if sample.powers is None:
        body = tag("p", sample.problem, class_="absent")
    else:
        picture = data_url("image/png", relative_image(sample.powers, loudest))
        image = tag("img", src=picture, alt=f"Spectrogram of {name}", decoding="async")
        sound = tag("audio", src=data_url("audio/flac", sample.stored), controls=True, preload="none", aria_label=name)
        body = Markup(tag("div", image, axes, class_="picture") + sound)
    return tag("article", title, body, scores, class_=class_)
