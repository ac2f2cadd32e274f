"""Tokens in every form a caller may have them, and the file that keeps them."""

from __future__ import annotations

import array
import dataclasses
import math
import struct
import time
import zlib
from collections import UserList

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soundcodec_llmcodec import bitpack, tokens
from soundcodec_llmcodec.token_ids import TokenError, parse_codes
from soundcodec_llmcodec.tokens import TokenFileError, Tokens, dumps, load, loads, save


def random_tokens(frames: int = 50, levels: int = 1, channels: int = 1, size: int = 20_480, **changes) -> Tokens:
    generator = torch.Generator().manual_seed(frames)
    fields = {
        "codes": torch.randint(0, size, (channels, levels, frames), generator=generator),
        "n_samples": frames * 320 * 3 - 7,
        "sampling_rate": 48_000,
        "codebook_size": size,
        "codec_hash": "0123456789abcdef" * 4,
        "codec_name": "llmcodec",
    }
    return Tokens(**{**fields, **changes})


# -- Tokens ------------------------------------------------------------------------------------------------------------
def test_derived_numbers():
    clip = random_tokens(frames=100)
    assert len(clip) == 100
    assert clip.frame_rate == 50.0
    assert clip.bitrate_bps == pytest.approx(716.1, abs=0.05)
    assert clip.duration_s == pytest.approx((100 * 960 - 7) / 48_000)
    assert random_tokens(levels=2, channels=2).bitrate_bps == pytest.approx(4 * 716.1, abs=0.2)


def test_unit_drops_only_needless_axes_and_is_a_copy():
    clip = random_tokens()
    assert clip.unit.shape == (50,)
    assert clip.unit.dtype == torch.int64
    assert random_tokens(levels=3).unit.shape == (3, 50)
    assert random_tokens(channels=2).unit.shape == (2, 1, 50)
    clip.unit[:] = 0
    assert clip.codes.any()


def test_text_and_back():
    clip = random_tokens(codes=torch.tensor([[[0, 7, 20_479]]]), n_samples=960)
    assert clip.text() == "<CODEC_0><CODEC_7><CODEC_20479>"
    assert torch.equal(parse_codes(clip.text(), 20_480), clip.codes[0])
    with pytest.raises(TokenError):
        random_tokens(levels=2).text()


def test_equality_is_by_value():
    assert random_tokens() == random_tokens()
    assert random_tokens() != random_tokens(n_samples=5)
    assert random_tokens() != random_tokens(codes=torch.zeros(1, 1, 50, dtype=torch.int64))


@pytest.mark.parametrize(
    "changes",
    [
        {"codes": torch.zeros(1, 50, dtype=torch.int64)},
        {"codes": torch.zeros(1, 1, 0, dtype=torch.int64)},
        {"codes": torch.zeros(1, 1, 50)},
        {"codes": torch.full((1, 1, 50), 20_480)},
        {"codes": torch.full((1, 1, 50), -1)},
        {"codes": [[[1, 2]]]},
        {"n_samples": 0},
        {"n_samples": 50 * 320 * 3 + 1},
        {"sampling_rate": 7_999},
        {"codec_hash": "abc"},
        {"hop_length": 0},
    ],
    ids=repr,
)
def test_impossible_tokens_are_refused(changes):
    with pytest.raises(TokenError):
        random_tokens(**changes)


def test_lengths_and_rates_may_be_numbers_of_any_type_and_are_kept_as_ints():
    plain = random_tokens(n_samples=9_000, sampling_rate=16_000)
    for form in (np.int64, np.float32, float, torch.tensor, lambda value: np.array([value])):
        clip = random_tokens(
            n_samples=form(9_000), sampling_rate=form(16_000), hop_length=form(320), codec_sample_rate=form(16_000)
        )
        assert clip == plain
        assert type(clip.n_samples) is type(clip.sampling_rate) is type(clip.hop_length) is int
        assert loads(dumps(clip)) == plain


# -- slices ------------------------------------------------------------------------------------------------------------
def test_a_slice_holds_its_frames_and_their_samples():
    clip = random_tokens(frames=100, channels=2, n_samples=100 * 960 - 7, sampling_rate=48_000)
    part = clip[10:30]
    assert torch.equal(part.codes, clip.codes[:, :, 10:30])
    assert (part.n_samples, part.sampling_rate, part.codec_hash) == (20 * 960, 48_000, clip.codec_hash)
    assert clip[:] == clip
    assert clip[-1:].n_samples == 960 - 7
    part.codes[:] = 0
    assert clip.codes[:, :, 10:30].any()


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 192_000])
def test_slices_of_a_clip_hold_it_all_but_for_rounding(rate):
    clip = random_tokens(frames=50, n_samples=50 * 320 * rate // 16_000, sampling_rate=rate)
    parts = [clip[start : start + 7] for start in range(0, 50, 7)]
    assert sum(len(part) for part in parts) == 50
    assert 0 <= clip.n_samples - sum(part.n_samples for part in parts) <= len(parts)


def test_what_is_no_run_of_frames_is_refused():
    clip = random_tokens(frames=50, n_samples=5, sampling_rate=16_000)
    for bad in (slice(7, 7), slice(60, 70), slice(None, None, 2), slice(3, None)):
        with pytest.raises(TokenError):
            clip[bad]
    for bad in (3, "a", (slice(3), slice(3))):
        with pytest.raises(TypeError, match="slice"):
            clip[bad]
    with pytest.raises(TypeError):
        iter(clip)


def test_what_is_printed_is_one_line_without_the_ids():
    printed = repr(random_tokens(frames=100, n_samples=32_000, sampling_rate=16_000))
    assert "\n" not in printed
    assert "tensor" not in printed
    for part in ("100 frames", "20480 codes", "716 bit/s", "2.00 s", "llmcodec 0123456789ab"):
        assert part in printed
    assert "2 channels of 3 levels of 512" in repr(random_tokens(channels=2, levels=3, size=512))


# -- bare ids ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "form",
    [
        [1, 5, 511],
        (1, 5, 511),
        [[1, 5, 511]],
        [np.int64(1), 5, np.int16(511)],
        [torch.tensor(1), torch.tensor(5), torch.tensor(511)],
        np.array([1, 5, 511], dtype=np.uint16),
        np.array([[1, 5, 511]], dtype=np.uint64),
        torch.tensor([1, 5, 511], dtype=torch.int16),
        torch.tensor([[1, 5, 511]]),
        "<CODEC_1><CODEC_5><CODEC_511>",
        " <CODEC_1>\n<CODEC_5> <CODEC_511>\n",
        ["<CODEC_1>", "<CODEC_5>", "<CODEC_511>"],
        torch.tensor([[[1, 5, 511]]]),
        np.array([[[1, 5, 511]]]),
        [[[1, 5, 511]]],
        array.array("i", [1, 5, 511]),
        UserList([1, 5, 511]),
    ],
    ids=repr,
)
def test_every_form_of_the_same_ids(form):
    codes = parse_codes(form, 512)
    assert codes.dtype == torch.int64
    assert codes.tolist() == [[1, 5, 511]]


def test_a_range_is_ids():
    assert parse_codes(range(3, 9, 2), 512).tolist() == [[3, 5, 7]]


def test_several_clips_are_not_one():
    for several in (torch.zeros(2, 1, 5, dtype=torch.int64), [[1, 2], [3, 4]]):
        with pytest.raises(TokenError, match="decode_batch"):
            parse_codes(several, 512)


def test_levels_must_match():
    ids = [[1, 2, 3], [4, 5, 6]]
    assert parse_codes(ids, 512, num_quantizers=2).tolist() == ids
    for bad, levels in ((ids, 1), (np.array(ids).T, 2), ([1, 2], 2), (torch.zeros(2, 1, 5, dtype=torch.int64), 1)):
        with pytest.raises(TokenError, match="shape"):
            parse_codes(bad, 512, num_quantizers=levels)


@pytest.mark.parametrize(
    "bad",
    [
        [1.0, 2.0],
        [True, False],
        [1, True],
        np.array([True]),
        torch.tensor([True]),
        torch.tensor([1.0]),
        np.array([1.5]),
        [None],
        [1, "a"],
        [[1, 2], [3]],
        [],
        "",
        "hello",
        "<CODEC_1> hello <CODEC_2>",
        "<CODEC_1><CODEC_>",
        "<CODEC_" + "9" * 5_000 + ">",
        {1, 2},
        3,
        None,
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_token_is_refused(bad):
    with pytest.raises(TokenError):
        parse_codes(bad, 512)


@pytest.mark.parametrize("form", [list, np.array, torch.tensor])
def test_out_of_range_ids_are_named_with_their_positions(form):
    with pytest.raises(TokenError, match=r"3 of 6 .*\[0, 512\): -1 at 1, 512 at 3, 9000 at 5"):
        parse_codes(form([0, -1, 2, 512, 4, 9_000]), 512)
    with pytest.raises(TokenError, match="level 1, frame 2"):
        parse_codes(form([[1, 2, 3], [4, 5, 512]]), 512, num_quantizers=2)


def test_ids_beyond_64_bits_do_not_wrap():
    for big in (2**64 + 3, 2**70, -(2**70), 2**63):
        with pytest.raises(TokenError, match=str(big)):
            parse_codes([1, big], 512)
    with pytest.raises(TokenError):
        parse_codes(np.array([2**64 - 1], dtype=np.uint64), 512)
    with pytest.warns(UserWarning, match="2 of 3"):
        assert parse_codes([1, 2**70, -(2**70)], 512, on_invalid="nearest").tolist() == [[1, 511, 0]]
    with pytest.warns(UserWarning, match="moved into"):
        assert parse_codes(np.array([2**64 - 1], dtype=np.uint64), 512, on_invalid="nearest").tolist() == [[511]]


def test_drop_and_nearest_are_counted():
    with pytest.warns(UserWarning, match="dropped 2 frames"):
        assert parse_codes([0, -1, 2, 512], 512, on_invalid="drop").tolist() == [[0, 2]]
    with pytest.warns(UserWarning, match="2 of 4"):
        assert parse_codes([0, -1, 2, 600], 512, on_invalid="nearest").tolist() == [[0, 0, 2, 511]]
    with pytest.warns(UserWarning, match="dropped 1 frames"):
        codes = parse_codes([[1, 2, 3], [4, 999, 6]], 512, num_quantizers=2, on_invalid="drop")
    assert codes.tolist() == [[1, 3], [4, 6]]
    with pytest.warns(UserWarning, match="1 pieces of text"):
        assert parse_codes("<CODEC_3><|im_end|><CODEC_4>", 512, on_invalid="drop").tolist() == [[3, 4]]
    with pytest.raises(TokenError, match="im_end"):
        parse_codes("<CODEC_3><|im_end|>", 512, on_invalid="nearest")
    with pytest.warns(UserWarning, match="dropped 2"), pytest.raises(TokenError, match="no tokens"):
        parse_codes([512, 513], 512, on_invalid="drop")
    with pytest.raises(ValueError, match="on_invalid"):
        parse_codes([1], 512, on_invalid="ignore")


def test_the_callers_ids_are_neither_changed_nor_shared():
    for ids in (np.array([0, 5, 600]), torch.tensor([0, 5, 600])):
        with pytest.warns(UserWarning, match="moved into"):
            codes = parse_codes(ids, 512, on_invalid="nearest")
        codes[:] = 3
        assert ids.tolist() == [0, 5, 600]
        good = ids[:2]
        parse_codes(good, 512)[:] = 3
        assert good.tolist() == [0, 5]


# -- packing -----------------------------------------------------------------------------------------------------------
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_packing_round_trip(data):
    vocabulary = data.draw(st.integers(2, 70) | st.sampled_from([1_024, 20_480, 65_537, 2**24 + 1, 2**31]))
    ids = np.array(data.draw(st.lists(st.integers(0, vocabulary - 1), max_size=400)), dtype=np.int64)
    packed = bitpack.pack(ids, vocabulary)
    assert len(packed) == bitpack.packed_size(len(ids), vocabulary)
    np.testing.assert_array_equal(bitpack.unpack(packed, len(ids), vocabulary), ids)


@pytest.mark.parametrize("vocabulary", [2, 3, 1_000, 1_024, 20_480, 65_537, 2**20 + 1, 2**31])
@pytest.mark.parametrize("count", [1, 7, 200, 100_003])
def test_packed_size_is_within_half_a_percent_of_the_entropy_bound(vocabulary, count):
    bound = count * math.log2(vocabulary)
    assert bound <= 8 * bitpack.packed_size(count, vocabulary) <= 1.005 * bound + 8


def test_chunks_join_without_seams(monkeypatch):
    ids = np.random.default_rng(0).integers(0, 20_480, 1_000)
    whole = bitpack.pack(ids, 20_480)
    monkeypatch.setattr(bitpack, "_CHUNK_GROUPS", 8)
    assert bitpack.pack(ids, 20_480) == whole
    np.testing.assert_array_equal(bitpack.unpack(whole, 1_000, 20_480), ids)


def test_packing_refuses_what_it_cannot_hold():
    for bad in ([512], [-1]):
        with pytest.raises(ValueError, match="512"):
            bitpack.pack(np.array(bad), 512)
    with pytest.raises(ValueError, match="bytes"):
        bitpack.unpack(b"\0" * 5, 3, 20_480)
    with pytest.raises(ValueError, match="beyond"):
        bitpack.unpack(b"\xff" * bitpack.packed_size(3, 20_480), 3, 20_480)


# -- the file ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "clip",
    [
        random_tokens(),
        random_tokens(frames=1, n_samples=1, sampling_rate=192_000),
        random_tokens(levels=3, channels=2),
        random_tokens(codec_hash=None, codec_name=None, sampling_rate=8_000, n_samples=33),
        random_tokens(size=2),
        random_tokens(codec_name="großer codec"),
    ],
    ids=lambda clip: str(tuple(clip.codes.shape)),
)
def test_file_round_trip(tmp_path, clip):
    save(clip, tmp_path / "a.llmc")
    assert load(tmp_path / "a.llmc") == clip
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.llmc"]


def test_the_golden_file_still_reads():
    clip = Tokens(torch.tensor([[[0, 1, 20_479, 512]]]), 1_200, 16_000, 20_480, codec_hash="ab" * 32, codec_name="x")
    golden = (
        "894c4c4d430d0a1a010048000000"
        "01" + "ab" * 32 + "803e0000400100000050000001000100" + "0400000000000000b004000000000000803e00000100" + "78"
    )
    data = dumps(clip)
    assert data[: len(golden) // 2].hex() == golden
    # 0, 1, 20479 in base 20,480 are 40,959 in 43 bits; 512 takes 15 bits; six bits fill the last byte.
    assert data[-12:-4].hex() == f"{((40_959 << 15) | 512) << 6:016x}"
    assert loads(data) == clip


def test_an_hour_is_small_and_quick():
    clip = random_tokens(frames=180_000)
    start = time.perf_counter()
    data = dumps(clip)
    assert loads(data) == clip
    assert time.perf_counter() - start < 2
    assert len(data) * 8 < 180_000 * math.log2(20_480) * 1.005


def test_every_cut_is_noticed():
    data = dumps(random_tokens(levels=2))
    for length in range(len(data)):
        with pytest.raises(TokenFileError, match=r"cut short|is empty"):
            loads(data[:length])
    with pytest.raises(TokenFileError, match="follows"):
        loads(data + b"\0")


def test_every_flipped_bit_is_noticed():
    data = dumps(random_tokens(frames=20))
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with pytest.raises(TokenFileError):
                loads(bytes(changed))


def with_header(data: bytes, **changes) -> bytes:
    """A file whose header says something else, with a checksum that agrees."""
    names = ["has_hash", "hash", "codec_sample_rate", "hop", "size", "levels", "channels"]
    names += ["frames", "n_samples", "rate", "name_length"]
    start, header = tokens._START.size, tokens._HEADER
    length = struct.unpack_from("<I", data, start - 4)[0]
    fields = dict(zip(names, header.unpack_from(data, start), strict=True)) | changes
    head = data[:start] + header.pack(*fields.values()) + data[start + header.size : start + length]
    return head + struct.pack("<I", zlib.crc32(head)) + data[start + length + 4 :]


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 2**63},
        {"frames": 0},
        {"channels": 0},
        {"size": 1},
        {"size": 2**32 - 1},
        {"hop": 0},
        {"rate": 1},
        {"n_samples": 2**62},
        {"name_length": 100},
    ],
    ids=repr,
)
def test_a_header_that_lies_is_refused_before_anything_is_allocated(changes):
    data = dumps(random_tokens())
    assert with_header(data) == data
    with pytest.raises(TokenFileError):
        loads(with_header(data, **changes))


def test_tokens_save_and_load_themselves(tmp_path):
    clip = random_tokens()
    clip.save(tmp_path / "a.llmc")
    assert Tokens.load(str(tmp_path / "a.llmc")) == clip == load(tmp_path / "a.llmc")


def test_foreign_and_newer_files_are_told_apart(tmp_path):
    data = bytearray(dumps(random_tokens()))
    data[8] = 2
    for content, message in ((bytes(data), "version 2"), (b"RIFF....WAVE", "not a token file"), (b"", "is empty")):
        (tmp_path / "a.llmc").write_bytes(content)
        with pytest.raises(TokenFileError, match=f"a.llmc.*{message}"):
            load(tmp_path / "a.llmc")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.llmc")


def test_replacing_only_what_the_frames_hold():
    clip = random_tokens(frames=100)
    with pytest.raises(TokenError, match="n_samples"):
        dataclasses.replace(clip, codes=clip.codes[:, :, :10])
    assert len(dataclasses.replace(clip, codes=clip.codes[:, :, :10], n_samples=9_600)) == 10


def test_more_channels_than_a_sound_file_has_are_neither_written_nor_read(monkeypatch):
    """A quarter of a megabyte would be 65,535 clips to decode."""
    many = Tokens(torch.zeros(1_025, 1, 1, dtype=torch.int64), 320, 16_000, 20_480)
    with pytest.raises(TokenError, match="at most 1024 channels, these are 1025"):
        dumps(many)
    monkeypatch.setattr(tokens, "MAX_CHANNELS", 2_000)
    data = dumps(many)
    assert loads(data) == many
    monkeypatch.undo()
    with pytest.raises(TokenFileError, match="claims 1025 channels; at most 1024"):
        loads(data)
