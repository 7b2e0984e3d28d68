# SPDX-License-Identifier: BSD-2-Clause
"""Several CPUs of one engine, in turns on one clock."""

from __future__ import annotations

import pytest
from support.guests import Guests

from manager.bus.record import to_plain
from manager.cpu.engine import Hit, Stop
from manager.cpu.unicorn.engine import UnicornEngine

COUNTER = 0x9000
LOCKED = f"""
    mov ecx, 50000
1:  lock inc qword ptr [{COUNTER:#x}]
    dec ecx
    jnz 1b
    out 0xf4, al
2:  hlt
    jmp 2b
"""
QUANTUM = 50_000


def whole(guests: Guests) -> object:
    """All that can differ between two runs."""
    return (
        guests.engine.time,
        [to_plain(cpu.read_state()) for cpu in guests.engine.cpus],
        [bytes(region.memory) for region in guests.memory.regions],
        guests.said,
    )


@pytest.mark.parametrize("count", [2, 3, 8])
def test_locked_increments_are_exact(count: int) -> None:
    guests = Guests(LOCKED, count)

    guests.run()

    assert guests.done == set(range(count))
    assert guests.memory.read(COUNTER, 8) == (50000 * count).to_bytes(8, "little")


def test_busy_cpus_share_time() -> None:
    guests = Guests(
        """
        mov rdi, 0x9000
    1:  inc qword ptr [rdi + rbx * 8]
        jmp 1b
        """,
        4,
    )

    guests.run(limit=10_000_000)

    counts = [int.from_bytes(guests.memory.read(0x9000 + 8 * n, 8), "little") for n in range(4)]
    assert min(counts) > 0.97 * max(counts)
    assert guests.engine.now() - 10_000_000 < 100


MIXED = """
    mov esi, ebx                                # CPUID takes EBX
    mov ecx, 3000
1:  lock xadd qword ptr [0x9000], rcx
    mov rcx, [0x9000]
    and ecx, 0xff
2:  pause
    dec ecx
    jns 2b
    inc qword ptr [0x9100 + rsi * 8]
    rdtsc
    mov [0x9200 + rsi * 8], rax
    xor eax, eax
    cpuid
    cmp qword ptr [0x9100 + rsi * 8], 300
    jb 1b
    out 0xf4, al
3:  hlt
    jmp 3b
"""


@pytest.mark.parametrize("slice_", [333, 7777, 49_999, 1_000_003])
def test_slicing_changes_nothing(slice_: int) -> None:
    undisturbed, sliced = Guests(MIXED, 3), Guests(MIXED, 3)

    undisturbed.run()
    sliced.run(slice_=slice_)

    assert undisturbed.done == {0, 1, 2}
    assert whole(sliced) == whole(undisturbed)


def test_keeping_tlbs_changes_nothing() -> None:
    kept, flushed = Guests(MIXED, 3), Guests(MIXED, 3, UnicornEngine("qemu64", 3, keep_tlbs=False))

    kept.run()
    flushed.run()

    assert whole(kept) == whole(flushed)


def test_state_written_back_again_and_again_changes_nothing() -> None:
    undisturbed, moved = Guests(MIXED, 3), Guests(MIXED, 3)
    undisturbed.run()

    while len(moved.done) < 3:
        moved.engine.run(moved.engine.now() + 12_345)
        turn = moved.engine.turn
        for cpu in moved.engine.cpus:
            cpu.write_state(cpu.read_state())
        moved.engine.turn = turn

    assert whole(moved) == whole(undisturbed)


def test_code_that_another_cpu_patches_is_seen() -> None:
    # CPU 1 calls the function again and again; CPU 0 changes what it returns.
    guests = Guests(
        """
        mov rdi, 0x90000
        test ebx, ebx
        jnz caller
        mov dword ptr [rdi], 0x90c301b0         # mov al, 1; ret
        mov dword ptr [0x9000], 1               # go
    1:  pause
        cmp dword ptr [0x9004], 1               # it has returned 1
        jne 1b
        mov ecx, 2
    2:  mov [rdi + 1], cl
    3:  pause
        cmp [0x9004], ecx
        jne 3b
        inc ecx
        cmp ecx, 100
        jb 2b
        out 0xf4, al
    4:  hlt
        jmp 4b
    caller:
        cmp dword ptr [0x9000], 1
        jne caller
    5:  xor eax, eax
        call rdi
        mov [0x9004], eax
        jmp 5b
        """
    )

    guests.run(wanted=1)

    assert guests.done == {0}


def test_each_cpu_has_page_tables_of_its_own() -> None:
    # CPU 1 gets a page directory in which 2 MiB is other memory than for CPU 0, and code there.
    guests = Guests(
        """
        mov rdi, 0x200000
        test ebx, ebx
        jz begin
        mov rsi, 0x1000                         # copies of PML4, PDPT, PD at 0x120000
        mov rdi, 0x120000
        mov ecx, 0x600
        cld
        rep movsq
        mov qword ptr [0x120000], 0x121007
        mov qword ptr [0x121000], 0x122007
        mov qword ptr [0x122008], 0x83          # 2 MiB -> 0
        mov rax, 0x120000
        mov cr3, rax
        mov rdi, 0x300000                       # the memory at 1 MiB here
    begin:
        mov dword ptr [rdi], 0x90c300b0         # mov al, number; ret
        mov [rdi + 1], bl
        mov ecx, 1000
    1:  call rdi
        cmp al, bl
        jne wrong
        pause
        dec ecx
        jnz 1b
        out 0xf4, al
    2:  hlt
        jmp 2b
    wrong:
        out 0xe9, al
        jmp wrong
        """
    )

    guests.run()

    assert guests.said == []
    assert guests.done == {0, 1}


def test_a_cpu_in_hlt_leaves_the_time_to_the_others_and_is_woken() -> None:
    guests = Guests(
        """
        test ebx, ebx
        jnz sleeper
        mov ecx, 100
    1:  dec ecx
        jnz 1b
        out 0x10, al                            # wakes CPU 1
    2:  pause
        cmp byte ptr [0x9000], 1
        jne 2b
        out 0xf4, al
    3:  jmp 3b
    sleeper:
        lea rax, [rip + handler]
        mov [0x104200], ax
        mov word ptr [0x104202], 0x10
        mov word ptr [0x104204], 0x8e00
        shr rax, 16
        mov [0x104206], ax
        mov word ptr [0x103ff0], 0x2ff
        mov qword ptr [0x103ff2], 0x104000
        lidt [0x103ff0]
        sti
    4:  hlt
        jmp 4b
    handler:
        mov byte ptr [0x9000], 1
        iretq
        """
    )
    guests.on_write = lambda cpu, port, value: guests.engine.cpus[1].set_intr(True)

    guests.run(wanted=1)

    assert guests.done == {0}
    assert guests.engine.now() < 3 * QUANTUM
    assert guests.engine.cpus[1].halted


def test_all_in_hlt_is_idle() -> None:
    guests = Guests("hlt", 4)

    assert guests.run() is Stop.HALT
    assert guests.engine.idle()
    assert guests.engine.now() < 1000


def test_pause_gives_the_turn_away() -> None:
    # Each waits for the other a thousand times: without PAUSE a quantum each.
    guests = Guests(
        """
        xor ecx, ecx
    1:  mov edx, ecx
        and edx, 1
        cmp edx, ebx
        je 3f
    2:  pause
        cmp dword ptr [0x9000], ecx
        jbe 2b
        jmp 4f
    3:  inc dword ptr [0x9000]
    4:  inc ecx
        cmp ecx, 1000
        jb 1b
        out 0xf4, al
    5:  hlt
        jmp 5b
        """
    )

    guests.run()

    assert guests.done == {0, 1}
    assert guests.engine.now() < 1000 * 1000


def test_a_waiting_cpu_does_nothing_until_it_is_started() -> None:
    guests = Guests(LOCKED, 2)
    guests.engine.cpus[1].waiting = True
    guests.engine.cpus[1].nmi()

    guests.run(wanted=1)
    assert guests.done == {0}
    assert guests.memory.read(COUNTER, 8) == (50000).to_bytes(8, "little")
    state = guests.engine.cpus[1].read_state()
    assert (state.rip, state.gpr[3], state.nmi_pending) == (0x8000, 1, True)
    state.nmi_pending = False
    guests.engine.cpus[1].write_state(state)
    guests.engine.cpus[1].waiting = False
    guests.run()

    assert guests.done == {0, 1}


DEBUG_REGISTERS = """
    lea rax, [rip + target0]
    lea rdx, [rip + target1]
    test ebx, ebx
    cmovnz rax, rdx
    mov dr0, rax
    mov eax, 0x401
    mov dr7, rax
    lea rax, [rip + handler]
    mov [0x104010], ax
    mov word ptr [0x104012], 0x10
    mov word ptr [0x104014], 0x8e00
    shr rax, 16
    mov [0x104016], ax
    mov word ptr [0x103ff0], 0x1ff
    mov qword ptr [0x103ff2], 0x104000
    lidt [0x103ff0]
    mov ecx, 200
1:  pause
target0:
    nop
    pause
target1:
    nop
    dec ecx
    jnz 1b
    out 0xf4, al
2:  hlt
    jmp 2b
handler:
    inc qword ptr [0x9000 + rbx * 8]
    mov rax, [rsp]
    mov [0x9100 + rbx * 8], rax
    or qword ptr [rsp + 16], 0x10000            # RF
    iretq
"""


def test_each_cpu_has_debug_registers_of_its_own() -> None:
    guests = Guests(DEBUG_REGISTERS)

    guests.run()

    counts = [int.from_bytes(guests.memory.read(0x9000 + 8 * n, 8), "little") for n in range(2)]
    places = [int.from_bytes(guests.memory.read(0x9100 + 8 * n, 8), "little") for n in range(2)]
    assert counts == [200, 200]
    assert places[1] - places[0] == 3


def test_time_stamp_counters_agree() -> None:
    guests = Guests(
        """
        mov ecx, 3000
    1:  rdtsc
        shl rdx, 32
        or rax, rdx
        mov rdi, [0x9000]
        cmp rax, rdi
        jb wrong
        mov [0x9000], rax
        pause
        dec ecx
        jnz 1b
        out 0xf4, al
    2:  hlt
        jmp 2b
    wrong:
        out 0xe9, al
        jmp wrong
        """,
        4,
    )

    guests.run()

    assert guests.said == []
    assert len(guests.done) == 4


def test_a20_is_one_for_all() -> None:
    guests = Guests("hlt", 3)
    guests.run()

    guests.engine.set_a20(False)

    assert [cpu.read_state().a20 for cpu in guests.engine.cpus] == [False] * 3


POLITE = LOCKED.replace("50000", "300").replace("dec ecx", "pause\n    dec ecx")


def test_breakpoints_change_nothing_and_tell_which_cpu_it_was() -> None:
    undisturbed, debugged = Guests(POLITE, 3), Guests(POLITE, 3)
    undisturbed.run()
    loop = 0x8005

    debugged.engine.debug([loop], [])
    debugged.engine.debug_from_here(step=False)
    hits = []
    while len(debugged.done) < 3:
        if debugged.engine.run(10**9) is Stop.DEBUGGER:
            hits.append((debugged.engine.current, debugged.engine.hit))
            debugged.engine.debug_from_here(step=False)

    assert [hits.count((cpu, (Hit.BREAKPOINT, loop))) for cpu in range(3)] == [300] * 3
    assert whole(debugged) == whole(undisturbed)


def test_a_step_is_of_the_cpu_that_was_asked() -> None:
    undisturbed, debugged = Guests(POLITE, 2), Guests(POLITE, 2)
    undisturbed.run()
    places = []

    while not debugged.engine.cpus[1].halted:
        debugged.engine.debug_from_here(step=True, cpu=1)
        if debugged.engine.run(10**9) is Stop.DEBUGGER:
            assert debugged.engine.current == 1
            places.append(debugged.engine.cpus[1].read_state().rip)
    debugged.engine.debug_from_here(step=False)
    for guests in (debugged, undisturbed):
        while guests.engine.run(10**9) is not Stop.HALT:
            pass

    assert len(places) == 1 + 4 * 300 + 1
    assert whole(debugged) == whole(undisturbed)
