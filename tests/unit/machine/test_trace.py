# SPDX-License-Identifier: BSD-2-Clause
"""What an OS author sees when nothing prints, and what strict-io makes of a stray access."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.machines import build, finish

pytestmark = pytest.mark.guest

GUEST = """
    mov dx, 0x3f8
    mov al, 'A'
    out dx, al
    mov dx, 0xcf8
    mov eax, 0x80002000
    out dx, eax
    mov dx, 0xcfc
    in eax, dx
    mov ecx, 0x1b
    rdmsr
    mov ecx, 0xc0000082
    wrmsr
    mov al, 3
    out 0xf4, al
1:  jmp 1b
"""
DEBUG = '[debug]\ntrace = {kinds}\ntrace-file = "trace.log"\n'


def test_every_kind_of_event_has_its_line(tmp_path: Path) -> None:
    kinds = '["ports", "pci", "msr", "irq"]'
    machine = build(tmp_path, GUEST, extra=DEBUG.format(kinds=kinds))

    finish(machine)
    machine.close()

    text = (tmp_path / "trace.log").read_text()
    lines = [line.split(maxsplit=1)[1] for line in text.splitlines()]
    assert lines == [
        "out 03f8 <- 41  lpc.com1",
        "out 0cf8 <- 80002000  slots.0",
        "pci 4.0 [00] -> 00021b36",
        "in  0cfc -> 00021b36  slots.0",
        "msr 0000001b -> 00000000fee00900",
        "msr c0000082 <- 00000000fee00900",
        "out 00f4 <- 03  lpc.debug-exit",
    ]


def test_only_what_was_asked_for_is_traced_and_time_is_the_same(tmp_path: Path) -> None:
    plain = build(tmp_path, GUEST)
    finish(plain)
    machine = build(tmp_path, GUEST, extra=DEBUG.format(kinds='["pci"]'))

    finish(machine)
    machine.close()

    assert len((tmp_path / "trace.log").read_text().splitlines()) == 1
    assert machine.engine.time == plain.engine.time


@pytest.mark.parametrize(
    ("access", "words"), [("out 0x99, al", "OUT to"), ("in al, 0x99", "IN from")]
)
def test_strict_io_ends_the_machine_at_a_port_without_a_device(
    tmp_path: Path, access: str, words: str
) -> None:
    machine = build(tmp_path, f"{access}\n1: jmp 1b", extra="[debug]\nstrict-io = true\n")

    ended = finish(machine)

    assert ended.reason == "strict-io"
    assert ended.status == 6
    assert ended.detail.startswith(f"{words} port 0x99")


def test_without_strict_io_such_a_port_reads_as_all_ones(tmp_path: Path) -> None:
    machine = build(tmp_path, "in al, 0x99\n shr al, 1\n out 0xf4, al\n1: jmp 1b")

    assert finish(machine).status == 0xFF
