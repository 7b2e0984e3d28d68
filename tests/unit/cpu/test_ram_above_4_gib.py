# SPDX-License-Identifier: BSD-2-Clause
"""Code above 4 GiB: the parts of RAM are told apart."""

from __future__ import annotations

import mmap

import pytest
from support.guest import Guest

from manager.bus.memory import Memory, RamRegion

OLD, NEW = 1, 2
CALL_AND_SAY = """
    call rdi
    movzx eax, al
    out 0xe9, eax
"""
DONE = """
    out 0xf4, al
1:  jmp 1b
"""
HIGH = 1 << 32
MAP = """
    mov qword ptr [0x1008], 0x100003    # PML4 entry 1, and down to one page at 512 GiB
    mov qword ptr [0x100000], 0x101003
    mov qword ptr [0x101000], 0x102003
    mov rsp, 0x107000
    mov rdi, 0x8000000000
    .macro map page
        mov rax, \\page + 3
        mov [0x102000], rax
        mov rax, cr3
        mov cr3, rax
    .endm
"""


def above_4_gib() -> Memory:
    """RAM in three parts, the last one larger than the first, as in a machine with over 3 GiB."""
    memory = Memory.blank(4 << 20)
    return Memory([*memory.regions, RamRegion(HIGH, mmap.mmap(-1, 4 << 20))])


def test_a_store_to_code_above_4_gib_is_seen() -> None:
    guest = Guest(
        MAP
        + f"map {HIGH}\n mov dword ptr [rdi], 0x90c301b0\n"
        + CALL_AND_SAY
        + "mov dword ptr [rdi], 0x90c302b0\n"
        + CALL_AND_SAY
        + DONE,
        memory=above_4_gib(),
    )

    guest.run()

    assert guest.said == [OLD, NEW]


@pytest.mark.parametrize("offset", range(0x120000, 0x150000, 0x10000))
def test_code_of_two_pages_that_had_one_address_in_turn_is_told_apart(offset: int) -> None:
    # Pages at the same distance from the start of their part of RAM, and others around.
    low, high = 0xC0000 + 0x140000, HIGH + offset
    guest = Guest(
        MAP
        + f"mov dword ptr [{low}], 0x90c302b0\n map {high}\n mov dword ptr [rdi], 0x90c301b0\n"
        + CALL_AND_SAY
        + f"map {low}\n"
        + CALL_AND_SAY
        + DONE,
        memory=above_4_gib(),
    )

    guest.run()

    assert guest.said == [OLD, NEW]
