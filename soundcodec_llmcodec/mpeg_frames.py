"""MPEG audio (MP3) by its frames: where files that were joined begin, and headers that state too few frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# kbit/s by index, for (MPEG 1 or not, layer).
_BITRATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
_RATE_DIVIDED_BY = {3: 1, 2: 2, 0: 4}  # of the version's two bits; 1 is reserved
_NEEDED = 48  # bytes of a frame up to the count in its Xing header
_BUFFER = 1 << 16
_XING_BITRATE = 9  # an index; the frame is large enough for a header at every rate


@dataclass(frozen=True)
class Frame:
    """A frame's size in bytes, with its header; its sampling rate, layer, and where a Xing header would stand in it."""

    size: int
    rate: int
    layer: int
    side_end: int


def frame_of(head: bytes) -> Frame | None:
    """The frame whose header are the first four bytes; None where they are none, or of a free bit rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    first = version == 3
    bits = 1_000 * _BITRATES[first, layer][bitrate - 1]
    hertz, padding = _RATES[rate] // _RATE_DIVIDED_BY[version], head[2] >> 1 & 1
    if layer == 1:
        size = (12 * bits // hertz + padding) * 4
    else:
        size = (144 if layer == 2 or first else 72) * bits // hertz + padding
    is_mono = head[3] >> 6 == 3
    side = (17 if is_mono else 32) if first else (9 if is_mono else 17)
    return Frame(size, hertz, layer, 4 + side)


@dataclass(frozen=True)
class MpegStream:
    """The bytes [start, stop) of one MP3 file among joined ones; `count_at` is where its Xing header states its frames,
    None where it has none; `stated` and `frames` are what that says and what follows."""

    start: int
    stop: int
    count_at: int | None
    stated: int
    frames: int

    @property
    def is_understated(self) -> bool:
        """Whether a decoder that trusts the header would stop too early. Encoders may count the header itself."""
        return self.count_at is not None and 0 < self.stated < self.frames - 1


def mpeg_streams(file: BinaryIO, start: int, stop: int) -> Iterator[MpegStream]:
    """The files that were joined into one: each begins with its own Xing header, or after what is no frame.

    Without this, a decoder takes the first one's length for the whole.
    """
    begin = end = start
    count_at: int | None = None
    stated = frames = 0
    for place, frame, head, is_resumed in _frames(file, start, stop):
        at = _xing_at(head, frame)
        if (at is not None or is_resumed) and (frames or count_at is not None):
            # A decoder gives up over a kilobyte that is no frame: it ends before that.
            yield MpegStream(begin, end if is_resumed else place, count_at, stated, frames)
            begin, count_at, stated, frames = place, None, 0, 0
        if at is None:
            frames += 1
        else:
            count_at, stated = place + at + 8, _count(head[at:])
        end = place + frame.size
    yield MpegStream(begin, stop, count_at, stated, frames)


def xing_frame(head: bytes, frames: int) -> bytes:
    """A frame that states a number of frames of the kind that `head` (4 bytes) begins, to stand before them.

    Without one, the length of a file of variable bit rate is guessed from its first frame.
    """
    header = bytes([0xFF, head[1] | 1, _XING_BITRATE << 4 | head[2] & 0x0C, head[3]])
    frame = frame_of(header)
    assert frame is not None
    start = bytes(frame.side_end - 4) + b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (header + start).ljust(frame.size, b"\0")


def _frames(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, Frame, bytes, bool]]:
    """(place, frame, its first bytes, whether something that is no frame stands before it)."""
    held, base, place, is_resumed = b"", start, start, False
    while place < stop:
        if place + _NEEDED > base + len(held):
            file.seek(place)
            held, base = file.read(_BUFFER), place
        head = held[place - base : place - base + _NEEDED]
        frame = frame_of(head)
        if frame is not None:
            yield place, frame, head, is_resumed
            place, is_resumed = place + frame.size, False
        elif size := _tag_size(head):
            place += size
        else:
            step = _to_next_frame(held[place - base :])
            place, is_resumed = place + step, True


def _to_next_frame(data: bytes) -> int:
    """How far to go to the next two frames in a row, or to the end of what is held."""
    place = data.find(b"\xff", 1)
    while place >= 0:
        if frames_follow(data, place, 2):
            return place
        place = data.find(b"\xff", place + 1)
    return max(1, len(data) - _NEEDED)


def frames_follow(data: bytes, place: int, count: int) -> bool:
    """Whether `count` frames of one rate and layer follow each other in `data` from `place` on."""
    kinds = set()
    for _ in range(count):
        frame = frame_of(data[place : place + 4])
        if frame is None:
            return False
        kinds.add((frame.rate, frame.layer))
        place += frame.size
    return len(kinds) == 1


def _xing_at(head: bytes, frame: Frame) -> int | None:
    """Where in a frame its Xing header begins."""
    at = frame.side_end
    return at if frame.layer == 3 and head[at : at + 4] in (b"Xing", b"Info") else None


def _count(header: bytes) -> int:
    """The frames that a Xing header states, 0 where it states none."""
    return int.from_bytes(header[8:12], "big") if int.from_bytes(header[4:8], "big") & 1 else 0


def _tag_size(head: bytes) -> int:
    """Bytes of a tag between frames; 0 where there is none."""
    if head[:3] == b"ID3":
        return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX":
        return int.from_bytes(head[12:16], "little") + (32 if head[23:24] and head[23] & 0x20 else 0)
    return 0
