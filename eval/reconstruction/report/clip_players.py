"""Clips to look at and to listen to: the original and every codec's, side by side."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from eval.harness.pages import figures
from eval.reconstruction.report.reconstruction_folder import ReconstructionFolder
from soundcodec_llmcodec.measures import spectrogram
from soundcodec_llmcodec.pages.axes import ticks
from soundcodec_llmcodec.pages.markup import Markup, tag
from soundcodec_llmcodec.pages.single_file import data_url
from soundcodec_llmcodec.pages.spectrogram_image import relative_image

ORIGINAL = "original"
Figures = dict[str, Any]


@dataclass(frozen=True)
class SampleAudio:
    """A sample file: its bytes, duration in s, rate in Hz and spectrogram; or the `problem` that it has."""

    stored: bytes = b""
    seconds: float = 0.0
    rate: int = 0
    powers: np.ndarray | None = None
    problem: str | None = None


def sample(run: ReconstructionFolder, clip: Figures, key: str) -> Markup:
    """One clip: a heading, and a card for the original and each codec. The spectrograms share scale and axes."""
    original = read_sample(clip["original"], run.sample(clip["original"]))
    reconstructions = [
        (model["name"], *_reconstruction(run, clip, model["name"]))
        for model in run.results["models"]
        if not model["failure"]
    ]
    # Without the original, the loudest of the codecs is as good a common scale as there is.
    scale = [original] if original.powers is not None else [audio for _, audio, _ in reconstructions]
    loudest = max((float(audio.powers.max()) for audio in scale if audio.powers is not None), default=0.0)
    axes = ticks(original.seconds, original.rate) if original.powers is not None else None
    cards = [card(ORIGINAL, original, loudest, axes, None, "card original")]
    cards += [card(name, audio, loudest, None, scores, "card") for name, audio, scores in reconstructions]
    length = f"{clip['seconds']:.1f} s"
    if original.seconds and original.seconds < clip["seconds"] - 0.05:
        length = f"the first {original.seconds:.1f} of {length}"
    about = f"{clip['split']} · {clip['source']} · {length} · {clip['rate'] / 1000:g} kHz"
    heading = tag("h3", clip["clip_id"], " ", tag("span", about, class_="muted"), id=f"clip-{key}")
    grid = tag("div", cards, class_="cards", tabindex=0, role="group", aria_label=f"Samples of {clip['clip_id']}")
    return tag("section", heading, grid, class_="clip", data_split=clip["split"], aria_labelledby=f"clip-{key}")


def _reconstruction(run: ReconstructionFolder, clip: Figures, model: str) -> tuple[SampleAudio, Markup | None]:
    """What a codec made of a clip, or why there is nothing, and its scores of it."""
    row = run.clips.get((model, clip["split"], clip["clip_id"]))
    failure = row.get("failure") if row else None
    scores = _scores(row, run.results["metrics"]) if row and not failure else None
    if model in clip["models"]:
        return read_sample(clip["models"][model], run.sample(clip["models"][model])), scores
    return SampleAudio(problem=f"no reconstruction: {failure}" if failure else "no sample was kept"), scores


def read_sample(name: str, path: Path | None) -> SampleAudio:
    """The sample file of this name in a run folder; None where it is not there."""
    if path is None:
        return SampleAudio(problem=f"the file {name} is not in the run folder")
    stored = path.read_bytes()
    try:
        samples, rate = soundfile.read(io.BytesIO(stored), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        return SampleAudio(problem=f"cannot read {name}: {error}")
    if not len(samples):
        return SampleAudio(problem=f"the file {name} is empty")
    return SampleAudio(stored, len(samples) / rate, int(rate), spectrogram.power(samples.mean(axis=1), int(rate)))


def card(
    name: str, audio: SampleAudio, loudest: float, axes: Markup | None, scores: Markup | None, class_: str
) -> Markup:
    """A recording: name, spectrogram against the `loudest` power of a common scale, player, and what is said of it."""
    title = tag("h4", name, title=name)
    if audio.powers is None:
        body = tag("p", audio.problem, class_="absent")
    else:
        picture = data_url("image/png", relative_image(audio.powers, loudest))
        image = tag("img", src=picture, alt=f"Spectrogram of {name}", decoding="async")
        sound = tag("audio", src=data_url("audio/flac", audio.stored), controls=True, preload="none", aria_label=name)
        body = tag("div", image, axes, class_="picture") + sound
    return tag("article", title, body, scores, class_=class_)


def _scores(row: Figures, metrics: Figures) -> Markup:
    """This clip's scores; what has none says why."""
    items = []
    for name, metric in metrics.items():
        value = row["scores"].get(name)
        why = (row.get("reasons") or {}).get(name)
        text = figures.number(value) if value is not None else tag("span", figures.NONE, title=why)
        items.append(tag("div", tag("dt", f"{name} {figures.ARROWS[metric['direction']]}"), tag("dd", text)))
    return tag("dl", items, class_="scores")
