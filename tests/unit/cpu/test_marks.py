# SPDX-License-Identifier: BSD-2-Clause
"""An engine goes back to a mark: memory byte for byte, and the run from there on."""

from __future__ import annotations

import pytest
from support.guest import Guest

from manager.bus.record import to_plain
from manager.cpu.engine import Stop, Watchpoint

pytestmark = pytest.mark.guest

SETUP = """
    mov rsp, 0x107000
    mov rdi, 0x200040
    mov dword ptr [rdi], 0x90c301b0     # mov al, 1; ret; nop
    call rdi
    out 0x10, al
    jmp 8f
8:                                      # here the host marks
"""
DONE = "\n out 0xf4, al\n9: jmp 9b"
STORES = {
    "to a page that was read first": "mov eax, [0x210000]; mov dword ptr [0x210000], 7",
    "to a new page": "mov dword ptr [0x211000], 7",
    "to a page of zeros and back": "inc byte ptr [0x212000]; dec byte ptr [0x212000]",
    "across two pages": "mov qword ptr [0x213ffc], -1",
    "to many": "mov ecx, 0x10000; lea rdi, [0x220000]; mov al, 5; rep stosb",
    "lock": "mov eax, [0x214000]; lock inc dword ptr [0x214000]",
    "cmpxchg16b": "xor eax, eax; xor edx, edx; mov ebx, 3; lock cmpxchg16b [0x215000]",
    "fxsave": "mov ecx, [0x216000]; fxsave [0x216e00]",
    "to its stack": "mov ecx, 2000\n1: push rcx\n loop 1b",
    "over code that ran": "mov byte ptr [rdi + 1], 2; call rdi; out 0xe9, eax",
    "through another mapping": """
        mov rax, cr3; mov rax, [rax]; and ax, 0xf000; mov rax, [rax]; and ax, 0xf000
        mov rcx, [rax + 8]; mov [rax + 16], rcx     # 4 MiB is where 2 MiB is
        mov rcx, cr3; mov cr3, rcx
        mov byte ptr [rdi + 0x200001], 2; call rdi; out 0xe9, eax
    """,
    "accessed and dirty bits": "mov al, [0x230000]; mov byte ptr [0x230000], al",
}


def everything(guest: Guest) -> list[bytes]:
    return [region.memory[:] for region in guest.memory.regions]


def to_the_port(guest: Guest) -> None:
    """Run until the guest has written to port 10h."""
    assert guest.engine.run(10_000_000) is Stop.KICK


def marked(source: str) -> Guest:
    """A guest that has run to its OUT to port 10h and is marked there."""
    guest = Guest(SETUP + source + DONE)
    guest.on_write = lambda port, value: guest.engine.kick()
    to_the_port(guest)
    guest.engine.mark()
    return guest


def rest(guest: Guest) -> tuple[object, ...]:
    """What came of the rest of the run."""
    guest.said.clear()
    guest.done = False
    guest.run()
    assert guest.done
    return guest.said[:], everything(guest), to_plain(guest.cpu.read_state()), guest.engine.time


def back(guest: Guest) -> int:
    pages = guest.engine.back_memory()
    guest.engine.back_cpus()
    return pages


@pytest.mark.parametrize("source", STORES.values(), ids=STORES)
def test_memory_and_run_are_as_they_were(source: str) -> None:
    guest = marked(source)
    memory, state = everything(guest), to_plain(guest.cpu.read_state())
    time = guest.engine.time

    first = rest(guest)
    for _ in range(3):
        assert back(guest) > 0
        assert everything(guest) == memory
        assert to_plain(guest.cpu.read_state()) == state
        assert guest.engine.time == time
        assert rest(guest) == first


def test_translations_of_other_pages_are_kept_and_those_of_code_that_was_changed_are_not() -> None:
    guest = marked("mov byte ptr [rdi + 1], 2; call rdi; out 0xe9, eax")

    for _ in range(3):
        guest.said.clear()
        guest.run()
        assert [value & 0xFF for value in guest.said] == [2]
        back(guest)
        guest.cpu.write_rip(guest.cpu.read_state().rip + 4)  # past the store
        guest.said.clear()
        guest.run()
        assert [value & 0xFF for value in guest.said] == [1]
        back(guest)


def test_what_the_host_writes_goes_too_when_it_says_so_first() -> None:
    guest = marked("call rdi; out 0xe9, eax")
    memory = everything(guest)

    guest.engine.invalidate(0x200041, 0x200042)
    guest.memory.write(0x200041, b"\x09")
    guest.engine.invalidate(0, 1 << 40)
    guest.memory.clear()
    back(guest)

    assert everything(guest) == memory
    assert guest.run() is not None
    assert [value & 0xFF for value in guest.said] == [1]


def test_debug_registers_and_a_debuggers_breakpoints() -> None:
    guest = marked("mov rax, 0x401; mov dr7, rax; mov eax, 0x8000; mov dr0, rax; nop")
    entry = guest.cpu.read_state()

    for _ in range(3):
        rest(guest)
        assert guest.cpu.read_state().debug[7] & 1
        back(guest)
        assert guest.cpu.read_state() == entry
    guest.engine.debug([entry.rip], [Watchpoint(0x200040, 1, reads=True, writes=True)])
    back(guest)
    guest.run()
    assert guest.cpu.read_state().rip == entry.rip


def test_a_new_mark_takes_the_place_of_the_one_before_and_none_is_no_way_back() -> None:
    guest = marked("1: inc qword ptr [0x210000]\n out 0x10, al\n jmp 1b")
    to_the_port(guest)
    guest.engine.mark()
    memory = everything(guest)
    to_the_port(guest)
    back(guest)
    assert everything(guest) == memory

    guest.engine.forget_mark()
    with pytest.raises(RuntimeError, match="there is no mark"):
        guest.engine.back_memory()
    to_the_port(guest)
