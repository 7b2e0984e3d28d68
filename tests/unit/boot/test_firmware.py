# SPDX-License-Identifier: BSD-2-Clause
"""Firmware at the reset vector, and what fw_cfg tells it: with a ROM of our own."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from support.assembler import assemble
from support.needs import needs

from manager.boot import firmware, table_loader
from manager.boot.errors import BootImageError
from manager.bus.memory import Memory
from manager.config.diagnostics import ConfigError
from manager.graph.build import load_graph
from manager.graph.identity import from_plain, identity_hash, to_plain
from manager.graph.nodes import FirmwareBoot, Graph
from manager.machine.machine import Machine

MIB = 1 << 20
PAGE_BASE = 0xF000
"""A ROM of one page appears at this offset of the segment that the CPU starts in."""
RESET_VECTOR = 0xFFF0
BOARD = """
[memory]
size = "64M"
[clock]
mode = "virtual"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.4]
device = "uart"
[lpc.com1]
"""


def rom(source: str) -> bytes:
    """One page that starts with `source` and ends with a jump there."""
    code = assemble(source, PAGE_BASE, 16).ljust(RESET_VECTOR - PAGE_BASE, b"\0")
    distance = PAGE_BASE - (RESET_VECTOR + 3)
    return (code + b"\xe9" + struct.pack("<h", distance)).ljust(4096, b"\0")


@pytest.fixture
def graph(tmp_path: Path):
    def make(content: bytes, boot: str = "", board: str = BOARD) -> Graph:
        (tmp_path / "rom.bin").write_bytes(content)
        file = tmp_path / "demo.toml"
        file.write_text(f'[boot]\nfirmware = "rom.bin"\n{boot}{board}')
        return load_graph(file)

    return make


def bzimage(setup_code: str) -> bytes:
    """A bzImage whose real-mode part runs `setup_code`, and a kernel of eight bytes."""
    jump = b"\xeb\x66"  # over the header, to 268h
    setup = bytearray(1024)
    struct.pack_into("<B", setup, 0x1F1, 1)
    struct.pack_into("<H2s4sH", setup, 0x1FE, 0xAA55, jump, b"HdrS", 0x20F)
    setup[0x211] = 1
    code = assemble(setup_code, 0x268, 16)
    setup[0x268 : 0x268 + len(code)] = code
    return bytes(setup) + b"kernel.."


def efi_application() -> bytes:
    """A file with the two signatures of one, and nothing else."""
    image = bytearray(1024)
    image[:2] = b"MZ"
    struct.pack_into("<I", image, 0x3C, 0x80)
    image[0x80:0x84] = b"PE\0\0"
    return bytes(image)


def item(items: dict[int, bytes | memoryview], size_key: int, key: int) -> bytes:
    """An item's content, which is as long as the item with its size tells."""
    content = bytes(items[key])
    assert items[size_key] == struct.pack("<I", len(content))
    return content


SAY = "mov dx, 0x402\nout dx, al\n"


def test_cpu_starts_at_the_reset_vector_and_a_reset_starts_it_there_again(graph) -> None:
    code = f"""
        mov ax, 0xf000
        mov ds, ax
        mov al, cs:[mark]
        cmp al, ds:[mark]       # the copy under 1 MiB
        jne bad
        {SAY}
        mov byte ptr ds:[mark], 'x'
        mov al, 6
        mov dx, 0xcf9
        out dx, al
        jmp .
    bad: mov al, '!'
        {SAY}
        hlt
    mark: .byte 'm'
    """
    machine = Machine.power_on(graph(rom(code)))

    machine.run(5_000_000)

    said = machine.ports["board.debug"].take_output()
    assert said.startswith(b"mmm")
    assert set(said) == set(b"m")


def test_pci_functions_wait_for_firmware_to_place_them(graph) -> None:
    code = f"""
        mov eax, 0x80002004     # slot 4, command and status
        call read
        {SAY}
        mov eax, 0x80002010     # BAR 0
        call read
        {SAY}
        mov al, ah
        {SAY}
        hlt
    read: mov dx, 0xcf8
        out dx, eax
        add dx, 4
        in eax, dx
        ret
    """
    machine = Machine.power_on(graph(rom(f"xor sp, sp\nmov sp, 0x1000\n{code}")))

    machine.run(1_000_000)

    assert machine.ports["board.debug"].take_output() == b"\x00\x01\x00"


CALL_OPTION_ROM = """
        mov ax, 0xc800
        mov es, ax
        mov sp, 0x1000
        mov bx, es:[0x1a]       # the Plug and Play header
        mov ax, es:[bx + 0x1a]  # its boot entry vector
        push es
        push ax
        retf
"""


def test_option_rom_boots_the_kernel_that_fw_cfg_holds(graph, tmp_path: Path) -> None:
    setup = f"""
        mov al, 'K'
        {SAY}
        mov eax, [0x228]        # the command line
        shr eax, 4
        mov es, ax
        xor di, di
    next: mov al, es:[di]
        {SAY}
        inc di
        test al, al
        jnz next
        mov ax, ss
        mov cx, ds
        cmp ax, cx
        jne done
        mov al, '='
        {SAY}
    done: hlt
    """
    kernel = bzimage(setup)
    (tmp_path / "vmlinuz").write_bytes(kernel)
    (tmp_path / "initrd").write_bytes(b"initrd")
    boot = 'kernel = "vmlinuz"\ninitrd = "initrd"\ncmdline = "quiet"\n'
    machine = Machine.power_on(graph(rom(CALL_OPTION_ROM), boot))
    machine.memory.write(0xC8000, firmware.linux_rom())

    machine.run(10_000_000)

    assert machine.ports["board.debug"].take_output() == b"Kquiet\0="
    assert machine.memory.read(0x100000, 8) == b"kernel.."
    at, length = struct.unpack("<II", machine.memory.read(0x10000 + 0x218, 8))
    assert machine.memory.read(at, length) == b"initrd"


def test_efi_application_is_handed_over_whole_and_offered_to_no_bios(graph, tmp_path: Path) -> None:
    application = efi_application()
    (tmp_path / "app.efi").write_bytes(application)
    (tmp_path / "initrd").write_bytes(b"initrd")
    boot = 'kernel = "app.efi"\ninitrd = "initrd"\ncmdline = "quiet"\n'
    made = graph(bytes(4096), boot)

    found = firmware.items(made, Memory.blank(made.memory_size))

    assert item(found, firmware.KERNEL_SIZE, firmware.KERNEL) == application
    assert item(found, firmware.SETUP_SIZE, firmware.SETUP) == b""
    assert item(found, firmware.INITRD_SIZE, firmware.INITRD) == b"initrd"
    assert item(found, firmware.CMDLINE_SIZE, firmware.CMDLINE) == b"quiet\0"
    assert not {firmware.LINUX_ROM_NAME, "bootorder"} & set(files(made))


def test_file_that_only_begins_like_an_efi_application_is_refused(graph, tmp_path: Path) -> None:
    (tmp_path / "app.exe").write_bytes(b"MZ" + bytes(2000))

    with pytest.raises(BootImageError, match="neither a Linux bzImage nor an EFI"):
        Machine.power_on(graph(bytes(4096), 'kernel = "app.exe"\n'))


def test_kernel_of_an_old_boot_protocol_has_code_where_newer_ones_have_fields(
    graph, tmp_path: Path
) -> None:
    kernel = bytearray(bzimage("hlt"))
    struct.pack_into("<H", kernel, 0x206, 0x203)
    kernel[0x258:0x264] = b"\xff" * 12
    (tmp_path / "vmlinuz").write_bytes(kernel)
    made = graph(bytes(4096), 'kernel = "vmlinuz"\n')

    found = firmware.items(made, Memory.blank(made.memory_size))

    assert item(found, firmware.KERNEL_SIZE, firmware.KERNEL) == b"kernel.."


def test_option_rom_is_one_for_a_bios() -> None:
    image = firmware.linux_rom()
    pnp = image.index(b"$PnP")

    assert image[:2] == b"\x55\xaa"
    assert image[2] * 512 == len(image)
    assert sum(image) & 0xFF == 0
    assert struct.unpack_from("<H", image, 0x1A) == (pnp,)
    assert sum(image[pnp : pnp + 16 * image[pnp + 5]]) & 0xFF == 0


@needs("as", "ld")
def test_option_rom_is_the_one_in_the_source(tmp_path: Path) -> None:
    source = firmware.LINUX_ROM.with_suffix(".S")
    built = tmp_path / "linux_rom.bin"

    subprocess.run(["as", "--32", "-o", tmp_path / "o", source], check=True)
    link = ["ld", "-m", "elf_i386", "--oformat=binary", "-Ttext=0", "-o", built, tmp_path / "o"]
    subprocess.run(link, check=True)

    assert built.read_bytes() == firmware.LINUX_ROM.read_bytes(), (
        "build manager/boot/linux_rom.bin as this test does, and commit it"
    )


def files(graph: Graph) -> dict[str, bytes]:
    """The files in fw_cfg, found by their directory."""
    assert isinstance(graph.boot, FirmwareBoot)
    items = firmware.items(graph, Memory.blank(graph.memory_size))
    directory = bytes(items[firmware.DIRECTORY])
    (count,) = struct.unpack_from(">I", directory)
    assert len(directory) == 4 + 64 * count
    found = {}
    for size, key, _, name in struct.iter_unpack(">IHH56s", directory[4:]):
        assert len(items[key]) == size
        found[name.rstrip(b"\0").decode()] = bytes(items[key])
    return found


def test_firmware_is_told_of_ram_and_of_the_console(graph) -> None:
    told = files(graph(bytes(4096)))

    assert struct.unpack("<QQI", told["etc/e820"]) == (0, 64 * MIB, 1)
    assert struct.unpack("<Q", told["etc/sercon-port"]) == (0x3F8,)
    assert "bootorder" not in told


def test_firmware_is_told_of_ram_above_4_gib(graph) -> None:
    told = files(graph(bytes(4096), board='[memory]\nsize = "5G"\n'))

    entries = list(struct.iter_unpack("<QQI", told["etc/e820"]))
    assert entries == [(0, 3 << 30, 1), (4 << 30, 2 << 30, 1)]
    assert "etc/sercon-port" not in told


@pytest.mark.parametrize("replaces", [False, True], ids=["seabios", "ovmf"])
def test_tables_are_right_wherever_firmware_puts_them(graph, replaces: bool) -> None:
    """The two kinds of firmware differ in what they do to a checksum."""
    told = files(graph(bytes(4096)))
    bases = {table_loader.TABLES: 0x3FF_0000, table_loader.RSDP: 0xF_5000}
    contents = {name: bytearray(told[name]) for name in bases}
    for at in range(0, len(told[table_loader.LOADER]), 128):
        command = told[table_loader.LOADER][at : at + 128]
        (kind,) = struct.unpack_from("<I", command)
        file = contents[command[4:60].rstrip(b"\0").decode()]
        if kind == 2:
            source = command[60:116].rstrip(b"\0").decode()
            where, size = struct.unpack_from("<IB", command, 116)
            value = int.from_bytes(file[where : where + size], "little")
            assert value < len(contents[source])
            file[where : where + size] = (value + bases[source]).to_bytes(size, "little")
        elif kind == 3:
            where, start, length = struct.unpack_from("<III", command, 60)
            total = sum(file[start : start + length])
            file[where] = ((0 if replaces else file[where]) - total) & 0xFF
        else:
            assert kind == 1

    def table(address: int) -> bytes:
        offset = address - bases[table_loader.TABLES]
        (length,) = struct.unpack_from("<I", contents[table_loader.TABLES], offset + 4)
        return bytes(contents[table_loader.TABLES][offset : offset + length])

    rsdp = contents[table_loader.RSDP]
    rsdt, xsdt = struct.unpack_from("<I4xQ", rsdp, 16)
    assert sum(rsdp[:20]) & 0xFF == sum(rsdp) & 0xFF == 0
    listed = [address for (address,) in struct.iter_unpack("<Q", table(xsdt)[36:])]
    assert [address for (address,) in struct.iter_unpack("<I", table(rsdt)[36:])] == listed
    found = {table(address)[:4]: table(address) for address in (rsdt, xsdt, *listed)}
    assert found.keys() == {b"RSDT", b"XSDT", b"FACP", b"APIC"}
    facs, dsdt, x_dsdt = struct.unpack_from("<II96xQ", found[b"FACP"], 36)
    assert table(facs)[:4] == b"FACS"
    assert table(dsdt)[:4] == b"DSDT"
    assert x_dsdt == dsdt
    assert all(sum(each) & 0xFF == 0 for each in (*found.values(), table(dsdt)))


@pytest.mark.parametrize("size", [0, 100, 4097, 17 * MIB])
def test_file_that_is_no_rom_is_refused(graph, size: int) -> None:
    with pytest.raises(BootImageError, match="not a ROM"):
        Machine.power_on(graph(bytes(size)))


def test_kernel_that_firmware_cannot_boot_is_refused(graph, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"\x7fELF" + bytes(2000))

    with pytest.raises(BootImageError, match="neither a Linux bzImage nor an EFI"):
        Machine.power_on(graph(bytes(4096), 'kernel = "vmlinuz"\n'))


def test_kernel_and_initrd_that_do_not_fit_are_refused(graph, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(bzimage("hlt"))
    (tmp_path / "initrd").write_bytes(bytes(60 * MIB))

    with pytest.raises(BootImageError, match="do not fit"):
        Machine.power_on(graph(bytes(4096), 'kernel = "vmlinuz"\ninitrd = "initrd"\n'))


@pytest.mark.parametrize("key", ['initrd = "i"', 'cmdline = "c"', 'protocol = "linux64"'])
def test_what_belongs_to_a_kernel_does_not_go_with_firmware_alone(graph, key: str) -> None:
    with pytest.raises(ConfigError, match="VM032"):
        graph(bytes(4096), f"{key}\n")


def test_graph_with_firmware_and_kernel_survives_being_stored(graph) -> None:
    made = graph(bytes(4096), 'kernel = "vmlinuz"\ncmdline = "quiet"\n')

    assert from_plain(to_plain(made)) == made
    assert identity_hash(made) != identity_hash(graph(bytes(4096)))
