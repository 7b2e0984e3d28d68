# SPDX-License-Identifier: BSD-2-Clause
"""What a reset costs."""

from __future__ import annotations

from pathlib import Path

from support.machines import build

LOOP = """
    mov dx, 0x3f8
    mov al, 'b'
    out dx, al
    mov dx, 0xcf9
    mov al, 6
    out dx, al
1:  jmp 1b
"""


def test_a_guest_that_resets_for_ever_uses_up_its_time(tmp_path: Path) -> None:
    machine = build(tmp_path, LOOP)

    machine.run(10_000_000)

    assert machine.now() >= 10_000_000
    assert 5 <= len(machine.ports["lpc.com1"].take_output()) <= 11
    machine.close()
