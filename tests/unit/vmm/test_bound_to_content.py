# SPDX-License-Identifier: BSD-2-Clause
"""A suspended state, and a machine of the ready cache, go on with the content they began with.

Every file that decides what a guest meets is changed, one at a time: no resume, no cached machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from support.assembler import assemble, link
from support.bzimage import bzimage
from support.own_counter import COUNTER

from manager.cli.main import main

pytestmark = [pytest.mark.guest, pytest.mark.usefixtures("demo")]

ROM = 64 << 10
SAY_OK = "\n".join(
    ["mov dx, 0x3f8", *(f"mov al, {byte}\nout dx, al" for byte in b"ok."), "1: jmp 1b"]
)
"""In 16 and 32 bits."""
MULTIBOOT = ".balign 4\n.long 0x1BADB002, 0, -0x1BADB002\n_start:\n"
MACHINE = """
schema = 1
[clock]
mode = "virtual"
[memory]
size = "16M"
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
[ready]
port = "com1"
wait-for = "ok[.]"
cache = true
"""
DEVICES = """
[lpc.counter]
device = "./counter.py:CounterNode"
[slots.3]
device = "virtio-blk"
disk = "raw"
[slots.4]
device = "virtio-blk"
disk = "tree"
[disks.raw]
image = "raw.img"
[disks.tree]
folder = "tree"
format = "fat"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
"""


class Case(NamedTuple):
    """A way to make a machine."""

    machine: str
    files: dict[str, bytes]
    told: dict[str, str]
    """For each of its files, what a refused resume calls it."""
    has_disks: bool = False


def linux() -> Case:
    files = {
        "vmlinuz": bzimage(assemble(SAY_OK, 0x100000, 32), payload=b"\0"),
        "initrd": bytes(5000),
    }
    told = {"vmlinuz": "boot.kernel", "initrd": "boot.initrd"}
    return Case('[boot]\nkernel = "vmlinuz"\ninitrd = "initrd"\n', files, told)


def multiboot() -> Case:
    kernel = link(MULTIBOOT + SAY_OK, 0x100000) + b"\0"
    boot = '[boot]\nkernel = "kernel"\nmodules = ["one some words", "two"]\n'
    told = {"kernel": "boot.kernel", "one": "boot.modules.0", "two": "boot.modules.1"}
    return Case(boot, {"kernel": kernel, "one": b"1" * 99, "two": b"2" * 99}, told)


def firmware() -> Case:
    code = assemble(SAY_OK, 0x0, 16)
    start = b"\xe9" + (-(16 + 3) - 0xE0 & 0xFFFF).to_bytes(2, "little")
    rom = (bytes(ROM - 16 - 0xE0) + code).ljust(ROM - 16, b"\0") + start.ljust(16, b"\0")
    files = {"rom": rom, "vars": bytes(8192), "vmlinuz": bzimage(b"\xf4"), "initrd": bytes(600)}
    boot = "\n".join(["[boot]", *(f'{key} = "{name}"' for key, name in FIRMWARE_KEYS.items()), ""])
    told = {name: f"boot.{key}" for key, name in FIRMWARE_KEYS.items()}
    return Case(boot, files, told, has_disks=True)


FIRMWARE_KEYS = {"firmware": "rom", "variables": "vars", "kernel": "vmlinuz", "initrd": "initrd"}


def image_disks_and_device() -> Case:
    files = {
        "guest.bin": assemble(SAY_OK, 0x7C00, 16) + b"\0",
        "raw.img": bytes(1 << 20),
        "tree/a/file": b"content",
        "counter.py": COUNTER.encode(),
    }
    told = {
        "guest.bin": "boot.image",
        "raw.img": 'disk "raw"',
        "tree/a/file": 'disk "tree"',
        "counter.py": "code",
    }
    return Case(DEVICES, files, told, has_disks=True)


@pytest.fixture(params=[linux, multiboot, firmware, image_disks_and_device])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    make: Callable[[], Case] = request.param
    case = make()
    for name, content in case.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "demo.toml").write_text(MACHINE + case.machine)
    return case


def change(path: Path) -> None:
    """Another content of the same size, at the same time by the file's own account."""
    content, times = bytearray(path.read_bytes()), path.stat()
    content[-1] ^= 1 if path.suffix != ".py" else ord("\n") ^ ord(" ")
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_state_is_resumed_with_the_same_content_alone(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, case: Case
) -> None:
    machine = str(tmp_path / "demo.toml")
    assert main(["up", machine, "-d"]) == 0
    assert main(["suspend", "demo"]) == 0
    assert case.told.keys() == case.files.keys()

    for name, told in case.told.items():
        change(tmp_path / name)
        for verb in ("resume", "up"):
            capfd.readouterr()
            assert main([verb, machine, "-d"]) == 5
            assert told in capfd.readouterr().err
        (tmp_path / name).write_bytes(case.files[name])

    assert main(["resume", machine, "-d"]) == 0


def test_the_ready_cache_gives_a_machine_for_the_same_content_alone(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, case: Case
) -> None:
    machine = str(tmp_path / "demo.toml")

    def is_cached() -> bool:
        capfd.readouterr()
        assert main(["up", machine, "-d"]) == 0
        assert main(["down", "demo"]) == 0
        if case.has_disks:
            assert main(["disk", "reset", "demo"]) == 0
        return "taken from the ready cache" in capfd.readouterr().err

    assert not is_cached()
    assert is_cached()
    for name in case.files:
        change(tmp_path / name)
        assert not is_cached(), name
        (tmp_path / name).write_bytes(case.files[name])
    assert is_cached()
