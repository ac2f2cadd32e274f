"""Checkpoints of TensorFlow, written here byte by byte."""

from __future__ import annotations

import numpy as np
import pytest

from eval.sets.tensorflow_checkpoint import CheckpointFormatError, read_tensors


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """A protocol buffer's field: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries):
    """A table's block, keys shortened by what they share with the one before; one restart point."""
    out, before = b"", b""
    for key, value in entries:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), min(len(key), len(before))
        )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return out + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def write(prefix, arrays, kind=0):
    """A bundle of these arrays; `kind` 1 says that blocks are compressed."""
    data, entries = b"", [(b"", field(1, 1))]
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        shape = b"".join(field(2, field(1, size) if size else b"") for size in array.shape)
        crc = varint(6 << 3 | 5) + b"\0\0\0\0"
        number = {"float32": 1, "int64": 9}[array.dtype.name]
        message = field(1, number) + field(2, shape) + field(4, len(data)) + field(5, array.nbytes) + crc
        entries.append((name.encode(), message))
        data += array.tobytes()
    index, handles = b"", []
    for part in (entries[:2], entries[2:]):
        if part:
            content = block(part)
            handles.append((part[-1][0], varint(len(index)) + varint(len(content))))
            index += content + bytes([kind]) + b"\0\0\0\0"
    places = []
    for content in (block([]), block(handles)):
        places.append(varint(len(index)) + varint(len(content)))
        index += content + bytes([kind]) + b"\0\0\0\0"
    footer = b"".join(places).ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")
    prefix.with_name(prefix.name + ".index").write_bytes(index + footer)
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)


ARRAYS = {
    "layer/kernel": np.arange(600, dtype=np.float32).reshape(2, 300),
    "layer/bias": np.array([1.5, -2.0], np.float32),
    "layer_1/bias": np.array([7.0], np.float32),
    "scalar": np.float32(0.25),
}


def test_arrays_come_back_by_name_and_shape(tmp_path):
    write(tmp_path / "model", {**ARRAYS, "step": np.array([3], np.int64)})
    tensors = read_tensors(tmp_path / "model")
    assert set(tensors) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert tensors[name].shape == np.shape(array)
        assert np.array_equal(tensors[name], array)


def test_a_prefix_may_be_a_folder_whose_files_have_no_stem(tmp_path):
    write(tmp_path / "x", ARRAYS)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name[1:])
    assert set(read_tensors(f"{tmp_path}/")) == set(ARRAYS)


def test_what_is_not_read_is_said(tmp_path):
    (tmp_path / "model.index").write_bytes(b"no index of any kind, but longer than one's footer is")
    (tmp_path / "model.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(CheckpointFormatError, match="no index of a TensorFlow checkpoint"):
        read_tensors(tmp_path / "model")
    write(tmp_path / "packed", ARRAYS, kind=1)
    with pytest.raises(CheckpointFormatError, match="compressed"):
        read_tensors(tmp_path / "packed")
    write(tmp_path / "short", ARRAYS)
    data = tmp_path / "short.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(CheckpointFormatError, match="scalar"):
        read_tensors(tmp_path / "short")
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "nothing")
