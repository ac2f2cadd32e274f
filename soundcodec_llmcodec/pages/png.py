"""Images as PNG files, without an imaging library."""

from __future__ import annotations

import struct
import zlib

import numpy as np

# Matplotlib's magma (CC0) at 17 even steps: dark to bright in equal steps for the eye, also for the colour-blind.
_MAGMA = (
    "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 "
    "fde2a3 fcfdbf"
)
LEVELS = 48
_RGB, _PALETTE = 2, 3


def palette(levels: int = LEVELS) -> np.ndarray:
    """Magma as uint8 (levels, 3), dark to bright."""
    stops = np.array([list(bytes.fromhex(colour)) for colour in _MAGMA.split()], dtype=np.float64)
    at = np.linspace(0, len(stops) - 1, levels)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def encode(indices: np.ndarray, colours: np.ndarray) -> bytes:
    """A PNG file of palette indices uint8 (rows, columns), top row first, and colours uint8 (n, 3)."""
    if indices.dtype != np.uint8 or indices.ndim != 2 or indices.size == 0:
        raise ValueError(f"expected uint8 indices of shape (rows, columns), got {indices.dtype} {indices.shape}")
    if indices.max() >= len(colours) or len(colours) > 256:
        raise ValueError(f"index {indices.max()} of {len(colours)} colours; a PNG palette has at most 256")
    return _file(indices, indices.shape, _PALETTE, (b"PLTE", colours.tobytes()))


def encode_rgb(pixels: np.ndarray) -> bytes:
    """A PNG file of red, green and blue uint8 (rows, columns, 3), top row first."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"expected uint8 pixels of shape (rows, columns, 3), got {pixels.dtype} {pixels.shape}")
    return _file(pixels.reshape(len(pixels), -1), pixels.shape, _RGB)


def _file(lines: np.ndarray, shape: tuple[int, ...], kind: int, *before: tuple[bytes, bytes]) -> bytes:
    """A PNG of lines uint8 (rows, bytes of a row) without their filters; the chunks `before` stand before the image."""
    header = struct.pack(">IIBBBBB", shape[1], shape[0], 8, kind, 0, 0, 0)
    # Each row starts with the number of its filter: 0, none, which suits palettes and cells.
    filtered = np.concatenate([np.zeros((len(lines), 1), np.uint8), lines], axis=1)
    chunks = ((b"IHDR", header), *before, (b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
