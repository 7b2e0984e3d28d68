# SPDX-License-Identifier: BSD-2-Clause
"""What CPUID says of a model goes together, and what it does not offer is refused."""

from __future__ import annotations

import pytest
from support.guest import Guest

from manager.cpu.unicorn.engine import UnicornEngine
from manager.names import CPU_MODELS

pytestmark = pytest.mark.guest

TELL = """
    .macro tell leaf
        mov eax, \\leaf
        cpuid
        mov esi, eax
        mov edi, ecx
        mov eax, edx
        out 0xe9, eax
        mov eax, edi
        out 0xe9, eax
    .endm
    tell 1
    mov eax, 0x80000000
    cpuid
    mov edx, 0
    mov ecx, 0
    cmp eax, 0x80000001     # older models answer with what their last leaf has
    jb 1f
    mov eax, 0x80000001
    cpuid
1:  mov eax, edx
    out 0xe9, eax
    out 0xf4, al
2:  jmp 2b
"""
SET_DEADLINE = """
    mov ecx, 0x6e0
    mov eax, -1
    mov edx, -1
    wrmsr
    out 0xf4, al
1:  jmp 1b
"""
TSC_DEADLINE, SSE2 = 1 << 24, 1 << 26
SYSCALL, LONG_MODE = 1 << 11, 1 << 29
OF_32_BITS = ("qemu32", "kvm32", "coreduo", "486", "pentium", "pentium2", "pentium3", "athlon",
              "n270")  # fmt: skip


def features(model: str) -> tuple[int, int, int]:
    """EDX and ECX of leaf 1, EDX of leaf 80000001h or 0."""
    guest = Guest(TELL, 32, engine=UnicornEngine(model))
    guest.run()
    edx, ecx, extended = guest.said
    return edx, ecx, extended


@pytest.mark.parametrize("model", CPU_MODELS)
def test_only_models_of_64_bits_say_so(model: str) -> None:
    _, _, extended = features(model)

    assert bool(extended & LONG_MODE) == (model not in OF_32_BITS)
    assert extended & SYSCALL or not extended & LONG_MODE


@pytest.mark.parametrize("model", CPU_MODELS)
def test_tsc_deadline_comes_with_the_fence_that_orders_it(model: str) -> None:
    edx, ecx, _ = features(model)
    guest = Guest(SET_DEADLINE, 32, engine=UnicornEngine(model))

    guest.run()

    assert bool(ecx & TSC_DEADLINE) == bool(edx & SSE2)
    assert guest.done == bool(ecx & TSC_DEADLINE)  # else #GP, and there is no IDT
