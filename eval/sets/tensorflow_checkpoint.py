"""Float arrays of a TensorFlow checkpoint (a "tensor bundle": an index file and a data file), without TensorFlow.

The index is a LevelDB table whose values are BundleEntryProto messages (tensorflow/core/protobuf/tensor_bundle.proto).
What is read is what TensorFlow 1 writes for one shard: uncompressed blocks, little-endian numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
_FLOAT = 1  # DT_FLOAT of tensorflow/core/framework/types.proto
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # wire types of protocol buffers


class CheckpointFormatError(ValueError):
    """A file that is no tensor bundle, or one with what this reader does not read."""


def read_tensors(prefix: str | Path) -> dict[str, np.ndarray]:
    """All float32 arrays of the bundle `prefix`.index and `prefix`.data-00000-of-00001, by name.

    Raises CheckpointFormatError and FileNotFoundError.
    """
    # As text: a prefix may end with "/", where the names of the files begin with the point.
    index = Path(f"{prefix}.index").read_bytes()
    data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
    if len(index) < _FOOTER or index[-8:] != _MAGIC:
        raise CheckpointFormatError(f"{prefix}.index is no index of a TensorFlow checkpoint")
    arrays = {}
    try:
        for name, message in _entries(index):
            numbers, texts = _fields(message)
            if not name or numbers.get(1) != _FLOAT:  # the entry without a name is the header
                continue
            shape = _shape(texts.get(2, [b""])[-1])
            start, size = numbers.get(4, 0), numbers.get(5, 0)
            if size != 4 * math.prod(shape) or start + size > len(data):
                raise CheckpointFormatError(f"{prefix}: {name} of shape {shape} should not have {size} bytes")
            arrays[name] = np.frombuffer(data, "<f4", math.prod(shape), start).reshape(shape)
    except (IndexError, UnicodeDecodeError) as error:
        raise CheckpointFormatError(f"{prefix}.index is damaged") from error
    return arrays


def _entries(index: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, message) of all entries: the footer leads to a block of blocks, and that to blocks of entries."""
    footer = index[-_FOOTER:]
    position = 0
    for _ in range(2):  # the first handle is the metaindex block's, which is empty
        _, position = _varint(footer, position)
    for _, handle in _block(index, footer[position:]):
        for key, message in _block(index, handle):
            yield key.decode(), message


def _block(index: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of a block; a key is told as how much it shares with the one before, and the rest."""
    offset, position = _varint(handle, 0)
    size, _ = _varint(handle, position)
    if index[offset + size] != 0:
        raise CheckpointFormatError("the index of the checkpoint is compressed, which is not read")
    block = index[offset : offset + size]
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")  # what follows are restart points
    key, position = b"", 0
    while position < end:
        shared, position = _varint(block, position)
        rest, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + rest]
        position += rest
        yield key, block[position : position + length]
        position += length


def _shape(message: bytes) -> list[int]:
    """A TensorShapeProto's sizes."""
    _, texts = _fields(message)
    return [_fields(size)[0].get(1, 0) for size in texts.get(2, [])]


def _fields(message: bytes) -> tuple[dict[int, int], dict[int, list[bytes]]]:
    """A protocol buffer's varints, the last one of a field, and what is told in bytes, all of a field."""
    numbers: dict[int, int] = {}
    texts: dict[int, list[bytes]] = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            numbers[field], position = _varint(message, position)
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise CheckpointFormatError(f"a field of the index has the unknown wire type {kind}")
        texts.setdefault(field, []).append(message[position : position + size])
        position += size
    return numbers, texts


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
