"""Files that every player reads: each gives all of its samples, from its path as from its bytes."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec import audio_files
from soundcodec_llmcodec.audio import as_clip, read_mono
from soundcodec_llmcodec.audio_files import AudioError

RATE = 16_000
N = 40_000
TAG = b"ID3\3\0\0" + bytes([0, 0, 100, 0]) + bytes(12_800)


def sound(form: str, seed: int = 0, rate: int = RATE, channels: int = 1, **more) -> bytes:
    time = np.arange(N) / rate
    wave = 0.3 * np.sin(2 * np.pi * (200 + 30 * seed) * time) + 0.01 * np.random.default_rng(seed).standard_normal(N)
    wave[N // 3 : N // 2] = 0  # so that a variable bit rate varies
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave] * channels, axis=1), rate, format=form, **more)
    return file.getvalue()


def stating(flac: bytes, n_samples: int) -> bytes:
    """A FLAC file whose header states another length, 0 for an unknown one."""
    data = bytearray(flac)
    data[21] = data[21] & 0xF0 | n_samples >> 32
    data[22:26] = (n_samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


def wave_sizes(riff: int, data: int) -> bytes:
    wave = bytearray(sound("WAV", subtype="PCM_16"))
    place = wave.find(b"data")
    wave[4:8], wave[place + 4 : place + 8] = struct.pack("<I", riff), struct.pack("<I", data)
    return bytes(wave)


def without_xing(mp3: bytes) -> bytes:
    return mp3[mp3.find(b"\xff\xf3", 1) :]


def understated(mp3: bytes) -> bytes:
    place = max(mp3.find(b"Xing"), mp3.find(b"Info")) + 8
    return mp3[:place] + (5).to_bytes(4, "big") + mp3[place + 4 :]


JUNK = np.random.default_rng(0).bytes(3_000).replace(b"\xff", b"\0")
WHOLE = {
    "FLAC of unknown length": lambda: stating(sound("FLAC"), 0),
    "FLAC that states too little": lambda: stating(sound("FLAC"), 9_000),
    "FLAC before an ID3v1 tag": lambda: sound("FLAC") + b"TAG" + bytes(125),
    "FLAC after an ID3 tag": lambda: TAG + sound("FLAC"),
    "WAV after an ID3 tag": lambda: TAG + sound("WAV"),
    "AIFF after two ID3 tags": lambda: TAG + TAG + sound("AIFF"),
    "MP3 after an ID3 tag": lambda: TAG + sound("MP3"),
    "WAV of sizes 0": lambda: wave_sizes(0, 0),
    "WAV whose data has size 0": lambda: wave_sizes(36, 0),
    "WAV of the largest sizes": lambda: wave_sizes(0xFFFFFFFF, 0xFFFFFFFF),
    "MP3 after junk": lambda: JUNK + sound("MP3"),
    "Ogg after zeros": lambda: bytes(500) + sound("OGG"),
    "MP3 whose header states too few frames": lambda: understated(sound("MP3")),
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_sample_is_read_from_path_and_bytes_alike(name, tmp_path):
    data = WHOLE[name]()
    (tmp_path / "clip.bin").write_bytes(data)
    from_bytes, from_path = as_clip(data), as_clip(tmp_path / "clip.bin")
    assert from_bytes.samples.shape == (1, N)
    assert np.array_equal(from_bytes.samples, from_path.samples)
    assert read_mono(tmp_path / "clip.bin", RATE).n_samples == N
    form = name.split()[0]
    plain = as_clip(sound("OGG" if form == "Ogg" else form)).samples
    np.testing.assert_allclose(from_bytes.samples, plain, atol=1e-6)


@pytest.mark.parametrize(
    ("form", "more"), [("OGG", {}), ("OGG", {"subtype": "OPUS"}), ("MP3", {}), ("FLAC", {})], ids=str
)
def test_streams_that_were_joined_are_read_one_after_another(form, more):
    parts = [sound(form, seed, **more) for seed in range(3)]
    alone = [as_clip(part).samples for part in parts]
    np.testing.assert_array_equal(as_clip(b"".join(parts)).samples, np.concatenate(alone, axis=1))


def test_joined_streams_of_two_rates_are_refused_with_both():
    with pytest.raises(AudioError, match=r"2 recordings in one file, of 16000 Hz .*24000 Hz"):
        as_clip(sound("OGG") + sound("OGG", rate=24_000))


def test_a_variable_bit_rate_without_its_header_is_counted_not_guessed():
    whole = as_clip(sound("MP3")).samples[0]
    read = as_clip(without_xing(sound("MP3"))).samples[0]
    # Without the header nothing says what a decoder's delay adds at both ends.
    assert N < len(read) <= N + 3 * 576
    np.testing.assert_allclose(read[576 : 576 + N - 600], whole[: N - 600], atol=1e-5)


def test_a_hole_in_an_mp3_costs_what_is_in_it():
    mp3 = sound("MP3")
    middle = len(mp3) // 2
    read = as_clip(mp3[:middle] + bytes(5_000) + mp3[middle:])
    assert N - 3 * 576 < read.n_samples < N + 3 * 576


@pytest.mark.parametrize("stated", [0, N])
def test_a_flac_that_is_cut_short_is_read_as_far_as_it_goes(stated):
    whole = sound("FLAC")
    with pytest.warns(UserWarning, match="cut short"):
        clip = as_clip(stating(whole, stated)[: len(whole) // 2])
    assert N // 4 < clip.n_samples < N
    assert np.array_equal(clip.samples, as_clip(whole).samples[:, : clip.n_samples])


def test_damage_within_a_flac_is_an_error_not_a_shorter_clip():
    whole = sound("FLAC")
    with pytest.raises(AudioError, match="lost sync"):
        as_clip(whole[:10_000] + bytes(20_000) + whole[30_000:])


def test_a_wave_file_with_no_samples_is_not_given_the_chunks_that_follow():
    empty = sound("WAV")[:36] + b"data" + bytes(4) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(AudioError, match="no samples"):
        as_clip(empty)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"\0\0\0\x20ftypM4A ", r"MP4 file \(m4a.*ffmpeg"),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc", "AAC.*ffmpeg"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86", "WebM.*ffmpeg"),
        (b"#!AMR\n", "AMR.*ffmpeg"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "AppleDouble"),
        (b"PK\3\4" + bytes(26) + sound("WAV"), "archive; unpack"),
        (bytes(257) + b"ustar" + bytes(250) + sound("FLAC"), "archive; unpack"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(head, told):
    with pytest.raises(AudioError, match=told):
        as_clip(head + bytes(4_000))


def test_samples_without_a_header_say_how_to_give_them(tmp_path):
    (tmp_path / "x.raw").write_bytes(bytes(32_000))
    with pytest.raises(AudioError, match=r"x\.raw.*no header.*fromfile"):
        as_clip(tmp_path / "x.raw")
    (tmp_path / "y.raw").write_bytes(sound("WAV"))  # it is what its bytes are
    assert as_clip(tmp_path / "y.raw").n_samples == N


def test_a_few_bytes_do_not_fill_the_memory(monkeypatch):
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros((400_000, 8)), RATE, format="FLAC")
    data = silence.getvalue()
    assert as_clip(data).samples.shape == (8, 400_000)
    monkeypatch.setattr(audio_files, "_FREE_NUMBERS", 1_000_000)
    monkeypatch.setattr(audio_files, "_NUMBERS_A_BYTE", 10)
    with pytest.raises(AudioError, match="fill the memory"):
        as_clip(data)
    assert as_clip(sound("FLAC")).n_samples == N


def test_an_error_of_the_system_is_not_the_end_of_the_audio():
    class Failing(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell() > 40_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        as_clip(Failing(sound("WAV")))
