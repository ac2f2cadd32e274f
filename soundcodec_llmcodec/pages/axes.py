"""Frequencies and times, written over a spectrogram."""

from __future__ import annotations

from soundcodec_llmcodec.measures import spectrogram
from soundcodec_llmcodec.pages.markup import Markup, tag


def ticks(seconds: float, rate: int, most_times: int = 5) -> Markup:
    """SVG to lie over the spectrogram of a clip of this length and rate; at most `most_times` times are named."""
    parts = []
    for hertz in spectrogram.frequency_ticks(rate):
        y = f"{100 * (1 - spectrogram.height(hertz, rate)):.1f}%"
        named = f"{hertz / 1000:g} kHz" if hertz >= 1000 else f"{hertz} Hz"
        parts.append(tag("line", x1="0", x2="6", y1=y, y2=y))
        parts.append(tag("text", named, x="9", y=y, dy="3.5"))
    step = next((step for step in (0.2, 0.5, 1, 2, 5, 10, 20) if seconds / step <= most_times), 60)
    for index in range(1, int(seconds / step) + 1):
        if index * step < 0.97 * seconds:
            x = f"{100 * index * step / seconds:.1f}%"
            parts.append(tag("line", x1=x, x2=x, y1="100%", y2="96%"))
            parts.append(tag("text", f"{index * step:g} s", x=x, y="95%", class_="middle"))
    return tag("svg", parts, class_="axes", aria_hidden="true")
