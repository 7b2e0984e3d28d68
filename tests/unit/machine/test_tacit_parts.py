# SPDX-License-Identifier: BSD-2-Clause
"""Parts that every board has and no graph tells of: fw_cfg without firmware, the text cursor."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from support.machines import build, finish

from manager.graph.identity import identity
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot
from manager.snapshot.write import write_snapshot

ASK = """
    mov dx, 0x510
    mov ax, {key}
    out dx, ax
    inc dx
    mov edi, 0x9000
    mov ecx, {length}
    rep insb
    out 0xf4, al
"""


def asked(tmp_path: Path, key: int, length: int, extra: str = "") -> bytes:
    machine = build(tmp_path, ASK.format(key=key, length=length), extra=extra)
    assert finish(machine).reason == "debug-exit"
    return machine.memory.read(0x9000, length)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (0x00, b"QEMU"),
        (0x01, b"\x03\0\0\0"),
        (0x03, struct.pack("<Q", 4 << 20)),
        (0x05, b"\x01\0"),
        (0x0F, b"\x01\0"),
        (0x7777, b"\0\0"),
    ],
)
def test_a_kernel_without_firmware_can_ask_fw_cfg(tmp_path: Path, key: int, value: bytes) -> None:
    assert asked(tmp_path, key, len(value)) == value


def test_fw_cfg_tells_how_many_cpus_there_are(tmp_path: Path) -> None:
    assert asked(tmp_path, 0x05, 2, "[cpu]\ncount = 3\n") == b"\x03\0"


def test_fw_cfg_lists_its_files(tmp_path: Path) -> None:
    found = asked(tmp_path, 0x19, 4 + 64)

    assert found[:4] == b"\0\0\0\x01"
    assert found[12:].startswith(b"etc/e820\0")


CURSOR = """
    mov dx, 0x3d4
    mov ax, 0x120e
    out dx, ax
    mov al, 0x0f
    out dx, al
    inc dx
    mov al, 0x34
    out dx, al
    dec dx
    in al, dx
    mov [0x9000], al
    mov al, 0x0e
    out dx, al
    inc dx
    in al, dx
    mov [0x9001], al
    dec dx
    mov al, 0x0f
    out dx, al
    inc dx
    in al, dx
    mov [0x9002], al
    out 0xf4, al
"""


def test_the_text_cursor_can_be_moved_without_a_screen(tmp_path: Path) -> None:
    machine = build(tmp_path, CURSOR)

    finish(machine)

    assert machine.memory.read(0x9000, 3) == b"\x0f\x12\x34"


def test_the_cursor_begins_at_its_place(tmp_path: Path) -> None:
    machine = build(tmp_path, "mov dx, 0x3d4\nmov al, 14\nout dx, al\ninc dx\nin al, dx\n"
                              "mov [0x9000], al\nout 0xf4, al")  # fmt: skip

    finish(machine)

    assert machine.memory.read(0x9000, 1) == b"\0"


@pytest.mark.parametrize("port", [0x3D5, 0x510, 0x51B])
def test_a_device_of_the_machine_file_has_its_port_all_the_same(tmp_path: Path, port: int) -> None:
    machine = build(tmp_path, "mov dx, PORT\nmov al, 7\nout dx, al\n".replace("PORT", str(port)),
                    extra=f"port = {port}\n")  # fmt: skip

    assert finish(machine).status == 15


def test_identity_and_snapshots_of_earlier_versions_are_as_they_were(tmp_path: Path) -> None:
    machine = build(tmp_path, CURSOR)
    finish(machine)
    image = machine.run_to_image()
    assert {"board.crtc", "board.fw-cfg"} <= image.records.keys()
    assert not {"board.crtc", "board.fw-cfg"} & identity(machine.graph)["devices"].keys()  # type: ignore[union-attr, operator]
    del image.records["board.crtc"], image.records["board.fw-cfg"]
    write_snapshot(tmp_path / "early", image)

    restored = Machine.restore(machine.graph, open_snapshot(tmp_path / "early"))

    assert restored.records()["board.crtc"].index == 0  # type: ignore[attr-defined]
