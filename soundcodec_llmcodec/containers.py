"""Where the audio of a sound file lies: tags and junk in front, chained parts, and headers that state no true length.

libsndfile trusts a file's first bytes and its header. Players do not, and so files are about that play everywhere and
that it refuses or cuts short. Here they are told apart by their bytes, never by their names.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from soundcodec_llmcodec.mpeg_frames import MpegStream, frame_of, frames_follow, mpeg_streams, xing_frame

# What stands before the first frame is looked through for so many bytes.
SEARCHED_BYTES = 1 << 20
HEAD_BYTES = 264
_PAGE_HEAD, _PAGE_SEGMENTS = 27, 255
_BEGINS_STREAM = 2
_MAX_U32 = 0xFFFF_FFFF
_ID3_HEAD = 10
_ID3V1_SIZE = 128
_FFMPEG = "convert it first, as with: ffmpeg -i FILE FILE.wav"
_FLAC_START = b"fLaC\0\0\0\x22"
_STARTS = re.compile(rb"(?:RIF[FX]|RF64)....WAVE|FORM....AIF[FC]|fLaC\x00\x00\x00\x22|OggS\x00[\x02\x03]", re.DOTALL)


@dataclass(frozen=True)
class Link:
    """One stream of a file: the bytes [start, stop), of which `patches` (offset from start -> bytes) read otherwise,
    after the bytes `prefix`.

    `samples` is the length that its header states, None where it states none or libsndfile reads it itself.
    """

    start: int
    stop: int
    patches: Mapping[int, bytes] = field(default_factory=dict)
    samples: int | None = None
    prefix: bytes = b""

    @property
    def size(self) -> int:
        """Bytes, the prefix included."""
        return len(self.prefix) + self.stop - self.start


class View(io.RawIOBase):
    """A link as a file of its own; the file below is neither closed nor written."""

    def __init__(self, file: BinaryIO, link: Link) -> None:
        super().__init__()
        self._file, self._link, self._place = file, link, 0
        # libsndfile loses the system's errors: who reads looks here for the first one.
        self.error: OSError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    @property
    def is_at_end(self) -> bool:
        """Whether everything was read."""
        return self._place >= self._link.size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._link.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        link = self._link
        count = max(0, min(len(buffer), link.size - self._place))
        data = bytearray(link.prefix[self._place : self._place + count])
        inside = self._place + len(data) - len(link.prefix)
        try:
            data += read_at(self._file, link.start + inside, count - len(data)) if count > len(data) else b""
        except OSError as error:
            self.error = self.error or error
            return 0
        for offset, patch in link.patches.items():
            for index, value in enumerate(patch, len(link.prefix) + offset - self._place):
                if 0 <= index < len(data):
                    data[index] = value
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def links(file: BinaryIO, start: int, stop: int) -> list[Link]:
    """The streams of [start, stop), one after another: a single one but for chained Ogg, joined MP3 and FLAC files."""
    head = read_at(file, start, 16)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        return [Link(start, stop, _wave_patches(file, start, stop))]
    if head[:4] == b"fLaC":
        return [_flac_link(file, begin, end) for begin, end in _parts(_flac_starts(file, start, stop), stop)]
    if head[:4] == b"OggS":
        return [Link(begin, end) for begin, end in _parts(_ogg_starts(file, start, stop), stop)]
    if frame_of(head) is not None:
        return [_mpeg_link(file, stream) for stream in mpeg_streams(file, start, stop)]
    return [Link(start, stop)]


def tags_end(file: BinaryIO, stop: int) -> int:
    """Where the audio begins after any ID3v2 tags, which taggers put before every kind of file."""
    start = 0
    while start < stop and (head := read_at(file, start, _ID3_HEAD))[:3] == b"ID3" and len(head) == _ID3_HEAD:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        has_footer = bool(head[5] & 0x10)
        start += _ID3_HEAD * (1 + has_footer) + size
    return start if start < stop else 0


def audio_end(file: BinaryIO, start: int, stop: int) -> int:
    """Where the audio ends before an ID3v1 tag, over which a FLAC decoder loses its way."""
    at = stop - _ID3V1_SIZE
    return at if at > start and read_at(file, at, 3) == b"TAG" else stop


def found_start(file: BinaryIO, start: int, stop: int) -> int | None:
    """Where a known stream begins after junk: the first header, or MPEG frame followed by two of its kind."""
    data = read_at(file, start, min(SEARCHED_BYTES, stop - start))
    header = _STARTS.search(data, 1)
    first = len(data) if header is None else header.start()
    place = data.find(b"\xff", 1)
    while 0 <= place < first:
        if frames_follow(data, place, 3):
            return start + place
        place = data.find(b"\xff", place + 1)
    return start + first if first < len(data) else None


def what_it_is(head: bytes) -> str | None:
    """What to do with a file that begins with `head` (HEAD_BYTES), where it is of a kind that is not read here."""
    kinds = (
        (head[4:8] == b"ftyp", "an MP4 file (m4a, mp4, mov: AAC or ALAC)"),
        (len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0, "an AAC file (ADTS)"),
        (head[:4] == b"ADIF", "an AAC file (ADIF)"),
        (head[:4] == b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
        (head[:4] == b"\x30\x26\xb2\x75", "a Windows Media file (wma, asf)"),
        (head[:5] == b"#!AMR", "an AMR file"),
        (head[:4] == b"wvpk", "a WavPack file"),
        (head[:4] == b"MAC ", "a Monkey's Audio file (ape)"),
        (head[:4] in (b"DSD ", b"FRM8"), "a DSD file"),
        (head[:2] == b"\x0b\x77", "an AC-3 file"),
        (head[:4] == b"RIFF" and head[8:12] == b"AVI ", "an AVI file"),
    )
    name = next((name for matches, name in kinds if matches), None)
    if name is not None:
        return f"it is {name}, which is not read here; {_FFMPEG}"
    if head[:4] == b"\x00\x05\x16\x07":
        return "it is macOS's notes on another file (AppleDouble), not audio"
    # A sound file within would else be found behind the archive's own header.
    is_archive = head[:4] == b"PK\x03\x04" or head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar"
    return "it is an archive; unpack it first" if is_archive else None


def read_at(file: BinaryIO, place: int, count: int) -> bytes:
    """Up to `count` bytes from `place` on."""
    file.seek(place)
    return file.read(count)


def _mpeg_link(file: BinaryIO, stream: MpegStream) -> Link:
    """An MP3 stream with its true number of frames."""
    head = read_at(file, stream.start, 4)
    if stream.is_understated and stream.count_at is not None:
        count = stream.frames.to_bytes(4, "big")
        return Link(stream.start, stream.stop, {stream.count_at - stream.start: count})
    frame = frame_of(head)
    if stream.count_at is None and frame is not None and frame.layer == 3:
        return Link(stream.start, stream.stop, prefix=xing_frame(head, stream.frames))
    return Link(stream.start, stream.stop)


def _wave_patches(file: BinaryIO, start: int, stop: int) -> dict[int, bytes]:
    """True sizes for a WAV file that was written to a pipe, or whose recorder was killed: both are 0 then."""
    order: Any = "little" if read_at(file, start, 4) == b"RIFF" else "big"
    place = start + 12
    while len(head := read_at(file, place, 8)) == 8:
        size = int.from_bytes(head[4:], order)
        if head[:4] == b"data":
            rest = stop - place - 8
            if size != 0 or rest <= 0 or _chunks_fill(file, place + 8, stop, order):
                return {}
            sizes = (min(stop - start - 8, _MAX_U32), min(rest, _MAX_U32))
            return {4: sizes[0].to_bytes(4, order), place - start + 4: sizes[1].to_bytes(4, order)}
        place += 8 + size + size % 2
    return {}


def _chunks_fill(file: BinaryIO, place: int, stop: int, order: Any) -> bool:
    """Whether [place, stop) is whole chunks, so that a data chunk of size 0 before them is really empty."""
    while place < stop:
        head = read_at(file, place, 8)
        if len(head) < 8 or not all(32 <= byte < 127 for byte in head[:4]):
            return False
        size = int.from_bytes(head[4:], order)
        place += 8 + size + size % 2
    return place <= stop + 1


def _flac_link(file: BinaryIO, start: int, stop: int) -> Link:
    """A FLAC stream whose stated length is taken out: libsndfile would stop there, or seek there in vain."""
    info = read_at(file, start, 26)
    if len(info) < 26 or info[4] & 0x7F:
        return Link(start, stop)
    stated = (info[21] & 0x0F) << 32 | int.from_bytes(info[22:26], "big")
    patches = {21: bytes([info[21] & 0xF0, 0, 0, 0, 0])}
    return Link(start, audio_end(file, start, stop), patches, stated or None)


def _flac_starts(file: BinaryIO, start: int, stop: int) -> Iterator[int]:
    """Where a FLAC stream begins, with the 34 bytes of information that every one begins with."""
    yield start
    overlap = len(_FLAC_START) - 1
    for place in range(start + 1, stop, SEARCHED_BYTES):
        data = read_at(file, place, min(SEARCHED_BYTES + overlap, stop - place))
        at = data.find(_FLAC_START)
        while at >= 0:
            yield place + at
            at = data.find(_FLAC_START, at + 1)


def _parts(starts: Iterable[int], stop: int) -> list[tuple[int, int]]:
    begins = list(starts)
    return list(zip(begins, [*begins[1:], stop], strict=True))


def _ogg_starts(file: BinaryIO, start: int, stop: int) -> Iterator[int]:
    """Where links begin: at a page that begins a stream after pages that do not."""
    yield start
    place, in_headers = start, True
    while place < stop:
        head = read_at(file, place, _PAGE_HEAD + _PAGE_SEGMENTS)
        if len(head) < _PAGE_HEAD or head[:4] != b"OggS":
            return
        begins = bool(head[5] & _BEGINS_STREAM)
        if begins and not in_headers:
            yield place
        in_headers = begins
        segments = head[26]
        place += _PAGE_HEAD + segments + sum(head[_PAGE_HEAD : _PAGE_HEAD + segments])
