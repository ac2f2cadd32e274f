"""Damage to bytes and to JSON, by a seeded generator: bits, lengths, extreme numbers, cuts, splices, deep nesting."""

from __future__ import annotations

import random
import re

_INTEGERS = (0, 1, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_TEXT = re.compile(rb'"[^"]*"')
_VALUES = (
    *(b"0 -1 1 2 3 1.5 -0.0 1e400 NaN Infinity -Infinity null true false [] {} [1] [[1,2],[3]]".split()),
    *(str(2**power + extra).encode() for power in (15, 31, 40, 63, 64, 200) for extra in (-1, 0)),
    b'"' + b"9" * 50 + b'"',
    b'"\\ud800"',
    b"9" * 5_000,
    b"[" * 20_000,
    b'{"a":' * 20_000,
)


def damaged(data: bytes, random_: random.Random, other: bytes = b"") -> bytes:
    """Bytes changed in one to four ways; `other` is what a splice takes from."""
    for _ in range(random_.choice((1, 1, 1, 2, 3, 4))):
        data = random_.choice(_WAYS)(data, random_, other)
    return data


def damaged_json(data: bytes, random_: random.Random) -> bytes:
    """JSON with a number or a text replaced by an awkward value, or damaged as bytes."""
    for _ in range(random_.choice((1, 1, 2))):
        places = list((_NUMBER if random_.random() < 0.7 else _TEXT).finditer(data))
        if not places or random_.random() < 0.2:
            data = damaged(data, random_)
        else:
            place = random_.choice(places)
            data = data[: place.start()] + random_.choice(_VALUES) + data[place.end() :]
    return data


def extreme(random_: random.Random, width: int) -> int:
    """An unsigned number that fits `width` bytes, mostly at an end of some range."""
    number = random_.choice((*_INTEGERS, random_.getrandbits(8 * width), random_.getrandbits(8)))
    return number % (1 << 8 * width)


def _flip(data: bytes, random_: random.Random, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random_.randint(1, 8)):
        if changed:
            changed[_place(data, random_)] ^= 1 << random_.randrange(8)
    return bytes(changed)


def _cut(data: bytes, random_: random.Random, other: bytes) -> bytes:
    return data[: random_.randint(0, len(data))]


def _grow(data: bytes, random_: random.Random, other: bytes) -> bytes:
    return data + random_.randbytes(random_.randint(1, 64)) + bytes(random_.choice((0, 0, 3_000)))


def _leave_out(data: bytes, random_: random.Random, other: bytes) -> bytes:
    at = _place(data, random_)
    return data[:at] + data[at + random_.randint(1, 64) :]


def _double(data: bytes, random_: random.Random, other: bytes) -> bytes:
    at = _place(data, random_)
    return data[:at] + data[at : at + random_.randint(1, 256)] * 2 + data[at:]


def _splice(data: bytes, random_: random.Random, other: bytes) -> bytes:
    return data[: random_.randint(0, len(data))] + other[random_.randint(0, len(other)) :]


def _number(data: bytes, random_: random.Random, other: bytes) -> bytes:
    width = random_.choice((1, 2, 4, 8))
    at = _place(data, random_)
    made = extreme(random_, width).to_bytes(width, random_.choice(("little", "big")))
    return data[:at] + made + data[at + width :]


def _noise(data: bytes, random_: random.Random, other: bytes) -> bytes:
    at = _place(data, random_)
    made = random_.randbytes(random_.randint(1, 32))
    return data[:at] + made + data[at + len(made) :]


def _place(data: bytes, random_: random.Random) -> int:
    """Headers are short and decide most, so half of the places are among the first or last bytes."""
    if not data:
        return 0
    ends = random_.random()
    if ends < 0.4:
        return random_.randrange(min(len(data), 128))
    if ends < 0.5:
        return len(data) - 1 - random_.randrange(min(len(data), 128))
    return random_.randrange(len(data))


_WAYS = (_flip, _flip, _cut, _grow, _leave_out, _double, _splice, _number, _number, _noise)
