# SPDX-License-Identifier: BSD-2-Clause
"""Guests that Debian packages and that are not its amd64 kernel: what appears on the console.

docs/guests.md has the same as a table, and what each needs. memtest86+ has a file of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.assembler import link
from support.debian import installer, package
from support.initramfs import initramfs
from support.vmmgr import Vmmgr

pytestmark = pytest.mark.guest

MACHINE = """
schema = 1
name = "guest"
[cpu]
model = "{model}"
[memory]
size = "{memory}"
[clock]
mode = "virtual"
[boot]
{boot}
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[lpc.com1]
backend = "stdio"
"""
SHELL = r"/ # (\x1b\[6n)?$"
U_BOOT = "usr/lib/u-boot/{}/u-boot.rom"
TASK = """
    push 0x2d
    .byte 0x9a, 0, 0, 0, 0, 7, 0    # a far call of Mach's gate
1:  jmp 1b
"""
TASK_BASE = 0x8048000


class Console:
    """Runs a guest on a machine of its own, by what appears and what is typed then."""

    def __init__(self, vmmgr: Vmmgr, folder: Path) -> None:
        self._vmmgr = vmmgr
        self.folder = folder

    def __call__(self, boot: str, *script: str, memory: str = "128M", model: str = "qemu64") -> str:
        """What COM1 got, as lines that end with a line feed; `script` is until, send, until ..."""
        file = self.folder / "guest.toml"
        file.write_text(MACHINE.format(boot=boot, memory=memory, model=model))
        words = [
            word
            for number, step in enumerate(script)
            for word in ("--send" if number % 2 else "--until", step)
        ]
        return self._vmmgr("run", file, *words, "--max-time", "30s", timeout=300).stdout.replace(
            "\r", ""
        )


@pytest.fixture
def console(vmmgr: Vmmgr, tmp_path: Path) -> Console:
    return Console(vmmgr, tmp_path)


def found(folder: Path, pattern: str) -> Path:
    """The one file there that matches; versions are in their names."""
    (path,) = folder.glob(pattern)
    return path


@pytest.mark.parametrize(
    ("board", "compiler"), [("qemu-x86", "i686-linux-gnu"), ("qemu-x86_64", "x86_64-linux-gnu")]
)
def test_u_boot_answers_at_its_prompt(console: Console, board: str, compiler: str) -> None:
    rom = package("u-boot-qemu", only=U_BOOT.format(board)) / U_BOOT.format(board)
    prompt = "=> $"

    said = console(
        f'firmware = "{rom}"',
        "Hit any key to stop autoboot", " ",
        prompt, r"version\r",
        prompt, r"bdinfo\r",
        prompt, r"mw.l 1000000 600df00d 2; md.l 1000000 2\r",
        prompt,
    )  # fmt: skip

    assert ("U-Boot SPL" in said) == (board == "qemu-x86_64")
    assert "DRAM:  128 MiB" in said
    assert f"=> version\nU-Boot 20{said.split('U-Boot 20')[1][:5]}" in said
    assert f"\n{compiler}-gcc" in said
    assert re.search(r"^-> size +=.0x0*8000000$", said, re.MULTILINE)
    assert re.search(r"^01000000: 600df00d 600df00d", said, re.MULTILINE)


def test_xen_starts_linux_as_dom0_to_a_shell(console: Console) -> None:
    xen = found(package("xen-system-amd64", only="boot") / "boot", "xen-*-amd64.gz")
    kernel, initrd = installer("amd64") / "linux", initramfs(console.folder)

    said = console(
        f"""kernel = "{xen}"
        cmdline = "com1=115200,8n1 console=com1 dom0_mem=256M no-real-mode"
        modules = ["{kernel} console=hvc0", "{initrd}"]""",
        SHELL, r"cat /sys/hypervisor/type; grep hvc_console /proc/interrupts\n",
        SHELL,
        memory="400M",
    )  # fmt: skip

    assert "(XEN) Xen version 4." in said
    assert "(XEN) ENABLING IO-APIC IRQs" in said
    assert re.search(r"^\(XEN\) System RAM: 399MB", said, re.MULTILINE)
    assert "Hypervisor detected: Xen PV" in said
    assert "\nxen\n" in said
    assert int(re.search(r"^ *\d+: +(\d+) +xen-dyn.*hvc_console", said, re.MULTILINE)[1]) > 0


def test_ipxe_answers_at_its_command_line(console: Console) -> None:
    kernel = package("ipxe", only="boot") / "boot" / "ipxe.lkrn"
    firmware = package("seabios") / "usr/share/seabios/bios-256k.bin"
    prompt = "iPXE> $"

    said = console(
        f'firmware = "{firmware}"\nkernel = "{kernel}"',
        "Press Ctrl-B", r"\x02",
        prompt, r"show version\r",
        prompt, r"set x 2a\r",  # what is typed goes through the BIOS's buffer of 15 keys
        prompt, r"echo 0x${x}\r",
        prompt,
    )  # fmt: skip

    assert "iPXE initialising devices...ok" in said
    assert "Open Source Network Boot Firmware" in said
    assert re.search(r"^builtin/version:string = \d", said, re.MULTILINE)
    assert "\n0x2a\n" in said


def test_gnumach_loads_a_task_from_a_module(console: Console) -> None:
    kernel = found(package("gnumach-image-1-486", only="boot") / "boot", "gnumach-*.gz")
    task = console.folder / "task"
    task.write_bytes(link(TASK, TASK_BASE))

    said = console(
        f"""kernel = "{kernel}"
        cmdline = "console=com0"
        modules = ['{task} ours $(task-create) $(task-resume)']""",
        r"start task: .*\n",
    )

    assert said.startswith("GNU Mach 1.")
    assert "biosmem: 000000000000100000:000000000008000000, available" in said
    assert "module 0: task ours $(task-create) $(task-resume)" in said
    assert "task loaded: task ours" in said


@pytest.mark.parametrize(
    ("flavour", "model"),
    [("686", "pentium2"), ("686-pae", "qemu64")],
)
def test_linux_for_i386_gets_to_a_shell(console: Console, flavour: str, model: str) -> None:
    archive = package(f"linux-image-{flavour}", only="boot", architecture="i386")
    kernel = found(archive / "boot", "vmlinuz-*")
    initrd = initramfs(console.folder, architecture="i386")

    said = console(
        f"""kernel = "{kernel}"
        initrd = "{initrd}"
        cmdline = "console=ttyS0 quiet" """,
        SHELL, r"uname -rm; grep -m1 flags /proc/cpuinfo; grep ttyS0 /proc/interrupts\n",
        SHELL,
        model=model,
    )  # fmt: skip

    assert re.search(rf"^6\.\d.*-{flavour} i686$", said, re.MULTILINE)
    assert int(re.search(r"^ *4: +(\d+) .*ttyS0", said, re.MULTILINE)[1]) > 0
    flags = re.search(r"^flags.*: (.*)$", said, re.MULTILINE)[1].split()
    assert ("lm" in flags) == (model == "qemu64")
    assert ("tsc_deadline_timer" in flags) == (model != "pentium2")


def test_debian_installer_shows_its_first_dialog(console: Console) -> None:
    # Longer than the others, by what it unpacks: over 100 MB.
    images = installer("amd64")

    said = console(
        f"""kernel = "{images / "linux"}"
        initrd = "{images / "initrd.gz"}"
        cmdline = "console=ttyS0 quiet" """,
        "<Go Back>",
        memory="1G",
    )

    assert "[!!] Select a language" in said
    assert "Choose the language to be used for the installation process" in said
