# SPDX-License-Identifier: BSD-2-Clause
"""Random programs of port and register accesses, for two CPUs, which write down all that they read.

The first CPU takes the interrupts of a timer and of three uarts; a handler reads the uarts. Every
value read, and now and then the time, is stored in a log in RAM.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from support.assembler import assemble

LOAD, BODIES = 0x8000, (0xA000, 0x50000)
LOGS = (0x200000, 0x300000)
LOG_SIZE = 0x40000
UARTS = (0x3F8, 0x2F8)
EXIT = 0xF4
OWN = (0xE000_0000, 0xE000_0000, 0xE000_0002, 0xE000_0004)
LAPIC = (0xFEE0_0020, 0xFEE0_0080, 0xFEE0_00A0, 0xFEE0_0210, 0xFEE0_0390, 0xFEE0_0040)
"""Identity, two priorities, requests, the count, and no register."""
IOAPIC = 0xFEC0_0010
_START = f"""
    mov esp, 0x8000
    lgdt [gdt_pointer]
    xor ebx, ebx
    mov edi, {LOGS[0]}
    cld
    mov eax, offset handler          # one handler for vectors 0x20-0x2f
    mov ecx, 0x20
1:  mov word ptr [0x6000 + ecx * 8], ax
    mov word ptr [0x6000 + ecx * 8 + 2], 0x08
    mov dword ptr [0x6000 + ecx * 8 + 4], 0x8e00
    inc ecx
    cmp ecx, 0x30
    jne 1b
    lidt [idt_pointer]
    ljmp 0x08, offset here
here:
    .macro put port, value
        mov al, \\value
        out \\port, al
    .endm
    put 0x20, 0x11
    put 0x21, 0x20
    put 0x21, 0x04
    put 0x21, 0x01
    put 0xa0, 0x11
    put 0xa1, 0x28
    put 0xa1, 0x02
    put 0xa1, 0x01
    put 0x21, 0x00
    put 0xa1, 0x00
    put 0x43, 0x34                   # the timer, at some 6 kHz
    put 0x40, 200
    put 0x40, 0
    mov dword ptr [0xfee00320], 0x10000
    mov dword ptr [0xfee003e0], 0xb
    mov dword ptr [0xfee00380], -1
    mov dword ptr [0xfee00300], 0xc4500
    mov dword ptr [0xfee00300], 0xc4609
    sti
    mov eax, {BODIES[0]}
    jmp eax
handler:
    push eax
    push edx
    mov al, 0x69
    stosb
    mov dx, 0x3fa
    in al, dx
    stosb
    mov dx, 0x3f8
    in al, dx
    stosb
    mov dx, 0x2fa
    in al, dx
    stosb
    mov dx, 0x2f8
    in al, dx
    stosb
    mov dx, {{pci}} + 2
    in al, dx
    stosb
    mov dx, {{pci}} + 5               # the card's interrupt is a level: all of its causes
    in al, dx
    stosb
    inc dx
    in al, dx
    stosb
    mov dx, {{pci}}
    in al, dx
    stosb
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    pop edx
    pop eax
    iretd
    .align 16
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word 23
    .long gdt
idt_pointer:
    .word 0x17f
    .long 0x6000
    .org 0x1000                      # where the second CPU begins
    .code16
    cli
    xor ax, ax
    mov ds, ax
    lgdtd [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    ljmp 0x08, offset second
    .code32
second:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, 0x7000
    mov edi, {LOGS[1]}
    cld
    mov eax, {BODIES[1]}
    jmp eax
    .org 0x2000
"""

STORE = b"\xaa"  # stosb
IN, OUT = b"\xec", b"\xee"
TIME = b"\x0f\x31\xab"  # rdtsc; stosd


def _dx(port: int) -> bytes:
    return b"\x66\xba" + port.to_bytes(2, "little")


def _al(value: int) -> bytes:
    return b"\xb0" + bytes([value])


def _times(count: int, code: bytes) -> bytes:
    """A loop; the code must leave ECX alone."""
    loop = code + b"\xe2"
    return b"\xb9" + count.to_bytes(4, "little") + loop + bytes([256 - len(loop) - 1])


class Program:
    """What one CPU does: `steps` random things. `pci` is the first port of a uart on a card."""

    def __init__(self, seed: str, pci: int, steps: int, *, first: bool) -> None:
        self._random = random.Random(seed)
        self._uarts = (*UARTS, pci)
        self._first = first
        self._steps = steps
        self._acts = (
            *[self._burst] * 4, *[self._poll] * 4, *[self._poll_and_send] * 5, *[self._read] * 4,
            *[self._set_up] * 4, *[self._log] * 6, *[self._memory] * 3, *[self._wide] * 3,
            self._chip, self._delay, self._wait, self._identity, lambda: TIME,
        )  # fmt: skip

    def code(self) -> bytes:
        """Its machine code, which the first CPU ends the machine with."""
        code = b"".join(self._set_up(uart) for uart in self._uarts) if self._first else b""
        for _ in range(self._steps):
            code += self._random.choice(self._acts)()
        return code + (_al(0) + b"\xe6\xf4" if self._first else b"\xf3\x90") + b"\xeb\xfc"

    def _count(self) -> int:
        return self._random.choice((1, 2, 2, 3, 5, 17, 40))

    def _uart(self) -> int:
        return self._random.choice(self._uarts)

    def _burst(self) -> bytes:
        return (
            _dx(self._uart())
            + _al(self._random.randrange(256))
            + _times(self._count(), OUT + b"\xfe\xc0")
        )

    def _poll(self) -> bytes:
        port = self._uart() + self._random.choice((5, 5, 5, 6, 2, 1, 3, 4, 7, 0))
        return _dx(port) + _times(self._count(), IN + STORE)

    def _poll_and_send(self) -> bytes:
        uart = self._uart()
        return _times(self._count(), _dx(uart + 5) + IN + STORE + _dx(uart) + b"\x88\xc8" + OUT)

    def _read(self) -> bytes:
        ports = (
            0x21, 0xA1, 0x20, 0x20, 0xA0, 0x64, 0x60, 0x92, 0x4D0, 0x61, 0x40, 0x80, 0x608, 0x71,
            0x1F7, 0x3F6,
        )  # fmt: skip
        return _dx(self._random.choice(ports)) + (IN + STORE) * self._random.randrange(1, 4)

    def _set_up(self, uart: int | None = None) -> bytes:
        uart = uart or self._uart()
        random = self._random
        offset = random.choice((1, 1, 1, 2, 3, 4, 4, 7))
        value = {
            1: random.choice((0, 1, 2, 3, 3, 7, 15)),
            2: random.choice((0, 1, 1, 7, 0xC7)),
            3: random.choice((3, 3, 0x83 if uart in UARTS else 3, 0x43)),
            4: random.choice((0, 0xB, 0xB, 0xB, 0xB, 0x1B, 0x10)),
            7: random.randrange(256),
        }[offset]
        code = _dx(uart + offset) + _al(value) + OUT
        if offset == 4:
            code += _dx(uart + random.choice((5, 6, 6))) + (IN + STORE) * 3
        return code + (_dx(uart + 3) + _al(3) + OUT if random.random() < 0.5 else b"")

    def _log(self) -> bytes:
        act = self._random.choice((0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7))
        if act == 7:
            return _dx(0x340) + _times(self._count(), b"\x88\xc8" + OUT + IN + STORE)
        if act in (0, 5):
            return _dx(0x340 + act) + _times(self._count(), b"\x88\xc8" + OUT)
        if act == 3:
            return _dx(0x343) + OUT
        reads = _dx(0x340 + act % 6) + (IN + STORE) * self._random.randrange(1, 4)
        return reads if self._random.random() < 0.7 else reads + _dx(0x341) + OUT

    def _memory(self) -> bytes:
        random = self._random
        address = random.choice((*OWN, *LAPIC, IOAPIC))
        size = random.choice((1, 2, 4)) if not address & 3 else 2
        place = address.to_bytes(4, "little")
        prefix = b"\x66" if size == 2 else b""
        if random.random() < 0.5 or address not in OWN:
            opcode = b"\xa0" if size == 1 else b"\xa1"
            return (prefix + opcode + place + b"\xab") * random.randrange(1, 4)
        opcode = b"\xa2" if size == 1 else b"\xa3"
        return _times(self._count(), prefix + opcode + place + b"\x40")

    def _wide(self) -> bytes:
        random = self._random
        port = random.choice((0x350, 0x350, 0x352, 0x340, 0x341, 0x3FC, 0x3FD, 0x3F8, 0x7F, 0x80))
        prefix = random.choice((b"\x66", b""))
        if random.random() < 0.5:
            return _dx(port) + (prefix + b"\xed\xab") * random.randrange(1, 4)
        if port == 0x3FC:
            port = 0x350
        return _dx(port) + _times(
            random.randrange(1, 6), b"\xb8\x41\x03\x02\x01" + prefix + b"\xef"
        )

    def _chip(self) -> bytes:
        command = _al(self._random.choice((0x20, 0xAA, 0xAE, 0xAD))) + b"\xe6\x64"
        status, data = b"\xe4\x64" + STORE, b"\xe4\x60" + STORE
        return command + status + status + data + status

    def _identity(self) -> bytes:
        """For so long that another CPU may have its turn, and do the same."""
        sums = _times(1000, b"\xa1" + LAPIC[0].to_bytes(4, "little") + b"\x01\xc3")
        return sums + b"\x89\xd8\xab"

    def _delay(self) -> bytes:
        return _times(self._count(), b"\xe6\x80")

    def _wait(self) -> bytes:
        kind = self._random.randrange(5)
        if kind == 0 and self._first:
            return b"\xfb\xf4"  # sti; hlt
        if kind == 1 and self._first:
            return b"\xfa" + self._poll_and_send() + b"\xfb"  # cli, ..., sti
        if kind == 2:
            return b"\xf3\x90"  # pause
        return b"\xb9" + self._random.randrange(1, 9000).to_bytes(4, "little") + b"\xe2\xfe"


def guest(seed: int, pci: int, steps: Sequence[int]) -> bytes:
    """The image to load at LOAD, with so many steps for each CPU."""
    start = assemble(_START.replace("{pci}", hex(pci)), LOAD, 32)
    programs = (
        Program(f"{seed} {number}", pci, count, first=number == 0).code()
        for number, count in enumerate(steps)
    )
    image = bytearray(start)
    for at, code in zip(BODIES, programs, strict=False):
        image += bytes(at - LOAD - len(image)) + code
    return bytes(image)
