"""Bytes, JSON and arrays with something wrong in them. All chance comes from the generator given."""

import struct
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.publications import npy

INTEGERS = (
    *(0, 1, 2, 3, 7, 10, 11, 64, 100, 127, 128, 255, 256, 257, 999, 1000, 1001, 4096, 10_000, 10_001),
    *(65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1),
)
FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 0.1, 0.0999, 100.0, 100.1, 1e-45, 5e-324, 3.4e38, 1e39, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
)
TEXTS = (
    *("", " ", "0", "-1", "a", "é", "映画", "🎬", "nul\0nul", "line\nbreak", "../..", "/etc/passwd"),
    *("%s%n", "a" * 64, "a" * 65, "a" * 512, "é" * 257, "a" * 5000),
    *("title", "current", "x:y", ":", "0:"),
    *("20261124T043500Z-3fa9c1", "99999999T999999Z-ffffff", "movielens-100k", "annoy,exact", "1e999"),
)


def integer(random: Random) -> int:
    value = random.choice(INTEGERS) + random.choice((0, 0, 0, -1, 1))
    return -value if random.random() < 0.2 else value


def number(random: Random) -> float:
    return random.choice(FLOATS) if random.random() < 0.7 else random.uniform(-2, 2)


def mutate_bytes(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8, 32))):
        _change(random, changed)
    return bytes(changed)


def _change(random: Random, data: bytearray) -> None:
    size = len(data)
    what = random.randrange(8)
    # What comes first in a file says how to read the rest.
    at = random.randrange(max(1, min(size, random.choice((64, 256, size + 1)))))
    length = random.choice((1, 2, 4, 8, 64, 1024))
    if what == 0 or not size:
        data[at:at] = random.randbytes(length)
    elif what == 1:
        data[at] ^= 1 << random.randrange(8)
    elif what == 2:
        data[at] = random.randrange(256)
    elif what == 3:
        form, bits = random.choice((("<I", 32), ("<Q", 64), (">I", 32)))
        word = struct.pack(form, integer(random) % 2**bits)
        # Most words are aligned.
        at -= at % 4
        data[at : at + len(word)] = word[: size - at]
    elif what == 4:
        del data[at:]
    elif what == 5:
        del data[at : at + length]
    elif what == 6:
        start = random.randrange(size)
        data[at : at + length] = data[start : start + length]
    else:
        data += random.randbytes(length) if random.random() < 0.5 else bytes(length)


def mutate_json(random: Random, value: Any) -> Any:
    holders = list(_holders(value))
    if not holders:
        return _any_json(random)
    holder = random.choice(holders)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key = random.choice(keys)
    what = random.randrange(4)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[random.choice(TEXTS)] = holder[key]
    elif what == 1:
        holder.insert(key, holder[key])
    elif what == 2:
        holder[key] = _similar(random, holder[key])
    else:
        holder[key] = _any_json(random)
    return value


def _holders(value: Any) -> Any:
    if isinstance(value, dict | list) and value:
        yield value
        for own in value.values() if isinstance(value, dict) else value:
            yield from _holders(own)


def _similar(random: Random, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return integer(random)
    if isinstance(value, float):
        return number(random)
    if isinstance(value, str):
        return random.choice(TEXTS)
    return _any_json(random)


def _any_json(random: Random) -> Any:
    kind = random.randrange(7)
    if kind == 0:
        return random.choice((None, True, False, [], {}))
    if kind <= 2:
        return integer(random)
    if kind == 3:
        return number(random)
    if kind == 4:
        return [_any_json(random)]
    return random.choice(TEXTS)


def mutate_array(random: Random, array: NDArray[Any]) -> bytes:
    array = array.copy()
    what = random.randrange(6)
    if what <= 2 and array.size:
        _change_values(random, array)
    elif what == 3:
        array = array.astype(
            random.choice(("int8", "int32", "int64", "float32", "float64", ">i4", "uint8"))
        )
    elif what == 4:
        array = random.choice(
            (array[:-1], array[None], array.ravel(), np.concatenate([array, array[:1]]))
        )
    else:
        array = np.asfortranarray(array)
    return npy(array)


def _change_values(random: Random, array: NDArray[Any]) -> None:
    flat = array.reshape(-1)
    for _ in range(random.choice((1, 1, 2, 5, len(flat)))):
        place = random.randrange(len(flat))
        if array.dtype.kind == "f":
            with np.errstate(over="ignore"):
                flat[place] = number(random)
        elif random.random() < 0.5:
            # Near what is right: out of range by one, out of order.
            flat[place] = flat[random.randrange(len(flat))]
        else:
            bits = 8 * array.dtype.itemsize
            wrapped = integer(random) % 2**bits
            signed = array.dtype.kind == "i" and wrapped >= 2 ** (bits - 1)
            flat[place] = wrapped - 2**bits if signed else wrapped
