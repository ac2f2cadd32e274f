"""Draws docs/data_flow.png: a bundled clip, its tokens, their bits under a language model, and the decoded clip.

python docs/data_flow.py   (extras lm and train)
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from soundcodec_llmcodec import load_codec
from soundcodec_llmcodec.audio import as_clip, mono
from soundcodec_llmcodec.lm.loading import load_token_lm

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "soundcodec_llmcodec" / "assets" / "demo" / "speech-english.flac"
START_S, SECONDS = 0.5, 2.0
BLUE, ORANGE, GREY = "#1f4e79", "#b3541e", "#555555"


def main() -> None:
    """Encode, score and decode the clip, and draw two seconds of it."""
    codec, lm = load_codec("llmcodec").codec, load_token_lm("bundled")
    clip = as_clip(CLIP)
    samples, rate = mono(clip), clip.sampling_rate
    tokens = codec.encode(CLIP)
    ids = tokens.unit.numpy()
    bits = lm.score([ids])[0].audio_nll / np.log(2)
    bits_per_s = bits.mean() * tokens.frame_rate
    decoded = codec.decode(tokens)
    assert decoded.shape == samples.shape
    first, last = (round(second * tokens.frame_rate) for second in (START_S, START_S + SECONDS))
    cut = slice(round(START_S * rate), round((START_S + SECONDS) * rate))

    figure, axes = plt.subplots(4, 1, figsize=(9.6, 5.6), sharex=True, height_ratios=[1, 0.55, 0.9, 1])
    figure.subplots_adjust(left=0.27, right=0.985, top=0.97, bottom=0.09, hspace=0.28)
    time = START_S + np.arange(cut.stop - cut.start) / rate
    frame_time = (np.arange(first, last) + 0.5) / tokens.frame_rate

    axes[0].plot(time, samples[cut], color=BLUE, linewidth=0.5)
    edges = np.arange(first, last + 1) / tokens.frame_rate
    axes[1].pcolormesh(edges, [0, 1], ids[None, first:last], cmap="viridis", vmin=0, vmax=tokens.codebook_size)
    axes[2].bar(frame_time, bits[first:last], width=0.8 / tokens.frame_rate, color=ORANGE)
    axes[2].axhline(np.log2(tokens.codebook_size), color=GREY, linewidth=0.8, linestyle="--")
    axes[2].text(START_S + SECONDS, 14.5, "uniform: 14.3 bits", ha="right", va="bottom", fontsize=7.5, color=GREY)
    axes[2].set_ylim(0, 18)
    axes[3].plot(time, decoded[cut], color=BLUE, linewidth=0.5)
    axes[3].set_xlabel("seconds", fontsize=9)

    shown = " ".join(str(i) for i in ids[first : first + 4])
    labels = (
        ("wav", f"{rate / 1000:g} kHz, {clip.channels} channel\n{len(samples):,} samples, {tokens.duration_s:.2f} s"),
        (
            "encode: tokens",
            f"{len(tokens)} ids, {tokens.frame_rate:g} a second\n{tokens.bitrate_bps:.0f} bit/s: {shown} ...",
        ),
        (
            "language model",
            f"bits of each token (bundled LM)\nmean {bits.mean():.1f} bits = {bits_per_s:.0f} bit/s",
        ),
        ("decode: wav", f"from the ids alone\n{len(decoded):,} samples, {rate / 1000:g} kHz"),
    )
    for axis, (title, text) in zip(axes, labels, strict=True):
        axis.set_yticks([])
        axis.margins(x=0)
        axis.tick_params(labelsize=8)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        place = axis.get_position()
        middle = (place.y0 + place.y1) / 2
        figure.text(0.015, middle + 0.03, title, fontsize=11, fontweight="bold", va="center")
        figure.text(0.015, middle - 0.035, text, fontsize=8, va="center", color=GREY)
    figure.savefig(ROOT / "docs" / "data_flow.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
