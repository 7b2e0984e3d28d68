# SPDX-License-Identifier: BSD-2-Clause
"""The same work on a bare Unicorn, through its own Python binding and with no hook at all.

Always in a process of its own: the engine of vmmgr puts itself into the library.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import mmap
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import guests
from benchmarks.guests import Guest
from benchmarks.process import output_of

BARE = "bare Unicorn"
RAM = 4 << 20
CR0_PROTECTED_PAGED = 0x80000011
CR4_PAE = 1 << 5
EFER = 0xC0000080
EFER_LONG_NX = 0x900
NOP = 0x90


def work_of(guest: Guest) -> Callable[[], float]:
    """An attempt: the seconds that the guest's work takes."""
    task = json.dumps(
        {"image": guest.image.hex(), "bits": guest.bits, "span": (guest.begin, guest.end)}
    )

    def attempt() -> float:
        return float(output_of([sys.executable, "-m", "benchmarks.bare_unicorn", task]))

    return attempt


def _binding() -> tuple[Any, Any]:
    """The package and its register numbers; it has no types."""
    return importlib.import_module("unicorn"), importlib.import_module("unicorn.x86_const")


def seconds(image: bytes, bits: int, begin: int, end: int) -> float:
    """Run the code from `begin` to `end` of a boot sector."""
    unicorn, x86 = _binding()
    cpu = unicorn.Uc(unicorn.UC_ARCH_X86, {32: unicorn.UC_MODE_32, 64: unicorn.UC_MODE_64}[bits])
    cpu.mem_map(0, RAM)
    cpu.mem_write(guests.LOAD, image)
    if bits == 64:
        for address, value in guests.TABLE_ENTRIES:
            cpu.mem_write(address, value.to_bytes(8, "little"))
        cpu.reg_write(x86.UC_X86_REG_CR4, CR4_PAE)
        cpu.reg_write(x86.UC_X86_REG_CR3, guests.PAGE_TABLES)
        cpu.reg_write(x86.UC_X86_REG_MSR, (EFER, EFER_LONG_NX))
        cpu.reg_write(x86.UC_X86_REG_CR0, CR0_PROTECTED_PAGED)
    began = time.perf_counter()
    cpu.emu_start(begin, end)
    return time.perf_counter() - began


def start_of(mib: int) -> Callable[[], float]:
    """An attempt: the milliseconds to make a CPU with `mib` MiB and execute one instruction."""
    task = json.dumps({"start": mib})
    return lambda: float(output_of([sys.executable, "-m", "benchmarks.bare_unicorn", task]))


def start(mib: int) -> float:
    """Seconds for a new CPU, RAM that the host allocates when touched, and one instruction."""
    unicorn, _ = _binding()
    length = mib << 20
    began = time.perf_counter()
    memory = mmap.mmap(-1, length, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    cpu = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    cpu.mem_map_ptr(0, length, unicorn.UC_PROT_ALL, address)
    memory[guests.LOAD] = NOP
    cpu.emu_start(guests.LOAD, guests.LOAD + 1)
    return time.perf_counter() - began


def _main(task: dict[str, Any]) -> float:
    if "start" in task:
        return start(task["start"]) * 1000
    return seconds(bytes.fromhex(task["image"]), task["bits"], *task["span"])


if __name__ == "__main__":
    print(_main(json.loads(sys.argv[1])))
