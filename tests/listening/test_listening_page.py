"""The listening page: whole, self-contained, and holding both sounds and every token."""

from __future__ import annotations

import base64
import io
import re
import struct
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec.audio import Clip
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.listening import Excerpt, build, code_pictures, read_excerpt
from soundcodec_llmcodec.listening.recordings import flac
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.pages.markup import VOID


class Page(HTMLParser):
    """The elements of a page as (name, attributes); raises where one is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] not in (["style"], ["script"]):
            self.words += data

    def of(self, name: str) -> list[dict]:
        return [attributes for tag, attributes in self.elements if tag == name]


def content(url: str, kind: str) -> bytes:
    assert url.startswith(f"data:{kind};base64,")
    return base64.b64decode(url.split(",", 1)[1], validate=True)


def sounds(page: Page) -> list[tuple[np.ndarray, int]]:
    """Every player's samples, int16 or int32, and rate."""
    found = []
    for attributes in page.of("audio"):
        stored = io.BytesIO(content(attributes["src"], "audio/flac"))
        kind = "int16" if soundfile.info(stored).subtype == "PCM_16" else "int32"
        stored.seek(0)
        found.append(soundfile.read(stored, dtype=kind, always_2d=True))
    return found


def strips(page: Page) -> list[dict]:
    return [attributes for attributes in page.of("div") if attributes.get("role") == "slider"]


def excerpt(samples: np.ndarray, rate: int = 16_000, name: str = "a.wav") -> Excerpt:
    rows = np.atleast_2d(np.asarray(samples, np.float32))
    return Excerpt(name, Clip(rows, rate), rows.shape[1] / rate)


def tone(n: int, rate: int = 16_000, hertz: float = 440.0) -> np.ndarray:
    wave = np.round(8000 * np.sin(2 * np.pi * hertz * np.arange(n) / rate))
    return (wave / 32_768).astype(np.float32)


def made(excerpts, codecs, **more) -> Page:
    return Page(build(excerpts, codecs, title=more.pop("title", "t"), **more))


def test_the_page_holds_both_sounds_bit_for_bit(tiny_codec):
    samples = tone(9_000)
    page = made([excerpt(samples)], [tiny_codec])
    (first, first_rate), (second, second_rate) = sounds(page)
    assert first_rate == second_rate == 16_000
    np.testing.assert_array_equal(first[:, 0], (samples * 32_768).astype(np.int16))
    decoded = tiny_codec.decode(tiny_codec.encode(samples, 16_000))
    expected = np.clip(np.rint(decoded.astype(np.float64) * 32_768), -32_768, 32_767)
    np.testing.assert_array_equal(second[:, 0], expected)


def test_the_strip_has_a_cell_a_frame_and_tells_every_code(tiny_codec):
    samples = tone(9_000)
    page = made([excerpt(samples)], [tiny_codec])
    tokens = tiny_codec.encode(samples, 16_000)
    (slider,) = strips(page)
    assert [int(code) for code in slider["data-codes"].split()] == tokens.unit.tolist()
    assert slider["aria-valuemax"] == str(len(tokens) - 1)
    (image,) = [attributes for attributes in page.of("img") if attributes["alt"].startswith("Tokens")]
    stored = content(image["src"], "image/png")
    assert struct.unpack(">II", stored[16:24]) == (len(tokens), 1)


def test_several_levels_are_rows(noise):
    fields = {**CodecConfig.preset("tiny").to_dict(), "num_quantizers": 3}
    codec = LLMCodec.random(CodecConfig.from_dict(fields))
    samples = noise(6_400).numpy()
    page = made([excerpt(samples)], [codec])
    (slider,) = strips(page)
    rows = [[int(code) for code in level.split()] for level in slider["data-codes"].split(";")]
    assert rows == codec.encode(samples, 16_000).codes[0].tolist()
    (image,) = [attributes for attributes in page.of("img") if attributes["alt"].startswith("Tokens")]
    assert struct.unpack(">II", content(image["src"], "image/png")[16:24]) == (20, 3)


def test_clips_and_codecs_multiply_and_codecs_of_one_name_are_told_apart(tiny_codec, noise):
    other = LLMCodec.random(CodecConfig.preset("tiny"), seed=1)
    other.name = tiny_codec.name
    page = made([excerpt(tone(4_000)), excerpt(noise(5_000).numpy())], [tiny_codec, other])
    assert len(page.of("audio")) == 2 * 3
    assert len(strips(page)) == 4
    labels = {slider["aria-label"].split(" by ")[1] for slider in strips(page)}
    assert labels == {f"{codec.name} ({codec.weights_hash[:8]})" for codec in (tiny_codec, other)}


def test_the_page_needs_nothing_else(tiny_codec):
    text = build([excerpt(tone(4_000))], [tiny_codec], title="t")
    page = Page(text)
    assert re.findall(r"https?:", text) == []
    for tag, attributes in page.elements:
        assert "style" not in attributes  # the policy would refuse it
        for key in ("src", "href"):
            assert attributes.get(key, "data:").startswith(("data:", "#")), tag
    (policy,) = [one["content"] for one in page.of("meta") if "http-equiv" in one]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert all(one["alt"] for one in page.of("img"))
    assert all(one["aria-label"] for one in page.of("audio"))


def test_names_with_signs_of_html_are_text(tiny_codec):
    name = "a\"b'<script>alert(1)</script>&amp;$x.wav"
    page = made([excerpt(tone(4_000), name=name)], [tiny_codec], title=name)
    assert len(page.of("script")) == 1
    assert page.words.count(name) >= 2
    assert page.of("audio")[0]["aria-label"] == f"the original {name}"


def test_a_clip_of_one_sample_has_a_page_and_reasons(tiny_codec):
    page = made([excerpt(np.array([0.5]))], [tiny_codec])
    (first, _), (second, _) = sounds(page)
    assert first.tolist() == [[16_384]]
    assert second.shape == (1, 1)
    assert "0.0625 ms" in page.words
    assert "no mel: 1 samples are too few" in page.words
    assert "no SI-SDR: the original is silent" in page.words


def test_silence_has_a_page_and_reasons(tiny_codec):
    page = made([excerpt(np.zeros(8_000))], [tiny_codec])
    assert not sounds(page)[0][0].any()
    assert "silent: pictures are against the loudest reconstruction" in page.words
    assert "no loudness: the original is silent" in page.words
    assert "no STOI: " in page.words


def test_stereo_is_played_as_it_is_and_coded_as_its_mean(tiny_codec):
    left, right = tone(22_050, 44_100), tone(22_050, 44_100, 700.0)
    page = made([excerpt(np.stack([left, right]), 44_100)], [tiny_codec])
    (first, rate), (second, made_rate) = sounds(page)
    assert rate == made_rate == 44_100
    np.testing.assert_array_equal(first.T, (np.stack([left, right]) * 32_768).astype(np.int16))
    assert second.shape == (22_050, 1)
    tokens = tiny_codec.encode((left + right) / 2, 44_100)
    assert [int(code) for code in strips(page)[0]["data-codes"].split()] == tokens.unit.tolist()


def test_a_long_clip_is_cut_and_the_page_is_bounded(tiny_codec, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 600 * 8_000), 8_000)
    cut = read_excerpt(path, 2.0)
    assert cut.clip.n_samples == 16_000
    assert cut.is_cut
    assert cut.whole_seconds == 600
    np.testing.assert_array_equal(cut.clip.samples[0], soundfile.read(path, dtype="float32")[0][:16_000])
    text = build([cut], [tiny_codec], title="t")
    assert "the first 2.0 s of 10:00" in text
    # Two sounds of two bytes a sample in base64, two pictures of at most 1000 x 112, the page itself.
    assert len(text) < 2 * 16_000 * 2 * 4 / 3 + 2 * 1000 * 112 * 4 / 3 + 60_000
    assert not read_excerpt(path, 600.0).is_cut


def test_deep_samples_are_kept_to_24_bit():
    samples = np.random.default_rng(0).integers(-(2**23), 2**23, 500)
    stored, _ = soundfile.read(io.BytesIO(flac((samples / 2**23).astype(np.float32), 48_000)), dtype="int32")
    np.testing.assert_array_equal(stored, samples * 256)
    loud, _ = soundfile.read(io.BytesIO(flac(np.array([1.5, -1.5], np.float32), 16_000)), dtype="int32")
    np.testing.assert_array_equal(loud, [(2**23 - 1) * 256, -(2**31)])


def test_too_many_channels_are_refused(tmp_path):
    soundfile.write(tmp_path / "nine.wav", np.zeros((100, 9)), 16_000)
    with pytest.raises(AudioError, match="9 channels"):
        read_excerpt(tmp_path / "nine.wav")


def test_like_codes_have_like_colours_whatever_their_length():
    generator = np.random.default_rng(0)
    book = generator.standard_normal((2_000, 8))
    colours = code_pictures.colours(book).astype(int)
    np.testing.assert_array_equal(colours, code_pictures.colours(book))
    np.testing.assert_array_equal(colours, code_pictures.colours(book * generator.uniform(0.5, 2, (2_000, 1))))
    near = code_pictures.colours(np.concatenate([book, book + 0.01 * generator.standard_normal(book.shape)])).astype(
        int
    )
    apart = np.abs(near[:2_000] - near[2_000:]).sum(axis=1)
    others = np.abs(near[:2_000] - near[2_000:][::-1]).sum(axis=1)
    assert np.median(apart) < 0.1 * np.median(others)
    assert len(np.unique(colours, axis=0)) > 1_900


@pytest.mark.parametrize("width", [1, 2])
def test_small_codebooks_have_colours(width: int):
    assert code_pictures.colours(np.random.default_rng(0).standard_normal((10, width))).shape == (10, 3)
    assert code_pictures.colours(np.ones((4, width))).shape == (4, 3)
