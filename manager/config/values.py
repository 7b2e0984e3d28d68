# SPDX-License-Identifier: BSD-2-Clause
"""The kinds of values in a machine file: what each may be, and the message when it is not.

A custom error has a diagnostic code as its type, the message and the remedy in its context.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticKnownError

from manager.config import units
from manager.config.codes import TITLES, is_warning
from manager.config.suggest import did_you_mean
from manager.config.units import GIB, MIB
from manager.names import NAME, NAME_HELP, name_like
from manager.text.pattern import PatternError, compile_pattern

MAX_MEMORY = 64 * GIB
MAX_ADDRESS = MAX_MEMORY + GIB
"""One past the last address that RAM can have: 1 GiB below 4 GiB is for devices."""
PAGE = 4096
DEFAULT_EPOCH = 1_704_067_200
"""2024-01-01T00:00:00Z."""


def fault(
    code: str, message: str, help: str = "", at: tuple[str, ...] = (), offset: int | None = None
) -> PydanticCustomError:
    """An error that carries its diagnostic.

    `at` are the keys of this table to point to, `offset` the character of the value.
    """
    return PydanticCustomError(
        code,
        "{message}",
        {"message": message, "help": help, "at": at, "offset": offset},
    )


def _name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        help = f'set name = "{name_like(text)}", say; {NAME_HELP}'
        raise fault("VM014", f'"{text}" is not a name for a machine', help)
    return text


def size_in_bytes(value: object) -> object:
    """Turn a size into a number of bytes, of any value."""
    if type(value) is int:
        return value
    if not isinstance(value, str):
        raise fault("VM011", "a size is a string or an integer", 'such as "256M", or 268435456')
    try:
        return units.parse_size(value)
    except ValueError as error:
        help = 'write a number and K, M or G, such as "256M", or a number of bytes'
        raise fault("VM015", str(error), help) from None


def _memory(size: int) -> int:
    if not MIB <= size <= MAX_MEMORY:
        allowed = f"from {units.show_size(MIB)} to {units.show_size(MAX_MEMORY)}"
        raise fault("VM014", f"a machine cannot have {units.show_size(size)} of memory", allowed)
    if size % PAGE:
        raise fault("VM014", f"{size} bytes are not a whole number of 4 KiB pages")
    return size


def _duration(value: object) -> object:
    if not isinstance(value, str):
        raise fault("VM016", "a duration is a string with a unit", 'such as "120s" or "500ms"')
    try:
        return units.parse_duration(value)
    except ValueError as error:
        help = 'write a number and ns, us, ms, s, m or h, such as "120s"'
        raise fault("VM016", str(error), help) from None


def _epoch(value: object) -> object:
    if not isinstance(value, datetime):
        example = "such as 2024-01-01T00:00:00Z, without quotation marks"
        raise fault("VM011", "`epoch` is a date with a time", example)
    if value.tzinfo is None:
        raise fault("VM014", "`epoch` does not say which time zone it is in", "add Z for UTC")
    if value.microsecond or not 1970 <= value.astimezone(UTC).year <= 2099:
        raise fault("VM014", "the clock cannot show this", "whole seconds, years 1970 to 2099")
    return int(value.timestamp())


def _pattern(text: str) -> str:
    try:
        compile_pattern(text)
    except PatternError as error:
        message = f"not a pattern: {error.message}"
        raise fault("VM017", message, error.help, offset=error.position) from None
    return text


def _path(text: str) -> str:
    if "\0" in text:
        raise fault("VM014", "a path cannot have a NUL character in it")
    return text


def _guest_text(text: str) -> str:
    if (at := text.find("\0")) >= 0:
        raise fault("VM014", "the guest would read this up to the NUL character in it", offset=at)
    return text


def exactly(value: object) -> object:
    """A number that no other kind of number stands for: 1.0 and true are not 1."""
    if isinstance(value, (bool, float)):
        raise PydanticKnownError("int_type")
    return value


def _io_port(port: int) -> int:
    if not 0 <= port <= 0xFFFF:
        raise fault("VM014", f"{port} is not an I/O port", "I/O ports are 0 to 0xffff")
    return port


def _guest_address(address: int) -> int:
    if not 0 <= address < MAX_ADDRESS:
        raise fault("VM033", f"{address:#x} is outside of any memory a machine can have")
    return address


def _lint_code(code: str) -> str:
    if code not in TITLES:
        known = [title for title in TITLES if is_warning(title)]
        raise fault("VM014", f'"{code}" is not a warning', did_you_mean(code, known) or "")
    if not is_warning(code):
        raise fault("VM014", f"{code} is an error, so it cannot be allowed")
    return code


@cache
def path_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a table whose values are FilePaths."""
    found = []
    for name, item in model.model_fields.items():
        parts = [item.annotation, *get_args(item.annotation)]
        marks = [*item.metadata, *(mark for part in parts for mark in get_args(part)[1:])]
        if any(mark is HOST_PATH for mark in marks):
            found.append(item.alias or name)
    return tuple(found)


def text_like(pattern: str) -> WithJsonSchema:
    """JSON Schema of a string; what holds a variable could be anything."""
    return WithJsonSchema({"type": "string", "pattern": rf"^(?:{pattern})$|\$\{{"})


Name = Annotated[str, AfterValidator(_name), text_like(NAME.pattern)]
Memory = Annotated[
    int,
    BeforeValidator(size_in_bytes),
    AfterValidator(_memory),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "pattern": r"^[0-9]+[KMG]?$|\$\{",
            "minimum": MIB,
            "maximum": MAX_MEMORY,
            "multipleOf": PAGE,
        }
    ),
]
"""Bytes of RAM."""
Epoch = Annotated[
    int,
    BeforeValidator(_epoch),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Seconds since 1970-01-01T00:00:00Z."""
Duration = Annotated[
    int, BeforeValidator(_duration), text_like(r"[0-9]+(?:\.[0-9]{1,9})?(?:ns|us|ms|s|m|h)")
]
"""Nanoseconds."""
HOST_PATH = "a path on the host, relative to the file that it stands in"
"""Marks the values that are made absolute as soon as they are read."""
FilePath = Annotated[str, AfterValidator(_path), HOST_PATH]
GuestText = Annotated[str, AfterValidator(_guest_text)]
"""Text that the guest gets with a NUL character at its end."""
Pattern = Annotated[
    str, AfterValidator(_pattern), WithJsonSchema({"type": "string", "format": "regex"})
]
IoPort = Annotated[
    int,
    AfterValidator(_io_port),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 0xFFFF}),
]
GuestAddress = Annotated[
    int,
    AfterValidator(_guest_address),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_ADDRESS - 1}),
]
LintCode = Annotated[str, AfterValidator(_lint_code), text_like("VM[0-9]{3}")]
