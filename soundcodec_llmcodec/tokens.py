"""Tokens with what decoding needs to know, and the `.llmc` file that keeps them at their true width.

The file: a magic number, a version, the header's length, the header, its CRC-32, the packed ids, their CRC-32; all
numbers little-endian. Ids go frame by frame, in a frame level by level, in a level channel by channel, packed by
`bitpack` at close to log2(codebook_size) bits: 716 bit/s for 20,480 codes at 50 frames a second.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from soundcodec_llmcodec import bitpack
from soundcodec_llmcodec.audio_files import AudioError, check_rate
from soundcodec_llmcodec.by_value import PickledByValue
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.scalars import whole_number
from soundcodec_llmcodec.token_ids import TokenError, parse_codes, token_text

__all__ = ["TokenError", "TokenFileError", "Tokens", "dumps", "load", "loads", "parse_codes", "save", "token_text"]

# As PNG's: a byte above 127, an end of line that text transfers would change, and an end-of-file mark.
MAGIC = b"\x89LLMC\r\n\x1a"
VERSION = 1
_START = struct.Struct("<8sHI")
# has_hash, hash, codec_sample_rate, hop_length, codebook_size, Q, C, frames, n_samples, sampling_rate, name's length
_HEADER = struct.Struct("<B32sIIIHHQQIH")
_CHECK = struct.Struct("<I")
# As many as a sound file can have. Each channel is decoded by itself, so that a header's claim costs time.
MAX_CHANNELS = 1_024


class TokenFileError(ValueError):
    """A file that is no token file of this version, or is not whole."""


@dataclass(frozen=True, eq=False)
class Tokens(PickledByValue):
    """A clip's tokens: `codes` int64 (C, Q, F), and how to make audio of them again.

    `n_samples` and `sampling_rate` (Hz) are the original clip's, which decoding gives back. `codebook_size`,
    `codec_sample_rate` (Hz) and `hop_length` (samples a frame) describe the codec, `codec_hash` (64 hex digits, or None
    where unknown) names its weights and `codec_name` is for people. Two Tokens are equal when all of it is.

    Raises TokenError for codes of another shape or out of range, no frames, or more samples than the frames cover.
    """

    codes: torch.Tensor
    n_samples: int
    sampling_rate: int
    codebook_size: int
    codec_sample_rate: int = 16_000
    hop_length: int = 320
    codec_hash: str | None = None
    codec_name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.codes, torch.Tensor) or self.codes.ndim != 3 or self.codes.numel() == 0:
            shape = tuple(self.codes.shape) if isinstance(self.codes, torch.Tensor) else type(self.codes).__name__
            raise TokenError(f"expected codes as a tensor (channels, levels, frames), none of them 0, got {shape}")
        for name in ("n_samples", "codebook_size", "codec_sample_rate", "hop_length"):
            value = whole_number(getattr(self, name))
            if value is None or value < 1:
                raise TokenError(f"{name} must be a whole number above 0, got {getattr(self, name)!r}")
            object.__setattr__(self, name, value)
        try:
            object.__setattr__(self, "sampling_rate", check_rate(self.sampling_rate))
        except AudioError as error:
            raise TokenError(str(error)) from error
        if self.codec_hash is not None and not _is_hash(self.codec_hash):
            raise TokenError(f"a codec's hash is 64 hex digits, got {self.codec_hash!r}")
        channels = [parse_codes(channel, self.codebook_size, channel.shape[0]) for channel in self.codes]
        object.__setattr__(self, "codes", torch.stack(channels))
        covered = len(self) * self.hop_length
        if self.n_samples * self.codec_sample_rate > covered * self.sampling_rate:
            raise TokenError(
                f"{len(self)} frames cover {covered} samples at {self.codec_sample_rate} Hz, fewer than n_samples "
                f"{self.n_samples} at {self.sampling_rate} Hz; give the n_samples that these frames hold"
            )

    def __len__(self) -> int:
        """Frames, F."""
        return int(self.codes.shape[2])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokens):
            return NotImplemented
        same_fields = all(getattr(self, name) == getattr(other, name) for name in _FIELDS)
        return same_fields and torch.equal(self.codes, other.codes)

    __hash__ = None  # type: ignore[assignment]
    __iter__ = None  # a clip's frames are `unit`; without this, Python would count through __getitem__

    def __repr__(self) -> str:
        channels = "" if self.channels == 1 else f"{self.channels} channels of "
        levels = "" if self.num_quantizers == 1 else f"{self.num_quantizers} levels of "
        codec = f"{self.codec_name or 'a codec'} {(self.codec_hash or 'without a hash')[:12]}"
        return (
            f"Tokens({len(self)} frames at {self.frame_rate:g} Hz, {channels}{levels}{self.codebook_size} codes, "
            f"{self.bitrate_bps:.0f} bit/s, for {self.n_samples} samples at {self.sampling_rate} Hz "
            f"({self.duration_s:.2f} s), by {codec})"
        )

    def __getitem__(self, frames: slice) -> Tokens:
        """The frames of a slice, `tokens[50:100]`, as Tokens of the samples that these frames hold.

        The first of them starts at the slice's first frame; a rate at which a frame is no whole number of samples
        rounds the end down. Raises TokenError for no frames, a step, or frames that lie past the clip's last sample,
        and TypeError for what is no slice.
        """
        if not isinstance(frames, slice):
            raise TypeError(f"expected a slice of frames, as tokens[50:100], got {frames!r}; single ids are in .unit")
        start, stop, step = frames.indices(len(self))
        if step != 1 or stop <= start:
            raise TokenError(f"expected a run of frames of {len(self)}, as tokens[50:100], got {frames}")

        def samples_before(frame: int) -> int:
            return frame * self.hop_length * self.sampling_rate // self.codec_sample_rate

        remaining = self.n_samples - samples_before(start)
        if remaining < 1:
            raise TokenError(f"frame {start} lies past the clip's {self.n_samples} samples at {self.sampling_rate} Hz")
        held = min(remaining, samples_before(stop - start))
        return replace(self, codes=self.codes[:, :, start:stop], n_samples=held)

    def first_levels(self, levels: int) -> Tokens:
        """Those of the first `levels` codebook levels alone: fewer bits of the same clip, for the same codec, which
        decodes them where its config's `levels_to_decode` has that number. Raises TokenError for levels that are not
        there."""
        if not 1 <= levels <= self.num_quantizers:
            raise TokenError(f"these tokens have {self.num_quantizers} levels, so 1 to that many, not {levels!r}")
        return replace(self, codes=self.codes[:, :levels])

    @property
    def channels(self) -> int:
        """Channels, C."""
        return int(self.codes.shape[0])

    @property
    def num_quantizers(self) -> int:
        """Codebook levels, Q."""
        return int(self.codes.shape[1])

    @property
    def unit(self) -> torch.Tensor:
        """The codes without needless axes, a copy: (F,) for one channel and level, (Q, F) for one channel."""
        codes = self.codes.clone()
        if self.channels > 1:
            return codes
        return codes[0, 0] if self.num_quantizers == 1 else codes[0]

    @property
    def frame_rate(self) -> float:
        """Frames a second, Hz."""
        return self.codec_sample_rate / self.hop_length

    @property
    def duration_s(self) -> float:
        """The original clip's duration in seconds."""
        return self.n_samples / self.sampling_rate

    @property
    def bitrate_bps(self) -> float:
        """Bits a second at log2(codebook_size) bits a token, over all channels and levels."""
        return self.frame_rate * self.num_quantizers * self.channels * math.log2(self.codebook_size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `.llmc` file, whole or not at all. Raises OSError where that cannot be."""
        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokens:
        """Read a `.llmc` file. Raises TokenFileError, naming it, where it is foreign, newer, cut short or changed."""
        return load(path)

    def text(self) -> str:
        """The tokens as "<CODEC_1><CODEC_2>...". Raises TokenError for several levels or channels."""
        if self.channels > 1 or self.num_quantizers > 1:
            raise TokenError(f"text is for one channel and one level, these are {tuple(self.codes.shape)}")
        return token_text(self.codes[0, 0].tolist())


_FIELDS = [name for name in Tokens.__dataclass_fields__ if name != "codes"]


def save(tokens: Tokens, path: str | os.PathLike[str]) -> None:
    """Write a `.llmc` file, whole or not at all. Raises OSError where that cannot be."""
    data = dumps(tokens)
    with written_whole(path) as temporary:
        temporary.write_bytes(data)


def load(path: str | os.PathLike[str]) -> Tokens:
    """Read a `.llmc` file. Raises TokenFileError, naming the file, where it is foreign, newer, cut short or changed."""
    with Path(path).open("rb") as file:
        data = file.read(len(MAGIC))
        if data == MAGIC:
            data += file.read()
    try:
        return loads(data)
    except TokenFileError as error:
        raise TokenFileError(f"{os.fspath(path)}: {error}") from error


def dumps(tokens: Tokens) -> bytes:
    """The bytes of a `.llmc` file."""
    name = (tokens.codec_name or "").encode()
    channels, levels, frames = tokens.codes.shape
    if channels > MAX_CHANNELS:
        raise TokenError(f"a token file holds at most {MAX_CHANNELS} channels, these are {channels}")
    fields = _HEADER.pack(
        tokens.codec_hash is not None,
        bytes.fromhex(tokens.codec_hash or "00" * 32),
        tokens.codec_sample_rate,
        tokens.hop_length,
        tokens.codebook_size,
        levels,
        channels,
        frames,
        tokens.n_samples,
        tokens.sampling_rate,
        len(name),
    )
    head = _START.pack(MAGIC, VERSION, len(fields) + len(name)) + fields + name
    ids = tokens.codes.permute(2, 1, 0).reshape(-1).numpy()
    payload = bitpack.pack(ids, tokens.codebook_size)
    return head + _CHECK.pack(zlib.crc32(head)) + payload + _CHECK.pack(zlib.crc32(payload))


def loads(data: bytes) -> Tokens:
    """The tokens that `dumps` wrote. Every size is checked against the data before anything is made of it.

    Raises TokenFileError for data that is foreign, of a newer version, cut short or changed.
    """
    head, fields, name = _header(data)
    has_hash, codec_hash, codec_rate, hop, codebook_size, levels, channels, frames, n_samples, rate, _ = fields
    if channels > MAX_CHANNELS:
        raise TokenFileError(f"the token file claims {channels} channels; at most {MAX_CHANNELS} are decoded")
    if min(levels, channels, frames, hop, codec_rate) < 1 or not 2 <= codebook_size <= bitpack.MAX_VOCABULARY:
        raise TokenFileError("the token file's header describes no tokens: it is corrupt")
    count = levels * channels * frames
    size = bitpack.packed_size(count, codebook_size)
    expected = head + size + _CHECK.size
    if len(data) != expected:
        kind = "cut short" if len(data) < expected else "corrupt: something follows its end"
        raise TokenFileError(f"the token file is {kind} ({len(data)} bytes, {expected} expected)")
    payload = data[head : head + size]
    if _CHECK.unpack(data[-_CHECK.size :]) != (zlib.crc32(payload),):
        raise TokenFileError("the token file is corrupt: its tokens do not match their checksum")
    try:
        ids = bitpack.unpack(payload, count, codebook_size)
        return Tokens(
            codes=torch.from_numpy(ids).reshape(frames, levels, channels).permute(2, 1, 0),
            n_samples=n_samples,
            sampling_rate=rate,
            codebook_size=codebook_size,
            codec_sample_rate=codec_rate,
            hop_length=hop,
            codec_hash=codec_hash.hex() if has_hash else None,
            codec_name=name or None,
        )
    except ValueError as error:
        raise TokenFileError(f"the token file is corrupt: {error}") from error


def _header(data: bytes) -> tuple[int, tuple, str]:
    """(where the payload begins, the header's fields, the codec's name) of a file's bytes, checked."""
    if not data:
        raise TokenFileError("the token file is empty (0 bytes)")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise TokenFileError("not a token file (.llmc): it starts otherwise")
    if len(data) < _START.size:
        raise TokenFileError(f"the token file is cut short: {len(data)} bytes, its header alone needs more")
    _, version, length = _START.unpack_from(data)
    if version != VERSION:
        raise TokenFileError(f"the token file has version {version}, this release reads version {VERSION}")
    end = _START.size + length
    if length < _HEADER.size or len(data) < end + _CHECK.size:
        raise TokenFileError(f"the token file is cut short or corrupt: {len(data)} bytes, its header needs more")
    if _CHECK.unpack_from(data, end) != (zlib.crc32(data[:end]),):
        raise TokenFileError("the token file is corrupt: its header does not match its checksum")
    fields = _HEADER.unpack_from(data, _START.size)
    name = data[_START.size + _HEADER.size : end]
    if len(name) != fields[-1]:
        raise TokenFileError("the token file is corrupt: its header has another length than it says")
    try:
        return end + _CHECK.size, fields, name.decode()
    except UnicodeDecodeError as error:
        raise TokenFileError(f"the token file is corrupt: the codec's name is not text: {error}") from error


def _is_hash(text: str) -> bool:
    return isinstance(text, str) and len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)
