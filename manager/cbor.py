# SPDX-License-Identifier: BSD-2-Clause
"""Deterministic CBOR (RFC 8949, section 4.2.1) for the few types a snapshot is made of.

Integers, byte strings, text, arrays, maps with text keys, false, true and null; nothing else. One
value has exactly one encoding, and the decoder refuses every other one: duplicate or unsorted keys,
lengths not in their shortest form, indefinite lengths, tags other than the unsigned bignum,
floats, trailing bytes. What hostile input can cost is its own size in memory and a budget, and a
limited stack.

Written out here rather than taken from a library because those accept most of the above, and
because loading one would cost every `resume` more than all of this module's work.
"""

from __future__ import annotations

from manager.bus.record import Plain

MAX_DEPTH = 32
"""How deeply arrays and maps may nest."""
MAX_INT_BYTES = 64
"""The widest integer: 512 bits, a vector register."""
BUDGET = 64 << 20
"""Bytes that decoded values may take beyond the bytes that they were decoded from."""

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FALSE, _TRUE, _NULL = 0xF4, 0xF5, 0xF6
_BIGNUM_TAG = 0xC2
_KEYS: dict[bytes, str] = {}
"""Encoded keys met before: a snapshot has few, many times."""
_MOST_KEYS = 4096
_ITEM, _ENTRY, _CHARACTER = 64, 192, 4
"""Bytes of an item in an array, an entry of a map, a character of text, at most and about.

An empty array takes a byte here and 64 as an object: 30 million of them would take 2 GB.
"""
_SHORT = 64
"""Characters of text that an item's share covers."""
_FOLLOWED_BY = {24: 1, 25: 2, 26: 4, 27: 8}
"""Low five bits of the first byte -> how many bytes of argument follow."""


class CborError(ValueError):
    """Bytes that are not deterministic CBOR; `offset` is where in the input."""

    def __init__(self, fault: str, offset: int) -> None:
        super().__init__(f"{fault} at byte {offset:#x}")
        self.fault = fault
        self.offset = offset


class Budget:
    """What is left of the memory for decoding: one for all the values of a file."""

    __slots__ = ("left",)

    def __init__(self, size: int = BUDGET) -> None:
        self.left = size

    def spend(self, size: int, offset: int) -> None:
        """Take that many bytes; raises CborError when there are not so many."""
        self.left -= size
        if self.left < 0:
            raise CborError("there are too many values", offset)


def encode(value: Plain) -> bytes:
    """The one encoding of `value`.

    Raises TypeError for a type or key type that has none, ValueError for an integer that is too
    wide or for text with lone surrogates.

    >>> encode({"b": 1, "a": [True, None]}).hex()
    'a2616182f5f6616201'
    """
    parts: list[bytes] = []
    _put(value, parts)
    return b"".join(parts)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    for code, size in _FOLLOWED_BY.items():
        if argument < 1 << (8 * size):
            return bytes((major << 5 | code,)) + argument.to_bytes(size, "big")
    raise ValueError(f"{argument} does not fit 64 bits")


def _put(value: Plain, parts: list[bytes]) -> None:
    if value is None or isinstance(value, bool):
        parts.append(bytes((_NULL if value is None else _TRUE if value else _FALSE,)))
    elif isinstance(value, int):
        parts.append(_integer(value))
    elif isinstance(value, str):
        parts.append(_text(value))
    elif isinstance(value, (bytes, bytearray)):
        parts += (_head(_BYTES, len(value)), bytes(value))
    elif isinstance(value, list):
        parts.append(_head(_ARRAY, len(value)))
        for item in value:
            _put(item, parts)
    elif isinstance(value, dict):
        parts.append(_head(_MAP, len(value)))
        for key, item in sorted((_text(key), item) for key, item in value.items()):
            parts.append(key)
            _put(item, parts)
    else:
        raise TypeError(f"a snapshot cannot hold a {type(value).__name__}")


def _text(value: str) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"a key must be text, not {type(value).__name__}")
    encoded = value.encode()
    return _head(_TEXT, len(encoded)) + encoded


def _integer(value: int) -> bytes:
    if value < 0:
        return _head(_NEGATIVE, -1 - value)
    if value < 1 << 64:
        return _head(_UINT, value)
    size = (value.bit_length() + 7) // 8
    if size > MAX_INT_BYTES:
        raise ValueError(f"an integer of {size} bytes is too wide for a snapshot")
    return bytes((_BIGNUM_TAG,)) + _head(_BYTES, size) + value.to_bytes(size, "big")


def decode(data: bytes, budget: Budget | None = None) -> Plain:
    """The value that `data` encodes; raises CborError unless `encode` would give `data` back.

    Also for more values than `budget` has memory for.
    """
    try:
        value, end = _take(data, 0, MAX_DEPTH, budget or Budget())
    except IndexError:
        raise CborError("the data ends inside a value", len(data)) from None
    if end != len(data):
        raise CborError(f"{len(data) - end} bytes follow the value", end)
    return value


def _take(data: bytes, start: int, depth: int, budget: Budget) -> tuple[Plain, int]:
    first = data[start]
    if first < 24:
        return first, start + 1
    major = first >> 5
    if major >= _TAG:
        return _take_special(data, start, first, budget)
    argument = first & 0x1F
    at = start + 1
    if argument >= 24:
        argument, at = _take_argument(data, start)
    if major == _UINT:
        return argument, at
    if major == _NEGATIVE:
        return -1 - argument, at
    # Every byte, item or pair takes at least a byte: no length can exceed what is left.
    if argument > len(data) - at:
        raise CborError(f"a length of {argument} exceeds the {len(data) - at} bytes left", start)
    if major == _TEXT:
        if argument > _SHORT:
            budget.spend(argument * _CHARACTER, start)
        try:
            return str(data[at : at + argument], "utf-8"), at + argument
        except UnicodeDecodeError as error:
            raise CborError("text is not UTF-8", at + error.start) from None
    if major == _BYTES:
        return data[at : at + argument], at + argument
    if depth == 0:
        raise CborError(f"values nest deeper than {MAX_DEPTH}", start)
    if major == _MAP:
        budget.spend(argument * _ENTRY, start)
        return _take_map(data, at, argument, depth - 1, budget)
    budget.spend(argument * _ITEM, start)
    items: list[Plain] = []
    for _ in range(argument):
        item, at = _take(data, at, depth - 1, budget)
        items.append(item)
    return items, at


def _take_argument(data: bytes, start: int) -> tuple[int, int]:
    size = _FOLLOWED_BY.get(data[start] & 0x1F)
    if size is None:
        raise CborError(f"byte {data[start]:#04x} begins no value of this format", start)
    end = start + 1 + size
    if end > len(data):
        raise IndexError
    argument = int.from_bytes(data[start + 1 : end], "big")
    if argument < (24 if size == 1 else 1 << (4 * size)):
        raise CborError("a number is not in its shortest form", start)
    return argument, end


def _take_map(data: bytes, at: int, count: int, depth: int, budget: Budget) -> tuple[Plain, int]:
    entries: dict[str, Plain] = {}
    previous = b""
    for _ in range(count):
        start = at
        if 0x60 <= (first := data[at]) < 0x60 + 24 and at + first - 0x5F <= len(data):
            at += first - 0x5F
            encoded = data[start:at]
            key = _KEYS.get(encoded) or _take(data, start, 0, budget)[0]
        else:
            key, at = _take(data, at, 0, budget)
            encoded = data[start:at]
        if not isinstance(key, str):
            raise CborError("a key is not text", start)
        if len(_KEYS) < _MOST_KEYS and len(encoded) <= 24:
            _KEYS[encoded] = key
        if encoded <= previous:
            fault = "is there twice" if encoded == previous else "is out of order"
            raise CborError(f"key {key!r} {fault}", start)
        previous = encoded
        entries[key], at = _take(data, at, depth, budget)
    return entries, at


def _take_special(data: bytes, start: int, first: int, budget: Budget) -> tuple[Plain, int]:
    if first in (_FALSE, _TRUE):
        return first == _TRUE, start + 1
    if first == _NULL:
        return None, start + 1
    if first != _BIGNUM_TAG:
        raise CborError(f"byte {first:#04x} begins no value of this format", start)
    if data[start + 1] >> 5 != _BYTES:
        raise CborError("a big number is not a byte string", start)
    digits, end = _take(data, start + 1, 0, budget)
    assert isinstance(digits, bytes)
    if not 8 < len(digits) <= MAX_INT_BYTES or digits[0] == 0:
        raise CborError("a big number has the wrong length", start)
    return int.from_bytes(digits, "big"), end
