"""Whole numbers below V packed at close to log2(V) bits each.

A fixed-width field wastes up to a bit a number (15 bits for the 14.32 of 20,480 codes). So g numbers at a time are
written as one number in base V, in ceil(g * log2 V) bits, with the g up to 256 bits that wastes least: g = 3 makes 43
bits for 20,480 codes, 0.08% over the bound. The last, smaller group takes as many bits as it needs. Bits run from the
highest to the lowest; the last byte is filled with zeros.
"""

from __future__ import annotations

import functools

import numpy as np

MAX_VOCABULARY = 1 << 31
_MAX_GROUP_BITS = 256
_LIMB_BITS = 32
_CHUNK_GROUPS = 16_384
_SHIFT, _LIMB = np.uint64(_LIMB_BITS), np.uint64((1 << _LIMB_BITS) - 1)


def packed_size(count: int, vocabulary: int) -> int:
    """Bytes that `count` numbers below `vocabulary` take."""
    group = group_size(vocabulary)
    bits = count // group * _bits(group, vocabulary) + _bits(count % group, vocabulary)
    return -(-bits // 8)


@functools.lru_cache(maxsize=64)
def group_size(vocabulary: int) -> int:
    """How many numbers are packed together: the smallest group, of at most 256 bits, that wastes the fewest bits."""
    if not 2 <= vocabulary <= MAX_VOCABULARY:
        raise ValueError(f"a vocabulary must have 2 to 2**31 entries, got {vocabulary}")
    sizes = [size for size in range(1, _MAX_GROUP_BITS + 1) if _bits(size, vocabulary) <= _MAX_GROUP_BITS]
    return min(sizes, key=lambda size: (_bits(size, vocabulary) / size, size))


def pack(ids: np.ndarray, vocabulary: int) -> bytes:
    """Pack whole numbers (N,) in [0, vocabulary) into `packed_size(N)` bytes. Raises ValueError out of that range."""
    ids = np.ascontiguousarray(ids)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ValueError(f"expected whole numbers (N,), got {ids.dtype} {ids.shape}")
    if ids.size and (ids.min() < 0 or ids.max() >= vocabulary):
        raise ValueError(f"expected numbers in [0, {vocabulary}), got {ids.min()} to {ids.max()}")
    group = group_size(vocabulary)
    whole = len(ids) // group * group
    parts = [*_chunks(ids[:whole].reshape(-1, group)), ids[whole:][None]]
    return np.packbits(np.concatenate([_group_bits(part, vocabulary).ravel() for part in parts])).tobytes()


def unpack(packed: bytes, count: int, vocabulary: int) -> np.ndarray:
    """The `count` numbers that `pack` packed: int64 (count,). Raises ValueError for bytes that it cannot have made."""
    if len(packed) != packed_size(count, vocabulary):
        raise ValueError(f"expected {packed_size(count, vocabulary)} bytes for {count} numbers, got {len(packed)}")
    group = group_size(vocabulary)
    groups, rest = divmod(count, group)
    width = _bits(group, vocabulary)
    end = groups * width + _bits(rest, vocabulary)
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8))
    whole, last = bits[: groups * width].reshape(groups, width), bits[None, groups * width : end]
    parts = [_group_ids(part, group, vocabulary) for part in _chunks(whole)]
    parts.append(_group_ids(last, rest, vocabulary))
    if bits[end:].any():
        raise ValueError("the filling bits at the end are not zero")
    return np.concatenate(parts)


def _chunks(groups: np.ndarray) -> list[np.ndarray]:
    """Groups (N, width) in parts that stay in a processor's cache."""
    return [groups[start : start + _CHUNK_GROUPS] for start in range(0, len(groups), _CHUNK_GROUPS)]


def _bits(size: int, vocabulary: int) -> int:
    """Bits of the largest number that `size` digits in base `vocabulary` make; exact, as log2 in floats is not."""
    return (vocabulary**size - 1).bit_length()


def _group_bits(digits: np.ndarray, vocabulary: int) -> np.ndarray:
    """Digits (N, g) as bits (N, width): long multiplication over 32-bit limbs, for all groups at once."""
    width = _bits(digits.shape[1], vocabulary)
    limbs = np.zeros((-(-width // _LIMB_BITS), len(digits)), dtype=np.uint64)
    for carry in digits.T.astype(np.uint64, order="C"):
        for limb in limbs:
            total = limb * np.uint64(vocabulary) + carry
            limb[:] = total & _LIMB
            carry = total >> _SHIFT
    big_endian = np.ascontiguousarray(limbs[::-1].T.astype(">u4"))
    bits = np.unpackbits(big_endian.view(np.uint8), axis=1)
    return bits[:, bits.shape[1] - width :]


def _group_ids(bits: np.ndarray, group: int, vocabulary: int) -> np.ndarray:
    """Bits (N, width) as the ids (N * g,) they hold: long division over 32-bit limbs."""
    filling = np.zeros((len(bits), -bits.shape[1] % _LIMB_BITS), dtype=np.uint8)
    padded = np.concatenate([filling, bits], axis=1)
    limbs = np.packbits(padded, axis=1).view(">u4").T.astype(np.uint64, order="C")
    digits = np.empty((group, len(bits)), dtype=np.int64)
    for digit in digits[::-1]:
        remainder = np.zeros(len(bits), dtype=np.uint64)
        for limb in limbs:
            value = (remainder << _SHIFT) | limb
            limb[:] = value // np.uint64(vocabulary)
            remainder = value - limb * np.uint64(vocabulary)
        digit[:] = remainder
    if limbs.any():
        raise ValueError(f"a group of {group} numbers is beyond {vocabulary} to the power of {group}")
    return digits.T.ravel()
