# SPDX-License-Identifier: BSD-2-Clause
"""A guest that calls a BIOS which is not there is told so, and does not run on into nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.machines import build, finish

CALLS = {
    "video": ("mov ax, 0x0e41; int 0x10", "INT 10h at 0000:8003"),
    "disk": ("mov ah, 2; int 0x13", "INT 13h at 0000:8002"),
    "memory map": ("mov eax, 0xe820; int 0x15", "INT 15h at 0000:8006"),
    "DOS": ("mov ah, 9; int 0x21", "INT 21h at 0000:8002"),
}


@pytest.mark.parametrize(("source", "where"), CALLS.values(), ids=CALLS)
def test_a_call_of_the_bios_ends_the_machine_and_says_so(
    tmp_path: Path, source: str, where: str
) -> None:
    machine = build(tmp_path, source.replace("; ", "\n") + "\nout 0xf4, al", 16)

    ended = finish(machine)

    assert ended.reason == "no-bios"
    assert ended.status == 6
    assert f"the guest calls the BIOS by {where}, and there is none" in ended.detail
    assert "boot.firmware" in ended.detail


def test_handlers_of_the_guests_own_are_called(tmp_path: Path) -> None:
    machine = build(
        tmp_path,
        "mov word ptr [4 * 0x10], offset handler\nint 0x10\nhandler: out 0xf4, al\n",
        16,
    )

    assert finish(machine).reason == "debug-exit"


def test_exceptions_without_a_handler_are_no_call(tmp_path: Path) -> None:
    """INT 3 goes to 0000:0000, where the guest has code in this case."""
    machine = build(tmp_path, "mov dword ptr [0], 0x9090f4e6\nint3\n", 16)

    assert finish(machine).reason == "debug-exit"


def test_protected_mode_has_no_bios_calls(tmp_path: Path) -> None:
    assert finish(build(tmp_path, "int 0x10", 32)).reason == "triple-fault"
