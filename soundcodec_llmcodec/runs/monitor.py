"""Seeing a run while it goes on: its records, a console, TensorBoard, and media files to look at and listen to."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from tqdm import tqdm

from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.pages.png import encode_rgb
from soundcodec_llmcodec.pages.spectrogram_image import level_pixels
from soundcodec_llmcodec.runs.run_log import (
    GRADIENT,
    LOSS,
    RATE,
    STEP,
    TOKENS,
    VALIDATION,
    WATCHED,
    Records,
    number,
    section_of,
)

MEDIA, TENSORBOARD, WARNING = "media", "tensorboard", "warning"
COLUMNS = 100
# What is shown of a value's section, in this order; others follow under their own names.
SECTIONS = (LOSS, WATCHED, GRADIENT, RATE, TOKENS, VALIDATION)


class Monitor:
    """What a run writes for people. A context manager; where `enabled` is False (not the main process) it does nothing.

    In the run's folder: `log.jsonl`, `metrics.csv` (see `records`), `media/STEP/NAME.flac` and `.png`, and with
    `tensorboard` also `tensorboard/`. `progress` writes to stderr as well. `step` is where the run goes on: what an
    earlier, killed run wrote beyond it is dropped.
    """

    def __init__(
        self, folder: Path, *, step: int = 0, tensorboard: bool = False, progress: bool = True, enabled: bool = True
    ) -> None:
        """Raises ImportError, naming the extra, where TensorBoard is missing; RecordsError for a damaged log."""
        self.folder, self.enabled, self.progress = Path(folder), enabled, progress and enabled
        self._records: Records | None = None
        self._board: Any = None
        if enabled:
            # First what can fail for want of a package: nothing is cut then.
            board = summary_writer() if tensorboard else None
            self._records = Records(self.folder, step)
            if board is not None:
                self._board = board(str(self.folder / TENSORBOARD), purge_step=step + 1)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is being written."""
        if self._board is not None:
            self._board.close()

    def step(self, step: int, values: Mapping[str, Any], *, seconds_per_step: float, total_steps: int) -> None:
        """Write a logged step: numbers by name ("mel", "gradient/codec", "learning_rate/codec", ...)."""
        if self._records is None:
            return
        plain = {name: float(value) for name, value in values.items()}
        pace = round(float(seconds_per_step), 6)
        self._records.add(STEP, step, {"seconds_per_step": pace, **plain})
        self._scalars(step, {"/".join(section_of(name)): value for name, value in plain.items()})
        self._scalars(step, {"speed/seconds_per_step": pace})
        self._show(step_text(step, plain, pace, total_steps, self._records.last(VALIDATION)))

    def event(self, name: str, step: int, **facts: Any) -> None:
        """Write something that happened: start, validation, checkpoint, skipped, ... with JSON-ready facts."""
        if self._records is None:
            return
        if name == STEP:
            raise ValueError("an event cannot have the name 'step': use Monitor.step")
        self._records.add(name, step, facts)
        numbers = {key: number(value) for key, value in facts.items()}
        if name == VALIDATION:
            self._scalars(step, {f"{name}/{key}": value for key, value in numbers.items() if value is not None})
        self._show(event_text(name, step, facts))

    def changed(self, step: int, changes: Mapping[str, str]) -> None:
        """Write what a resume changes of the run's settings: an event "changed", and a line on stderr in any case."""
        if self._records is None:
            return
        if not self.progress:
            text = ", ".join(f"{key} {change}" for key, change in changes.items())
            tqdm.write(f"llmcodec: changed at step {step:,}: {text}", file=sys.stderr)
        self.event("changed", step, **changes)

    def warning(self, step: int, text: str) -> None:
        """Write what whoever started the run should know: an event "warning", and a line on stderr in any case."""
        if self._records is not None:
            self._records.add(WARNING, step, {"text": text})
            tqdm.write(f"llmcodec: warning: {text}", file=sys.stderr)

    def audio(self, step: int, name: str, samples: ArrayLike | Tensor, rate: int) -> None:
        """Write samples (S,) in [-1, 1] as FLAC (16 bits, clipped), and to TensorBoard."""
        if self._records is None:
            return
        import soundfile

        wave = _wave(name, samples)
        with written_whole(self._media(step, name, ".flac")) as path:
            soundfile.write(path, wave.clip(-1, 1), rate, format="FLAC", subtype="PCM_16")
        if self._board is not None:
            self._board.add_audio(name, wave[None].clip(-1, 1), step, sample_rate=rate)

    def spectrogram(self, step: int, name: str, samples: ArrayLike | Tensor, rate: int) -> None:
        """Write the spectrogram of samples (S,) as PNG (see `spectrogram_image.level_pixels`), and to TensorBoard."""
        if self._records is None:
            return
        picture = level_pixels(_wave(name, samples), rate)
        with written_whole(self._media(step, name, ".png")) as path:
            path.write_bytes(encode_rgb(picture))
        if self._board is not None:
            self._board.add_image(name, picture, step, dataformats="HWC")

    def _media(self, step: int, name: str, ending: str) -> Path:
        folder = self.folder / MEDIA / f"step-{step:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        # Ids of clips may hold anything, also slashes.
        return folder / f"{quote(name, safe=' ,()=+@')}{ending}"

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def _show(self, text: str) -> None:
        if self.progress:
            tqdm.write(text, file=sys.stderr)


def step_text(
    step: int, values: Mapping[str, float], pace: float, total: int, validation: Mapping[str, Any] | None = None
) -> str:
    """What the console shows of a logged step: where it is, then a line a section, all within 100 columns."""
    share = f"{100 * step / total:.0f}%" if total else "-"
    speed = f"{1 / pace:.2f} steps/s" if pace > 0 else "- steps/s"
    left = f"{duration_text(pace * max(0, total - step))} left"
    lines = [f"step {step:,} of {total:,}   {share}   {speed}   {left}"]
    sections: dict[str, list[str]] = {}
    for name in sorted(values, key=lambda name: (name != "total", name)):
        section, rest = section_of(name)
        if name == "skipped" and not values[name]:
            continue
        sections.setdefault(section, []).append(f"{rest} {value_text(values[name])}")
    if validation is not None and (texts := token_texts(validation)):
        sections[VALIDATION] = [*texts, f"(at step {validation[STEP]:,})"]
    order = [*(name for name in SECTIONS if name in sections), *sorted(set(sections) - set(SECTIONS))]
    width = max((len(name) for name in order), default=0)
    for section in order:
        lines += _wrapped(section.replace("_", " ").ljust(width), sections[section])
    return "\n".join(lines)


def event_text(name: str, step: int, facts: Mapping[str, Any]) -> str:
    """What the console shows of an event."""
    parts = [f"{key} {textwrap.shorten(value_text(value), 60)}" for key, value in facts.items() if value is not None]
    return "\n".join(_wrapped(f"{name} at step {step:,}:" if parts else f"{name} at step {step:,}", parts, indent=0))


def token_texts(validation: Mapping[str, Any]) -> list[str]:
    """Codebook use, entropy and predictability of a validation, as far as it has them."""
    parts = []
    if (codes := number(validation.get("codes"))) is not None:
        size = number(validation.get("codebook_size"))
        of = f" of {size:,.0f} ({100 * codes / size:.0f}%)" if size else ""
        parts.append(f"{codes:,.0f} codes{of}")
    if (entropy := number(validation.get("entropy_bits"))) is not None:
        parts.append(f"entropy {entropy:.2f} bit")
    if (bits := number(validation.get("bigram_bits"))) is not None:
        parts.append(f"bigram {bits:.2f} bit, perplexity {value_text(2.0**bits)}")
    return parts


def value_text(value: Any) -> str:
    """A number in about four digits (a whole one in all), and anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if 1000 <= size < 1e6:
        return f"{value:,.0f}"
    return f"{value:.2e}" if size and (size < 1e-3 or size >= 1e6) else f"{value:.4g}"


def duration_text(seconds: float) -> str:
    """Seconds as "2 d 3 h", "3 h 05 min", "4 min 10 s" or "9 s"."""
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def _wrapped(head: str, items: list[str], indent: int = 2) -> list[str]:
    """The head and its items in lines of at most 100 columns, broken between items where they fit."""
    start = " " * indent + head
    joined = "   ".join(item.replace(" ", "\N{NO-BREAK SPACE}") for item in items)
    below = " " * (len(start) + 2 if len(start) < COLUMNS // 2 else 4)
    lines = textwrap.wrap(f"{start}  {joined}", COLUMNS, subsequent_indent=below, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ").rstrip() for line in lines]


def _wave(name: str, samples: ArrayLike | Tensor) -> np.ndarray:
    """Samples as a float32 array (S,). Raises ValueError for another shape, none, or what is not finite."""
    wave = torch.as_tensor(samples).detach().to("cpu", torch.float32).numpy()
    if wave.ndim != 1 or not wave.size:
        raise ValueError(f"{name}: expected samples (S,), got an array of shape {wave.shape}")
    if not np.isfinite(wave).all():
        raise ValueError(f"{name}: {int((~np.isfinite(wave)).sum())} of {wave.size} samples are not finite")
    return wave


def summary_writer() -> Any:
    """TensorBoard's writer; a package of its own."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            f"{missing('tensorboard: true', 'tensorboard', 'train')}, or "
            "train without it (log.jsonl, metrics.csv and media/ are written either way)"
        ) from error
    return SummaryWriter
