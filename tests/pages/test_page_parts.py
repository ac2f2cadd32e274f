"""What pages are made of: PNG files, spectrograms, their axes, markup and the file itself."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import jinja2
import numpy as np
import pytest

from soundcodec_llmcodec.measures import spectrogram
from soundcodec_llmcodec.pages import markup, png, single_file
from soundcodec_llmcodec.pages.spectrogram_image import level_pixels, relative_image

ROOT = Path(__file__).parents[2]


def decoded(image: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Palette indices (rows, columns) and palette (n, 3) of a PNG of one byte a pixel without filters."""
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(image):
        (size,) = struct.unpack(">I", image[at : at + 4])
        name, data = image[at + 4 : at + 8], image[at + 8 : at + 8 + size]
        assert struct.unpack(">I", image[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + data)
        chunks[name] = data
        at += 12 + size
    columns, rows, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 3, 0, 0, 0]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


def test_a_png_gives_its_pixels_back():
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    pixels, colours = decoded(png.encode(indices, png.palette(12)))
    np.testing.assert_array_equal(pixels, indices)
    np.testing.assert_array_equal(colours, png.palette(12))
    with pytest.raises(ValueError, match="index 11 of 5 colours"):
        png.encode(indices, png.palette(5))


def test_an_rgb_png_gives_its_pixels_back():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    image = png.encode_rgb(pixels)
    data = image[image.index(b"IDAT") + 4 : image.index(b"IEND") - 8]
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(3, 16)
    np.testing.assert_array_equal(lines[:, 1:].reshape(3, 5, 3), pixels)
    assert image[16:26] == struct.pack(">IIBB", 5, 3, 8, 2)
    with pytest.raises(ValueError, match="uint8 pixels"):
        png.encode_rgb(pixels[..., 0])


def test_the_palette_gets_brighter():
    brightness = png.palette(48) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(brightness) > 0).all()


@pytest.mark.parametrize(("rate", "hertz"), [(16_000, 440.0), (16_000, 5000.0), (44_100, 3000.0)])
def test_a_tone_is_one_line_at_its_frequency(rate: int, hertz: float):
    tone = np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)
    powers = spectrogram.power(tone, rate)
    assert powers.shape == (spectrogram.ROWS, spectrogram.COLUMNS)
    row = spectrogram.height(hertz, rate) * spectrogram.ROWS
    assert (abs(powers[:, 20:-20].argmax(axis=0) + 0.5 - row) <= 1).all()


def test_all_powers_are_kept_by_the_bands():
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    middle = spectrogram.power(noise, 16_000)[:, 20:-20].mean(axis=1)
    # White noise has the same power in every band, however narrow; half a bin is all that the lowest one sees of DC.
    assert middle[3:-1].max() / middle[3:-1].min() < 2


def test_images_share_the_originals_scale():
    powers = np.array([[1.0, 0.1], [1e-4, 1e-20]])
    pixels, _ = decoded(relative_image(powers, 1.0))
    top = png.LEVELS - 1
    np.testing.assert_array_equal(pixels, np.rint([[top / 2, 0], [top, top * 70 / 80]]))
    louder, _ = decoded(relative_image(powers, 10.0))
    assert louder[1, 0] == round(top * 70 / 80)
    silent, _ = decoded(relative_image(np.zeros((2, 2)), 0.0))
    assert not silent.any()


def test_pixels_of_a_tone_are_a_bright_line_at_its_frequency():
    """2 kHz of 8 kHz is a quarter up from the bottom; the scale is of full-scale sines, -100 to -20 dB."""
    colours = png.palette(256)
    tone = np.sin(2 * np.pi * 2000 * np.arange(16_000) / 16_000)
    picture = level_pixels(0.05 * tone, 16_000)
    assert picture.shape == (256, 201, 3)
    column = picture[:, 100].astype(int).sum(axis=1)
    assert np.argmax(column) == 255 - 64
    assert tuple(picture[20, 100]) == tuple(colours[0])
    assert tuple(level_pixels(0.11 * tone, 16_000)[255 - 64, 100]) == tuple(colours[-1])
    middle = level_pixels(0.001 * tone, 16_000)[255 - 64, 100]  # -60 dB
    assert tuple(middle) in {tuple(colours[127]), tuple(colours[128])}
    assert level_pixels(np.zeros(100), 16_000).max() == colours[0, 2]
    assert level_pixels(np.zeros(10_000_000), 16_000).shape[1] <= 1601


def test_named_frequencies_leave_room_for_each_other():
    for rate in (8000, 16_000, 44_100, 48_000):
        heights = [spectrogram.height(tick, rate) for tick in spectrogram.frequency_ticks(rate)]
        assert len(heights) >= 3
        assert 0 < max(heights) <= 0.97
        assert (np.diff(sorted(heights)) >= 0.1).all()


def test_a_clip_shorter_than_the_window_has_an_image():
    assert spectrogram.power(np.ones(10, np.float32), 16_000).shape[0] == spectrogram.ROWS


def test_markup_escapes_text_and_attributes():
    made = markup.tag("p", "<i>", markup.tag("br"), [1, None, "&"], title='"><i>')
    assert made == '<p title="&#34;&gt;&lt;i&gt;">&lt;i&gt;<br/>1&amp;</p>'
    assert markup.breakable("a_<b>") == "a_&lt;b&gt;"
    assert markup.breakable("hf:a/b") == "hf:<wbr/>a/<wbr/>b"


STYLES = sorted(path for top in ("soundcodec_llmcodec", "eval") for path in (ROOT / top).rglob("style.css"))


@pytest.mark.parametrize("style", STYLES, ids=lambda path: path.parent.name)
def test_no_text_is_smaller_than_12_px(style: Path):
    sizes = re.findall(r"(?:font-size: |font: )([\d.]+)(px|rem|em)", style.read_text(encoding="utf-8"))
    assert all(float(size) * (1 if unit == "px" else 16) >= 12 for size, unit in sizes)


def test_markup_joined_to_text_escapes_it():
    assert markup.tag("b", "x") + "<i>" == "<b>x</b>&lt;i&gt;"
    assert markup.join([markup.tag("b"), "<i>"]) == "<b></b>&lt;i&gt;"


def test_a_template_escapes_text_and_keeps_style_and_script(tmp_path: Path):
    (tmp_path / "template.html").write_text("<style>{{ style }}</style>{{ title }}<script>{{ script }}</script>")
    (tmp_path / "style.css").write_text("a > b {}")
    (tmp_path / "script.js").write_text("1 < 2 && 3")
    page = single_file.rendered(tmp_path, more_style=" c {}", title="<i>")
    assert page == "<style>a > b {} c {}</style>&lt;i&gt;<script>1 < 2 && 3</script>\n"
    with pytest.raises(jinja2.UndefinedError, match="title"):
        single_file.rendered(tmp_path)
