# SPDX-License-Identifier: BSD-2-Clause
"""Running a small kernel from the file it was loaded from, and reading what it reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from manager.boot import loader
from manager.bus.memory import Memory
from manager.graph.nodes import Boot
from support.guest import Guest

MIB = 1 << 20

REPORTING = """
say_text:               # the NUL-terminated text at ESI, and its NUL
    lodsb
    out 0xe9, al
    test al, al
    jnz say_text
    ret
    .macro say value
        mov eax, \\value
        out 0xe9, eax
    .endm
    .macro done
        out 0xf4, al
9:      jmp 9b
    .endm
"""
"""Assembly for kernels in 32-bit mode; ESP has to be set for `say_text`."""


class Report:
    """What a kernel wrote to the reporting port, in order, and the RAM it left."""

    def __init__(self, said: list[int], memory: Memory) -> None:
        self._said: Iterator[int] = iter(said)
        self.memory = memory

    def number(self) -> int:
        """The next number."""
        return next(self._said)

    def numbers(self, count: int) -> list[int]:
        """That many numbers."""
        return [next(self._said) for _ in range(count)]

    def text(self) -> str:
        """The next NUL-terminated text."""
        return bytes(iter(self._said.__next__, 0)).decode()

    def rest(self) -> list[int]:
        """All that has not been read yet."""
        return list(self._said)


def boot(what: Boot, *, megabytes: int = 4, memory: Memory | None = None, rsdp: int = 0) -> Report:
    """Load `what` and run it until it says that it is done."""
    memory = memory or Memory.blank(megabytes * MIB)
    guest = Guest("", memory=memory, state=loader.load(what, memory, rsdp))
    guest.run()
    assert guest.done, f"the guest did not come to its end; it said {guest.said}"
    return Report(guest.said, memory)


def write(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path
