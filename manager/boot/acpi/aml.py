# SPDX-License-Identifier: BSD-2-Clause
r"""AML, the byte code of ACPI's namespace: each function returns the encoding of one term.

Where a term takes operands, bytes are AML already, an int is an integer and a str is a name such
as "\_SB.PCI0", absolute or relative. Source: ACPI 6.4, chapter 20.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence

Term = bytes | int | str

_NAME_SEG = re.compile(r"[A-Z_][A-Z0-9_]{0,3}")
_EISA_ID = re.compile(r"[A-Z]{3}[0-9A-F]{4}")

# Prefixes of names and data
NAME_OP, SCOPE_OP = b"\x08", b"\x10"
BYTE, WORD, DWORD, STRING, QWORD = b"\x0a", b"\x0b", b"\x0c", b"\x0d", b"\x0e"
BUFFER_OP, PACKAGE_OP = b"\x11", b"\x12"
DUAL_NAME, MULTI_NAME = b"\x2e", b"\x2f"
NULL_NAME = b"\x00"
# Named objects
METHOD_OP = b"\x14"
REGION_OP, FIELD_OP, DEVICE_OP = b"\x5b\x80", b"\x5b\x81", b"\x5b\x82"
CREATE_DWORD_FIELD_OP = b"\x8a"
# Statements and expressions
LOCAL_0, ARG_0 = 0x60, 0x68
STORE_OP, AND_OP, OR_OP = b"\x70", b"\x7b", b"\x7d"
EQUAL_OP = b"\x93"
IF_OP, ELSE_OP, RETURN_OP = b"\xa0", b"\xa1", b"\xa4"

METHOD_SERIALIZED = 0x08
PCI_CONFIG = 0x02
"""Address space of an operation region: the configuration space of the PCI device it is in."""
BYTE_ACCESS = 0x01
"""Access a field byte by byte, take no lock, keep the bits beside it."""
SHORT_LENGTH = 0x3F
MAX_ELEMENTS = 0xFF


def _length_of(value: int, size: int) -> bytes:
    """`value` as a PkgLength of `size` bytes."""
    if size == 1:
        return bytes([value])
    return bytes([(size - 1) << 6 | value & 0x0F]) + (value >> 4).to_bytes(size - 1, "little")


def _fits(value: int, size: int) -> bool:
    return value <= SHORT_LENGTH if size == 1 else value < 1 << 8 * size - 4


def package_length(content: int) -> bytes:
    """The PkgLength in front of `content` bytes, in the shortest form; it counts itself.

    Raises ValueError for more than 2**28 - 5 bytes.
    """
    for size in (1, 2, 3, 4):
        if _fits(content + size, size):
            return _length_of(content + size, size)
    raise ValueError(f"{content} bytes are more than AML can hold in one object")


def field_length(bits: int) -> bytes:
    """The width of a field, which is a PkgLength that does not count itself."""
    for size in (1, 2, 3, 4):
        if _fits(bits, size):
            return _length_of(bits, size)
    raise ValueError(f"{bits} bits are more than AML can hold in one field")


def _packaged(op: bytes, content: bytes) -> bytes:
    return op + package_length(len(content)) + content


# -- names ----------------------------------------------------------------------------------


def name_seg(name: str) -> bytes:
    """One segment of a name: one to four of A-Z, 0-9 and _, no digit first.

    >>> name_seg("_SB")
    b'_SB_'
    """
    if not _NAME_SEG.fullmatch(name):
        raise ValueError(f"{name!r} is not a name of ACPI")
    return name.ljust(4, "_").encode()


def name_string(path: str) -> bytes:
    r"""A name, with its \ or ^ in front and its segments between dots."""
    prefix = re.match(r"\\|\^*", path)
    assert prefix is not None
    rest = path[prefix.end() :]
    segments = [name_seg(part) for part in rest.split(".")] if rest else []
    joined = b"".join(segments)
    match len(segments):
        case 0:
            joined = NULL_NAME
        case 1:
            pass
        case 2:
            joined = DUAL_NAME + joined
        case count:
            if count > MAX_ELEMENTS:
                raise ValueError(f"a name of {count} segments is too long")
            joined = MULTI_NAME + bytes([count]) + joined
    return prefix.group().encode() + joined


# -- data -----------------------------------------------------------------------------------


def integer(value: int) -> bytes:
    """An integer of up to 64 bits, in the shortest form."""
    if value in (0, 1):
        return bytes([value])
    for prefix, size in ((BYTE, 1), (WORD, 2), (DWORD, 4), (QWORD, 8)):
        if 0 < value < 1 << 8 * size:
            return prefix + value.to_bytes(size, "little")
    raise ValueError(f"{value} is not an integer of 64 bits")


def _term(value: Term) -> bytes:
    if isinstance(value, bytes):
        return value
    return integer(value) if isinstance(value, int) else name_string(value)


def string(text: str) -> bytes:
    """A string of ASCII characters other than NUL."""
    encoded = text.encode("ascii")
    if 0 in encoded:
        raise ValueError("a string of AML ends at its first NUL")
    return STRING + encoded + b"\0"


def buffer(data: bytes) -> bytes:
    """A buffer that holds `data`."""
    return _packaged(BUFFER_OP, integer(len(data)) + data)


def package(elements: Sequence[Term]) -> bytes:
    """A package of up to 255 elements."""
    if len(elements) > MAX_ELEMENTS:
        raise ValueError(f"a package of {len(elements)} elements is too long")
    return _packaged(PACKAGE_OP, bytes([len(elements)]) + b"".join(map(_term, elements)))


def eisa_id(text: str) -> bytes:
    """A plug-and-play id such as PNP0A03, compressed to a 32-bit integer."""
    if not _EISA_ID.fullmatch(text):
        raise ValueError(f"{text!r} is not three letters and four hexadecimal digits")
    maker = 0
    for letter in text[:3]:
        maker = maker << 5 | ord(letter) - ord("A") + 1
    return DWORD + struct.pack(">HH", maker, int(text[3:], 16))


# -- named objects --------------------------------------------------------------------------


def name(path: str, value: Term) -> bytes:
    """A constant object."""
    return NAME_OP + name_string(path) + _term(value)


def scope(path: str, *terms: bytes) -> bytes:
    """More objects in a scope that exists."""
    return _packaged(SCOPE_OP, name_string(path) + b"".join(terms))


def device(path: str, *terms: bytes) -> bytes:
    """A device and the objects in it."""
    return _packaged(DEVICE_OP, name_string(path) + b"".join(terms))


def method(path: str, arguments: int, *terms: bytes, serialized: bool = False) -> bytes:
    """A method of 0-7 arguments. One that creates named objects must be serialized."""
    if not 0 <= arguments <= 7:
        raise ValueError(f"a method cannot have {arguments} arguments")
    flags = arguments | (METHOD_SERIALIZED if serialized else 0)
    return _packaged(METHOD_OP, name_string(path) + bytes([flags]) + b"".join(terms))


def operation_region(path: str, space: int, offset: int, length: int) -> bytes:
    """`length` bytes of an address space, from `offset` on."""
    return REGION_OP + name_string(path) + bytes([space]) + integer(offset) + integer(length)


def field(region: str, units: Iterable[tuple[str | None, int]], flags: int = BYTE_ACCESS) -> bytes:
    """The fields of the region: (name, bits) one after the other; without a name, bits to skip."""
    content = name_string(region) + bytes([flags])
    for unit, bits in units:
        content += (name_seg(unit) if unit is not None else NULL_NAME) + field_length(bits)
    return _packaged(FIELD_OP, content)


def create_dword_field(source: Term, offset: int, path: str) -> bytes:
    """A name for the 32 bits at byte `offset` of a buffer."""
    return CREATE_DWORD_FIELD_OP + _term(source) + integer(offset) + name_string(path)


# -- statements and expressions -------------------------------------------------------------


def arg(number: int) -> bytes:
    """Argument 0-6 of the method."""
    if not 0 <= number <= 6:
        raise ValueError(f"there is no Arg{number}")
    return bytes([ARG_0 + number])


def local(number: int) -> bytes:
    """Local variable 0-7 of the method."""
    if not 0 <= number <= 7:
        raise ValueError(f"there is no Local{number}")
    return bytes([LOCAL_0 + number])


def call(path: str, *arguments: Term) -> bytes:
    """The value of a method."""
    return name_string(path) + b"".join(map(_term, arguments))


def store(source: Term, target: Term) -> bytes:
    """Assign `source` to `target`."""
    return STORE_OP + _term(source) + _term(target)


def and_(left: Term, right: Term, target: Term = NULL_NAME) -> bytes:
    """Bitwise and, kept in `target` too when there is one."""
    return AND_OP + _term(left) + _term(right) + _term(target)


def or_(left: Term, right: Term, target: Term = NULL_NAME) -> bytes:
    """Bitwise or, kept in `target` too when there is one."""
    return OR_OP + _term(left) + _term(right) + _term(target)


def equal(left: Term, right: Term) -> bytes:
    """True if the two are the same."""
    return EQUAL_OP + _term(left) + _term(right)


def if_(condition: Term, *terms: bytes) -> bytes:
    """Do the terms if the condition is not 0."""
    return _packaged(IF_OP, _term(condition) + b"".join(terms))


def else_(*terms: bytes) -> bytes:
    """Right after an if_: do the terms if that was 0."""
    return _packaged(ELSE_OP, b"".join(terms))


def return_(value: Term) -> bytes:
    """End the method with a value."""
    return RETURN_OP + _term(value)
