# SPDX-License-Identifier: BSD-2-Clause
"""Firmware on the network: OVMF finds the card, and what it starts from there.

With `VMMGR_THOROUGH=1`, minutes long: Debian's iPXE gets an address by DHCP and a kernel by TFTP
from a Linux machine on its lab's link, which runs Debian's dnsmasq.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from support.assembler import link
from support.debian import package
from support.modules import DIRECTORY, FILE, Entry, archive, cloud, write_initrd
from support.needs import needs
from support.programs import with_libraries
from support.vmmgr import Vmmgr

pytestmark = pytest.mark.guest

THOROUGH = os.environ.get("VMMGR_THOROUGH") == "1"

SERVER = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/sbin
mount -t proc proc /proc; mount -t devtmpfs dev /dev; mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
{load}
ip addr add 10.0.0.1/24 dev eth0; ip addr add fd00::1/64 dev eth0; ip link set eth0 up
exec dnsmasq --conf-file=/dev/null --keep-in-foreground --log-facility=- --user=root --port=0 \
    --pid-file= --dhcp-leasefile=/leases --no-ping \
    --dhcp-range=10.0.0.50,10.0.0.60,1h --dhcp-range=fd00::,ra-only --enable-tftp \
    --tftp-root=/tftp --dhcp-match=set:ipxe,175 --dhcp-boot=tag:!ipxe,ipxe.efi \
    --dhcp-boot=tag:ipxe,kernel
"""
"""Firmware is told to start iPXE, which says of itself who it is (DHCP option 175)."""
MACHINE = """
schema = 1
[memory]
size = "256M"
[clock]
mode = "virtual"
[boot]
{boot}
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.6]
device = "virtio-net"
network = "lan"
[lpc.com1]
backend = "stdio"
"""
READY = """
[ready]
port = "com1"
wait-for = "{pattern}"
timeout = "600s"
"""
LAB = """
schema = 1
[machines.client]
file = "client.toml"
[machines.server]
file = "server.toml"
[links.lan]
latency = "1ms"
"""
TEXT = "this kernel came over the wire"
MULTIBOOT = f"""
    .align 4
    .long 0x1badb002, 0, -0x1badb002
_start:
    mov esp, 0x90000
    lea esi, [text]
    mov edx, 0x3f8
1:  lodsb
    out dx, al
    test al, al
    jnz 1b
2:  hlt
    jmp 2b
text: .asciz "{TEXT}\\n"
"""
APPLICATION = f"""
    .intel_syntax noprefix
    .globl _start
_start:
    lea rsi, text[rip]
    mov edx, 0x3f8
1:  lodsb
    out dx, al
    test al, al
    jnz 1b
    cli
2:  hlt
    jmp 2b
text: .asciz "{TEXT}\\n"
"""


def efi_application() -> bytes:
    """A program for UEFI that says TEXT."""
    with tempfile.TemporaryDirectory() as folder:
        source, unlinked, program = (Path(folder) / name for name in ("a.s", "a.o", "a.efi"))
        source.write_text(APPLICATION)
        subprocess.run(["as", "--64", "-o", unlinked, source], check=True)
        form = ("-m", "i386pep", "--subsystem", "10", "--image-base", "0x1000000")
        subprocess.run(["ld", *form, "-o", program, unlinked], check=True)
        return program.read_bytes()


def seabios_and_ipxe() -> str:
    firmware = package("seabios") / "usr/share/seabios/bios-256k.bin"
    return f'firmware = "{firmware}"\nkernel = "{ipxe() / "ipxe.lkrn"}"'


def ovmf() -> str:
    return f'firmware = "{package("ovmf") / "usr/share/ovmf/OVMF.fd"}"'


def ipxe() -> Path:
    return package("ipxe", only="boot") / "boot"


def write_server(folder: Path, kernel: bytes) -> None:
    """A Linux machine that gives out addresses, iPXE for UEFI, and a kernel."""
    initrd = folder / "server.img"
    loaded = write_initrd(initrd, cloud(), "virtio_pci", "virtio_net")
    load = "; ".join(f"insmod /mods/{name}.ko" for name in loaded)
    entries = [
        *with_libraries("dnsmasq"),
        Entry("etc", DIRECTORY),
        Entry("etc/passwd", FILE, b"root:x:0:0::/:/bin/sh\n"),
        Entry("tftp", DIRECTORY),
        Entry("tftp/ipxe.efi", FILE, (ipxe() / "ipxe.efi").read_bytes()),
        Entry("tftp/kernel", FILE, kernel),
        Entry("auto", FILE | 0o111, SERVER.format(load=load).encode()),
    ]
    packed = initrd.read_bytes()
    # Linux takes an archive that is not compressed where a word begins.
    initrd.write_bytes(packed + bytes(-len(packed) % 4) + archive(entries))
    boot = f'kernel = "{cloud().image}"\ninitrd = "server.img"\n'
    boot += 'cmdline = "console=ttyS0 quiet rdinit=/auto"'
    machine = MACHINE.format(boot=boot) + READY.format(pattern="TFTP root is /tftp")
    (folder / "server.toml").write_text(machine)


def test_ovmf_finds_the_card(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = tmp_path / "client.toml"
    file.write_text(MACHINE.format(boot=ovmf()))

    vmmgr("run", file, "--until", "Start PXE over IPv4")


if THOROUGH:

    @needs("dnsmasq")
    @pytest.mark.parametrize("firmware", ["seabios", "ovmf"])
    def test_ipxe_boots_what_a_machine_serves(vmmgr: Vmmgr, tmp_path: Path, firmware: str) -> None:
        is_bios = firmware == "seabios"
        write_server(tmp_path, link(MULTIBOOT, 0x100000) if is_bios else efi_application())
        boot = seabios_and_ipxe() if is_bios else ovmf()
        client = MACHINE.format(boot=boot) + READY.format(pattern=TEXT)
        (tmp_path / "client.toml").write_text(client)
        (tmp_path / "boot.toml").write_text(LAB)

        vmmgr("up", tmp_path / "boot.toml", "-d", timeout=900)

        assert "tftp://10.0.0.1/kernel... ok" in vmmgr("logs", "boot/client").stdout
        served = vmmgr("logs", "boot/server").stdout
        assert "sent /tftp/kernel to 10.0.0.5" in served
        assert ("sent /tftp/ipxe.efi to 10.0.0.5" in served) != is_bios
        vmmgr("down", "boot")
