"""Opus and Codec 2: bits that were counted, reconstructions that lie on the clip, and programs that are not there."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import pytest
import scipy.signal

from eval.harness.clips import CorpusClip
from eval.reconstruction.codecs import ReconstructionError, codec2, load, opus, programs
from eval.reconstruction.codecs.opus import packet_sizes

needs_opus = pytest.mark.skipif(
    not all(map(shutil.which, opus.PROGRAMS)), reason="needs opusenc and opusdec: apt-get install opus-tools"
)
needs_codec2 = pytest.mark.skipif(
    not all(map(shutil.which, codec2.PROGRAMS)), reason="needs c2enc and c2dec: apt-get install codec2"
)


def page(lacing: bytes, body: bytes) -> bytes:
    return b"OggS" + bytes(22) + struct.pack("B", len(lacing)) + lacing + body


def test_packets_are_counted_across_pages_and_laces():
    stream = page(bytes([19]), bytes(19)) + page(bytes([255, 45]), bytes(300))
    # A packet of 255 bytes exactly, ended by a lace of 0; one of 40; and one that goes on over the page's end.
    stream += page(bytes([255, 0, 40, 255]), bytes(550)) + page(bytes([5]), bytes(5))
    assert packet_sizes(stream) == [19, 300, 255, 40, 260]


@pytest.mark.parametrize("cut", [slice(0, 60), slice(1, None), slice(0, -1)])
def test_a_stream_that_is_not_whole_is_refused(cut):
    stream = page(bytes([19]), bytes(19)) + page(bytes([16]), bytes(16)) + page(bytes([40]), bytes(40))
    assert packet_sizes(stream) == [19, 16, 40]
    with pytest.raises(ReconstructionError, match="Ogg"):
        packet_sizes(stream[cut])


@needs_opus
def test_opus_gives_rate_length_and_counted_bits(assert_contract, clip_of):
    model = load("opus_24k")
    assert_contract(model)
    assert model.info.bitrate_bps is None
    assert not model.info.in_process
    assert "libopus" in model.info.checkpoint
    clip = clip_of(16_000, 4.0)
    low, high = (load(name).encode([clip])[0] for name in ("opus_6k", "opus_64k"))
    assert low.n_bits / clip.seconds < 8_000 < 40_000 < high.n_bits / clip.seconds < 80_000
    # The container is left out, and so are the packets that hold no audio: OpusHead (19 bytes) and OpusTags.
    sizes = packet_sizes(low.payload)
    assert sizes[0] == 19
    assert low.n_bits == 8 * sum(sizes[2:])
    # A packet of 20 ms each, one or two more for the encoder's delay.
    assert len(sizes) - 2 - clip.seconds / 0.02 == pytest.approx(1, abs=1)


@needs_opus
def test_opus_lies_on_the_clip(clip_of):
    clip = clip_of(48_000, 1.0)
    model = load("opus_128k")
    (made,) = model.decode(model.encode([clip]), [clip])
    assert np.sqrt(np.mean((made - clip.samples) ** 2)) < 0.1 * np.sqrt(np.mean(clip.samples**2))
    # Deterministic to the bit, container included.
    assert model.encode([clip])[0].payload == model.encode([clip])[0].payload
    assert load("opus_128k").info.identity == model.info.identity != load("opus_64k").info.identity


@needs_codec2
@pytest.mark.parametrize("mode", codec2.MODES)
def test_codec2s_rate_is_what_its_name_says_and_what_is_counted(mode, clip_of):
    model = load(f"codec2_{mode.lower()}")
    assert model.info.bitrate_bps == int(mode.rstrip("C"))
    clip = clip_of(16_000, 4.0)
    (coded,) = model.encode([clip])
    # One or two frames more: those that fill the last frame and carry the delay.
    frame = codec2.MODES[mode].hop / codec2.RATE
    assert 0 <= coded.n_bits / model.info.bitrate_bps - clip.seconds < 2 * frame + 0.01


@needs_codec2
def test_codec2_gives_rate_and_length(assert_contract):
    assert_contract(load("codec2_1300"))


@needs_codec2
@pytest.mark.parametrize("mode", codec2.MODES)
def test_codec2_lies_on_the_clip(mode, speech):
    """The envelopes of speech agree best where the clip is, within 4 ms; uncompensated it would be 20 to 30 ms."""
    model = load(f"codec2_{mode.lower()}")
    clips = speech[:5]
    lags = [lag_of(made, clip) for made, clip in zip(model.decode(model.encode(clips), clips), clips, strict=True)]
    assert abs(np.median(lags)) <= 0.004


def lag_of(made: np.ndarray, clip: CorpusClip) -> float:
    """By how many seconds the envelope of `made` is behind the clip's."""
    smooth = np.hanning(round(0.03 * clip.rate))
    one, other = (np.convolve(np.abs(x), smooth / smooth.sum(), "same") for x in (clip.samples, made))
    correlation = scipy.signal.correlate(other - other.mean(), one - one.mean(), "full")
    near = round(0.06 * clip.rate)
    middle = len(one) - 1
    return (int(np.argmax(correlation[middle - near : middle + near + 1])) - near) / clip.rate


def test_a_program_that_fails_is_quoted():
    with pytest.raises(ReconstructionError, match="sh ended with 3: last words"):
        programs.run(["sh", "-c", "echo first >&2; echo last words >&2; exit 3"])
    with pytest.raises(ReconstructionError, match=r"did not end within 0\.05 s"):
        programs.run(["sleep", "5"], timeout_s=0.05)


def test_items_stay_in_order_side_by_side():
    assert programs.side_by_side(lambda x: x * x, list(range(20))) == [x * x for x in range(20)]
