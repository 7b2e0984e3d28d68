# SPDX-License-Identifier: BSD-2-Clause
"""What `run` and `up` say and do when a guest resets its machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.assembler import assemble
from support.vmmgr import Vmmgr

COUNTS_TO_THREE = """
        mov     dx, 0x3f8
        mov     al, 'b'
        out     dx, al
        mov     al, 0x40                # a byte of CMOS that outlives resets
        out     0x70, al
        in      al, 0x71
        inc     al
        out     0x71, al
        cmp     al, 4
        je      done
        {reset}
        hlt
done:   mov     al, 0x10
        out     0xf4, al
        mov     al, 'x'
        out     dx, al
"""
PC = """
schema = 1
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
[lpc.debug-exit]
"""
PULSE = "mov al, 0xfe\nout 0x64, al\ncli"
LOSE_THE_IDT = "lidt [none]\nint3\nnone: .long 0, 0"


@pytest.fixture
def counter(tmp_path: Path):
    def make(reset: str) -> Path:
        source = COUNTS_TO_THREE.format(reset=reset)
        (tmp_path / "guest.bin").write_bytes(assemble(source, 0x7C00, 16))
        file = tmp_path / "counter.toml"
        file.write_text(PC)
        return file

    return make


def test_the_closing_line_counts_resets(vmmgr: Vmmgr, counter) -> None:
    result = vmmgr("run", counter(PULSE), status=33)

    assert result.stdout == "bbbb"
    assert result.stderr.endswith("with status 33; rebooted 3 times\n")


def test_a_triple_fault_resets_when_that_is_wanted(vmmgr: Vmmgr, counter) -> None:
    file = counter(LOSE_THE_IDT)

    assert vmmgr("run", file, status=6).stdout == "b"
    again = vmmgr("run", file, "--set", "debug.on-triple-fault=reset", status=33)
    assert again.stdout == "bbbb"


def test_a_reset_ends_a_run_when_that_is_wanted(vmmgr: Vmmgr, counter) -> None:
    result = vmmgr("run", counter(PULSE), "--set", "debug.on-reset=stop", status=0)

    assert result.stdout == "b"
    assert 'the guest asked for a reset, and on-reset is "stop"' in result.stderr


def test_a_machine_that_stays_tells_of_its_resets(vmmgr: Vmmgr, counter) -> None:
    result = vmmgr("up", counter(PULSE), status=33)

    assert "counter ended: the guest ended the machine with status 33; rebooted 3 times" in (
        result.stderr
    )
