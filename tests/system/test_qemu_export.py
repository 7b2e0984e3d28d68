# SPDX-License-Identifier: BSD-2-Clause
"""What is exported for QEMU starts under QEMU, with the same console output, or is listed."""

from __future__ import annotations

import gzip
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from support.assembler import link
from support.debian import package
from support.needs import needs
from support.vmmgr import ROOT, Vmmgr

from manager.config.json_schema import machine_schema
from manager.interop.to_qemu import _CPUS, _GONE

pytestmark = needs("qemu-system-x86_64")

QEMU = "qemu-system-x86_64"
PRINTER = """
putc:
    mov edx, 0x3f8
    out dx, al
    ret
print:
    lodsb
    test al, al
    jz 1f
    call putc
    jmp print
1:  ret
end:
    mov al, 7
    out 0xf4, al
    cli
    hlt
hello: .asciz "hello from "
    .data
    .space 64
"""
MULTIBOOT = (
    """
    .align 4
    .long 0x1badb002, 3, -(0x1badb002 + 3)
_start:
    mov esp, 0x90000
    mov ebp, ebx
    lea esi, [hello]
    call print
    mov eax, [ebp + 24]
    mov esi, [eax]
    call print
    jmp end
"""
    + PRINTER
)
"""Prints the content of its first module."""
PVH = (
    """
    .pushsection .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long pvh
    .popsection
    .globl _start
    .set _start, 0xffffff00
pvh:
    mov esp, 0x90000
    mov ebp, ebx
    lea esi, [hello]
    call print
    mov esi, [ebp + 24]
    call print
    jmp end
"""
    + PRINTER
)
"""Prints its command line."""
MACHINE = """
schema = 1
name = "it"
[memory]
size = "64M"
[boot]
{boot}
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "stdio"
[lpc.debug-exit]
"""
BOOT_MULTIBOOT = 'kernel = "kernel"\nmodules = ["module.txt"]'


def machine(folder: Path, boot: str = BOOT_MULTIBOOT, more: str = "", memory: str = "64M") -> Path:
    (folder / "module.txt").write_bytes(b"a module\n\0")
    file = folder / "it.toml"
    file.write_text(MACHINE.format(boot=boot).replace("64M", memory) + more)
    return file


def exported(vmmgr: Vmmgr, file: Path) -> tuple[list[str], str]:
    """The words of the command line, and what it is said not to express."""
    result = vmmgr("export", file, "--to", "qemu")
    return shlex.split(result.stdout, comments=True), result.stderr


def both(vmmgr: Vmmgr, file: Path) -> tuple[bytes, bytes]:
    """What the guest says here and there; it ends with the same status."""
    here = subprocess.run(
        [sys.executable, "-m", "manager", "run", file],
        env=vmmgr.env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    words, _ = exported(vmmgr, file)
    there = subprocess.run(
        words,
        cwd=file.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert here.returncode == there.returncode == 15, (here.stderr, there.stderr)
    return here.stdout, there.stdout


def test_multiboot_kernel_and_its_module(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(link(MULTIBOOT, 0x100000))

    here, there = both(vmmgr, machine(tmp_path))

    assert here == there == b"hello from a module\n"


def test_pvh_kernel(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(link(PVH, 0x100000))

    here, there = both(
        vmmgr, machine(tmp_path, 'kernel = "kernel"\ncmdline = "it\'s a \\"line\\""')
    )

    assert here == there == b'hello from it\'s a "line"'


EVERYTHING = """
[cpu]
count = 2
[clock]
mode = "virtual"
[gdb]
listen = "./gdb,1.sock"
[disks.one]
image = "raw.img"
[disks.two]
image = "raw.img"
mode = "read-only"
[disks.three]
size = "1M"
[disks.four]
image = "raw.img"
mode = "read-only"
[slots.1]
device = "uart"
backend = "null"
["slots"."1.1"]
device = "ide"
primary-master = "one"
secondary-slave = { disk = "two", type = "cdrom" }
[slots.4]
device = "uart"
backend = { type = "file", path = "a, b" }
[slots."4.1"]
device = "uart"
backend = { type = "tcp", connect = "127.0.0.1:9" }
[slots.5]
device = "virtio-blk"
disk = "three"
[slots.6]
device = "nvme"
disk = "four"
[slots.7]
device = "virtio-rng"
[slots.8]
device = "virtio-net"
[slots.9]
device = "e1000"
[slots.10]
device = "ne2k"
[lpc.com2]
backend = { type = "unix", connect = "nobody.sock" }
[lpc.com3]
backend = { type = "pty", path = "terminal" }
[lpc.com4]
backend = { type = "pipe", path = "cable" }
"""


def test_machine_with_everything_starts(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(link(MULTIBOOT, 0x100000))
    (tmp_path / "raw.img").write_bytes(bytes(1 << 20))
    file = machine(tmp_path, more=EVERYTHING)

    _, said = exported(vmmgr, file)
    here, there = both(vmmgr, file)

    assert here == b"hello from a module\n"
    assert here in there.replace(b"\r", b"")  # QEMU says where its terminal is
    for what in ("slots.1:", "disks.one:", "slots.7.seed", "lpc.com3", "lpc.com4"):
        assert f"not expressed: {what}" in said


def test_firmware_talks_on_com1(vmmgr: Vmmgr, tmp_path: Path) -> None:
    firmware = package("seabios") / "usr/share/seabios/bios-256k.bin"
    file = machine(tmp_path, f'firmware = "{firmware}"')
    words, _ = exported(vmmgr, file)

    here = vmmgr.terminal("run", file, "--until", "No bootable device", "--max-time", "20s")
    there = pexpect.spawn(words[0], words[1:], cwd=str(tmp_path), timeout=60, encoding="latin-1")

    for side in (here, there):
        side.expect("SeaBIOS .version")
        side.expect("No bootable device")
        side.close(force=True)


def test_uefi_starts_from_flash(vmmgr: Vmmgr, tmp_path: Path) -> None:
    firmware = package("ovmf") / "usr/share/ovmf/OVMF.fd"
    words, _ = exported(vmmgr, machine(tmp_path, f'firmware = "{firmware}"', memory="128M"))

    qemu = pexpect.spawn(words[0], words[1:], cwd=str(tmp_path), timeout=100, encoding="latin-1")

    qemu.expect("BdsDxe: ")
    qemu.close(force=True)


def test_uefi_finds_its_variables_in_a_chip_of_their_own(vmmgr: Vmmgr, tmp_path: Path) -> None:
    folder = package("ovmf") / "usr/share/OVMF"
    variables = tmp_path / "my,vars.fd"
    content = (folder / "OVMF_VARS_4M.fd").read_bytes()
    variables.write_bytes(content)
    boot = f'firmware = "{folder}/OVMF_CODE_4M.fd"\nvariables = "{variables}"'
    words, listed = exported(vmmgr, machine(tmp_path, boot, memory="128M"))
    chips = [word for word in words if "if=pflash" in word]

    assert len(chips) == 2
    assert not any("firmware-variables" in word for word in words)
    assert "boot.variables: QEMU begins with those of the file" in listed
    words = [word.replace(",snapshot=on", "") if ",,vars" in word else word for word in words]
    qemu = pexpect.spawn(words[0], words[1:], cwd=str(tmp_path), timeout=100, encoding="latin-1")
    qemu.expect("any other key")
    qemu.close(force=True)
    assert variables.read_bytes() != content  # the firmware has written its own there


@pytest.mark.usefixtures("linux")
def test_linux_comes_to_its_shell(vmmgr: Vmmgr) -> None:
    words, _ = exported(vmmgr, ROOT / "machines/linux.toml")

    qemu = pexpect.spawn(words[0], words[1:], timeout=150, encoding="latin-1")

    qemu.expect("/ # ")
    qemu.sendline("echo $((6*7)); poweroff -f")
    qemu.expect("\r\n42\r")
    qemu.expect(pexpect.EOF)


def test_all_cpu_models_are_known_to_it() -> None:
    said = subprocess.run([QEMU, "-cpu", "help"], capture_output=True, text=True, check=True)

    schema = json.loads(json.dumps(machine_schema()))
    for model in schema["properties"]["cpu"]["properties"]["model"]["enum"]:
        assert f"x86 {_GONE.get(model, _CPUS.get(model, model))} " in said.stdout


LISTED = {
    "multiboot 2": ('kernel = "mb2"', "64M", "QEMU has no multiboot 2"),
    "a flat image": ('image = "x"\nload = 0x7c00\nentry = 0x7c00\nbits = 16', "64M", "boot.entry"),
    "a packed kernel": ('kernel = "packed"\nmodules = ["module.txt"]', "64M", "ELF files of 32"),
    "no kernel": ('kernel = "nothing"', "64M", "it is no kernel"),
    "too little memory": (BOOT_MULTIBOOT, "1M", "QEMU's firmware needs 2M"),
}


@pytest.mark.parametrize("kind", LISTED)
def test_what_does_not_start_is_listed(kind: str, vmmgr: Vmmgr, tmp_path: Path) -> None:
    boot, memory, words = LISTED[kind]
    kernel = link(MULTIBOOT, 0x100000)
    (tmp_path / "kernel").write_bytes(kernel)
    (tmp_path / "packed").write_bytes(gzip.compress(kernel))
    (tmp_path / "mb2").write_bytes(link(MULTIBOOT2, 0x100000))
    for name in ("nothing", "x"):
        (tmp_path / name).write_bytes(bytes(1000))

    _, said = exported(vmmgr, machine(tmp_path, boot, memory=memory))

    assert words in said


MULTIBOOT2 = """
    .align 8
1:  .long 0xe85250d6, 0, 24, -(0xe85250d6 + 24)
    .word 0, 0
    .long 8
_start: hlt
"""
