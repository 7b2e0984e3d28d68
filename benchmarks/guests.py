# SPDX-License-Identifier: BSD-2-Clause
"""The guests: boot sectors that any PC starts, assembled by GNU as when they are needed.

Each goes to 32- or 64-bit mode, says START on COM2, does its work, says END and ends the PC through
the debug-exit port. The work lies between two addresses that the sector itself tells, so that a
bare CPU emulator can run it too.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.row import AbsentError

LOAD = 0x7C00
SECTOR = 512
START, END = b"S", b"E"
MARKS_PORT = 0x2F8
"""COM2 is for the marks, so that COM1 is free to be measured."""
EXIT_PORT = 0xF4
PAGE_TABLES = 0x10000
"""The 64-bit guests put their page tables here: three pages."""
DATA = 0x200000
"""What they load and store; its 2 MiB page is not executable."""
DATA_END = 0x400000

_TO_32_BITS = """
    cli
    xor ax, ax
    mov ds, ax
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    ljmp 0x08, offset protected
.code32
protected:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, 0x7c00
"""


def _write(address: int, value: int) -> str:
    return (
        f"    mov dword ptr [{address}], {value & 0xFFFFFFFF}\n"
        f"    mov dword ptr [{address + 4}], {value >> 32}\n"
    )


TABLE_ENTRIES = (
    (PAGE_TABLES, PAGE_TABLES + 0x1003),
    (PAGE_TABLES + 0x1000, PAGE_TABLES + 0x2003),
    (PAGE_TABLES + 0x2000, 0x83),
    (PAGE_TABLES + 0x2008, DATA | 0x83 | 1 << 63),
)
"""(address, entry): PML4, PDPT, a 2 MiB page of code and one of no-execute data."""
_TO_64_BITS = f"""
{"".join(_write(*entry) for entry in TABLE_ENTRIES)}
    mov eax, cr4
    or al, 0x20                             /* PAE */
    mov cr4, eax
    mov eax, {PAGE_TABLES}
    mov cr3, eax
    mov ecx, 0xc0000080                     /* EFER: LME, NXE */
    rdmsr
    or eax, 0x900
    wrmsr
    mov eax, cr0
    or eax, 0x80000000                      /* PG */
    mov cr0, eax
    ljmp 0x18, offset long_mode
.code64
long_mode:
"""
_FRAME = """
.intel_syntax noprefix
.macro say letter
    mov dx, 0x2f8
    mov al, \\letter
    out dx, al
.endm
.code16
.globl _start
_start:
{enter}
{prepare}
    say 'S'
work_begin:
{work}
work_end:
    say 'E'
    mov dx, 0xf4
    xor eax, eax
    out dx, al
1:  hlt
    jmp 1b
.balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff                /* 0x08: 32-bit code */
    .quad 0x00cf93000000ffff                /* 0x10: data */
    .quad 0x00af9b000000ffff                /* 0x18: 64-bit code */
gdt_pointer:
    .word . - gdt - 1
    .long gdt
    .org 506
    .word work_begin, work_end
    .word 0xaa55
"""


@dataclass(frozen=True, slots=True)
class Guest:
    """A boot sector."""

    image: bytes
    bits: int
    begin: int
    """Where its work begins and ends."""
    end: int


@cache
def guest(work: str, bits: int = 32, prepare: str = "") -> Guest:
    """Assemble a sector that does `prepare`, unmeasured, and `work`.

    Raises AbsentError when there is no GNU assembler.
    """
    enter = _TO_32_BITS + (_TO_64_BITS if bits == 64 else "")
    image = _assemble(_FRAME.format(enter=enter, prepare=prepare, work=work))
    begin, end = struct.unpack_from("<HH", image, SECTOR - 6)
    return Guest(image, bits, begin, end)


def _assemble(source: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        text, unlinked, binary = (Path(folder) / name for name in ("s.s", "s.o", "s.bin"))
        text.write_text(source)
        link = ["ld", "-m", "elf_x86_64", "--oformat=binary", "-Ttext", hex(LOAD)]
        try:
            subprocess.run(["as", "--64", "-o", unlinked, text], check=True)
            subprocess.run([*link, "-o", binary, unlinked], check=True)
        except FileNotFoundError as error:
            raise AbsentError(f"the guest needs GNU {error.filename} (package binutils)") from None
        image = binary.read_bytes()
    assert len(image) == SECTOR
    return image


# -- what the CPU is measured with ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of known length."""

    name: str
    bits: int
    instructions: int
    """In one iteration."""
    before: str
    body: str

    def guest(self, iterations: int) -> Guest:
        """The sector that runs it `iterations` times (below 2**32)."""
        work = f"{self.before}\n mov ecx, {iterations}\n.balign 16\n1: {self.body}"
        return guest(work, self.bits)


ARITHMETIC = "add eax, ebx\n xor edx, eax\n dec ecx\n jnz 1b"
LOAD_STORE_32 = "mov eax, [esi]\n add eax, edx\n mov [edi], eax\n dec ecx\n jnz 1b"
LOAD_STORE_64 = "mov eax, [rsi]\n add eax, edx\n mov [rdi], eax\n dec ecx\n jnz 1b"
CALLS_32 = "call 3f\n dec ecx\n jnz 1b\n jmp 4f\n3: push eax\n pop edx\n ret\n4:"
CALLS_64 = "call 3f\n dec ecx\n jnz 1b\n jmp 4f\n3: push rax\n pop rdx\n ret\n4:"

LOOPS = (
    Loop("add, xor, dec, jnz; 32-bit", 32, 4, "", ARITHMETIC),
    Loop("add, xor, dec, jnz; 64-bit, paging, NX", 64, 4, "", ARITHMETIC),
    Loop(
        "a load and a store in 5; 32-bit flat", 32, 5,
        f"mov esi, {DATA}\n mov edi, {DATA + 64}", LOAD_STORE_32,
    ),
    Loop(
        "a load and a store in 5; 64-bit, paging, NX", 64, 5,
        f"mov esi, {DATA}\n mov edi, {DATA + 64}", LOAD_STORE_64,
    ),
    Loop("call, push, pop, ret, dec, jnz; 32-bit flat", 32, 6, f"mov esp, {DATA_END}", CALLS_32),
    Loop(
        "call, push, pop, ret, dec, jnz; 64-bit, paging, NX", 64, 6,
        f"mov esp, {DATA_END}", CALLS_64,
    ),
)  # fmt: skip


# -- devices --------------------------------------------------------------------------------


def port_writes(port: int, count: int) -> Guest:
    """`count` OUTs of one byte to `port`."""
    return guest(
        f"mov dx, {port}\n mov al, 'x'\n mov ecx, {count}\n1: out dx, al\n dec ecx\n jnz 1b"
    )


def port_reads(port: int, count: int) -> Guest:
    """`count` INs of one byte from `port`."""
    return guest(f"mov dx, {port}\n mov ecx, {count}\n1: in al, dx\n dec ecx\n jnz 1b")


def memory_reads(address: int, count: int) -> Guest:
    """`count` loads of 32 bits from a device's register."""
    return guest(f"mov esi, {address}\n mov ecx, {count}\n1: mov eax, [esi]\n dec ecx\n jnz 1b")


def memory_writes(address: int, count: int) -> Guest:
    """`count` stores of 32 zero bits to a device's register."""
    work = f"mov edi, {address}\n xor eax, eax\n mov ecx, {count}\n"
    return guest(work + "1: mov [edi], eax\n dec ecx\n jnz 1b")


PIT_HZ = 1_193_182
INTERRUPT_RATE = 10_000


def timer_interrupts(count: int) -> Guest:
    """`count` interrupts of the 8254 at INTERRUPT_RATE, the CPU in HLT between them."""
    divisor = PIT_HZ // INTERRUPT_RATE
    prepare = f"""
    mov eax, offset handler
    mov [0x600 + 0x20 * 8], ax
    mov word ptr [0x600 + 0x20 * 8 + 2], 0x08
    mov dword ptr [0x600 + 0x20 * 8 + 4], 0x8e00    /* interrupt gate, in the first 64 KiB */
    lidt [idt_pointer]
    mov al, 0x11                            /* 8259: edge, ICW4; vectors from 0x20; only IRQ 0 */
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 0x04
    out 0x21, al
    mov al, 0x01
    out 0x21, al
    mov al, 0xfe
    out 0x21, al
    mov al, 0x34                            /* 8254: counter 0, two bytes, rate generator */
    out 0x43, al
    mov al, {divisor & 0xFF}
    out 0x40, al
    mov al, {divisor >> 8}
    out 0x40, al
    jmp 5f
idt_pointer:
    .word 0x21 * 8 - 1
    .long 0x600
handler:
    mov al, 0x20                            /* EOI */
    out 0x20, al
    dec ebx
    iret
5:"""
    return guest(f"mov ebx, {count}\n sti\n1: hlt\n cmp ebx, 0\n jg 1b\n cli", prepare=prepare)


# -- suspend and resume ---------------------------------------------------------------------

FILL_FROM = 0x100000
HEARTBEAT = b"."


def heartbeat(mib: int) -> Guest:
    """Fills a quarter of `mib` MiB of RAM with what does not compress, then sends dots for ever.

    The dots go to COM1, the marks to COM2 as ever; END never comes.
    """
    words = (mib << 20) // 4 // 4
    prepare = f"""
    mov edi, {FILL_FROM}
    mov ecx, {words}
    mov eax, 0x2545f491
1:  mov edx, eax                            /* xorshift32 */
    shl edx, 13
    xor eax, edx
    mov edx, eax
    shr edx, 17
    xor eax, edx
    mov edx, eax
    shl edx, 5
    xor eax, edx
    stosd
    dec ecx
    jnz 1b"""
    return guest(
        "mov dx, 0x3f8\n1: mov al, '.'\n out dx, al\n mov ecx, 20000\n2: dec ecx\n jnz 2b\n jmp 1b",
        prepare=prepare,
    )
