"""A clip and what codecs make of it, as spectrograms up to 4 kHz one below the other, in one PNG.

python benchmarks/spectrograms.py CLIP --codec CODEC [CODEC ...] --out FILE.png [--start S --seconds S]

The order is the original, then the codecs as they are given; 5 ms a column, 15.6 Hz a row, -100 to -20 dB.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from soundcodec_llmcodec.audio import as_clip
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.pages.png import encode_rgb
from soundcodec_llmcodec.pages.spectrogram_image import level_pixels

GAP = np.full((4, 1, 3), 255, dtype=np.uint8)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--codec", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=2.5)
    arguments = parser.parse_args()
    clip = as_clip(arguments.clip, None)
    waves = [clip.samples.mean(axis=0)]
    for name in arguments.codec:
        codec = LLMCodec.from_pretrained(name)
        waves.append(np.asarray(codec.decode(codec.encode(arguments.clip))).reshape(-1))
    first = round(arguments.start * clip.sampling_rate)
    last = first + round(arguments.seconds * clip.sampling_rate)
    rows: list[np.ndarray] = []
    for wave in waves:
        picture = level_pixels(wave[first:last], clip.sampling_rate)
        low = picture[-round(len(picture) * 8_000 / clip.sampling_rate) :]
        rows += [low.repeat(2, axis=0).repeat(2, axis=1), GAP.repeat(2 * picture.shape[1], axis=1)]
    arguments.out.write_bytes(encode_rgb(np.concatenate(rows[:-1])))


if __name__ == "__main__":
    main()
