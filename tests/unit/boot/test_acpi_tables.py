# SPDX-License-Identifier: BSD-2-Clause
"""ACPI tables as a guest finds them in RAM, and as ACPICA's compiler and interpreter take them."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.needs import needs
from support.pci_card import plugged

from manager.boot import firmware_tables
from manager.boot.acpi import dsdt, fadt
from manager.bus.clock import Clock
from manager.bus.lines import Wire
from manager.bus.memory import Memory
from manager.devices.acpi_pm import device as acpi_pm
from manager.devices.acpi_pm.device import AcpiPm
from manager.devices.claims import MemoryRange
from manager.devices.lpc import device as lpc
from manager.devices.node import DeviceNode
from manager.devices.reset_control.device import ResetControl
from manager.devices.rtc import calendar as rtc_calendar
from manager.graph.build import load_graph
from manager.graph.nodes import Graph

BOOT = '[boot]\nimage = "a.bin"\nload = 0x8000\nentry = 0x8000\nbits = 32\n'
HOST = '[slots.0]\ndevice = "hostbridge"\n'
UART = 'device = "uart"\n'
LPC = '[slots.31]\ndevice = "lpc"\n'
MACHINES = {
    "bare": BOOT,
    "pci without lpc": BOOT + HOST + f"[slots.4]\n{UART}",
    "one com port": BOOT + HOST + LPC + "[lpc.com1]\n",
    "all com ports": BOOT + HOST + LPC + "".join(f"[lpc.com{n}]\n" for n in (1, 2, 3, 4)),
    "functions": BOOT
    + HOST
    + f"[slots.4]\n{UART}[slots.4.1]\n{UART}[slots.5]\n{UART}[slots.7]\n{UART}"
    + '[slots.2]\ndevice = "lpc"\n[lpc.com2]\n[lpc.debug-exit]\n',
    "legacy": BOOT + HOST + LPC + f'[slots.3]\n{UART}legacy = "com1"\n',
}
needs_acpica = needs("iasl", "acpiexec")
Make = Callable[..., Graph]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(text: str, *overrides: str) -> Graph:
        path = tmp_path / "demo.toml"
        path.write_text(text)
        return load_graph(path, overrides)

    return make


class Found:
    """The tables of a machine, found by way of RSDP and XSDT in its RAM."""

    def __init__(self, graph: Graph) -> None:
        self.memory = Memory.blank(graph.memory_size)
        self.placed = firmware_tables.place(graph, self.memory)
        self.rsdp = scan(self.memory, b"RSD PTR ")
        root = self.memory.read(self.rsdp, 36)
        assert sum(root[:20]) % 256 == sum(root) % 256 == 0
        self.rsdt, self.xsdt = struct.unpack_from("<I4xQ", root, 16)
        listed = struct.unpack("<2Q", self.table(self.xsdt)[36:])
        self.addresses = {self.table(address)[:4]: address for address in listed}
        self.fadt = self.table(self.addresses[b"FACP"])
        self.facs, self.dsdt = struct.unpack_from("<II", self.fadt, 36)

    def table(self, address: int) -> bytes:
        (length,) = struct.unpack("<I", self.memory.read(address + 4, 4))
        data = self.memory.read(address, length)
        assert sum(data) % 256 == 0
        return data

    def madt(self) -> dict[int, list[bytes]]:
        """The entries by type, without type and length."""
        data = self.table(self.addresses[b"APIC"])[44:]
        found: dict[int, list[bytes]] = {}
        while data:
            found.setdefault(data[0], []).append(data[2 : data[1]])
            data = data[data[1] :]
        return found


def scan(memory: Memory, signature: bytes) -> int:
    """Where a guest that looks at every paragraph of the BIOS area finds a signature."""
    area = memory.read(0xF0000, 0x10000)
    places = [at for at in range(0, 0x10000, 16) if area.startswith(signature, at)]
    assert len(places) == 1
    return 0xF0000 + places[0]


@pytest.fixture(params=MACHINES, ids=lambda name: name.replace(" ", "-"))
def any_machine(request: pytest.FixtureRequest, make: Make) -> Graph:
    return make(MACHINES[request.param])


def test_a_guest_finds_every_table(any_machine: Graph) -> None:
    found = Found(any_machine)

    assert found.rsdp == found.placed.rsdp
    assert set(found.addresses) == {b"FACP", b"APIC"}
    assert found.table(found.dsdt)[:4] == b"DSDT"
    assert found.memory.read(found.facs, 8) == b"FACS" + struct.pack("<I", 64)
    assert found.facs % 64 == 0


def test_rsdt_lists_what_xsdt_does(any_machine: Graph) -> None:
    found = Found(any_machine)

    assert list(struct.unpack("<2I", found.table(found.rsdt)[36:])) == [*found.addresses.values()]


def test_the_tables_depend_on_the_hardware_alone(make: Make) -> None:
    one = Found(make(MACHINES["functions"], 'name="one"')).memory
    two = Found(make(MACHINES["functions"], 'name="two"')).memory

    assert one.read(0xF0000, 0x10000) == two.read(0xF0000, 0x10000)


def test_the_tables_of_the_smallest_and_of_the_fullest_machine_fit(make: Make) -> None:
    slots = "".join(f"[slots.{s}.{f}]\n{UART}" for s in range(1, 31) for f in range(8))
    full = make(BOOT + HOST + LPC + slots + "".join(f"[lpc.com{n}]\n" for n in (1, 2, 3, 4)))
    small = make(BOOT, 'memory.size="1M"')

    assert Found(full).placed.end <= 0x100000
    assert Found(small).placed.end <= 0x100000


# -- MADT and FADT --------------------------------------------------------------------------


def test_madt_has_one_processor_and_one_io_apic(any_machine: Graph) -> None:
    entries = Found(any_machine).madt()

    assert entries[0] == [bytes([0, 0, 1, 0, 0, 0])]
    assert entries[1] == [struct.pack("<BBII", 1, 0, 0xFEC00000, 0)]
    assert entries[4] == [bytes([0xFF, 0, 0, 1])], "NMI on LINT1 of every processor"


def test_madt_and_dsdt_have_every_processor_and_the_io_apic_the_id_after_them(make: Make) -> None:
    found = Found(make(MACHINES["one com port"] + "[cpu]\ncount = 18\n"))
    entries = found.madt()

    assert entries[0] == [bytes([n, n, 1, 0, 0, 0]) for n in range(18)]
    assert entries[1] == [struct.pack("<BBII", 18, 0, 0xFEC00000, 0)]
    names = (b"CPU0", b"CPUF", b"CP10", b"CP11")
    assert all(name in found.table(found.dsdt) for name in names)


@pytest.mark.parametrize(
    ("machine", "level"),
    [("bare", {9}), ("one com port", {5, 9, 10, 11}), ("legacy", {4, 5, 9, 10, 11})],
)
def test_madt_overrides_the_timer_and_what_is_level_triggered(
    make: Make, machine: str, level: set[int]
) -> None:
    overrides = Found(make(MACHINES[machine])).madt()[2]

    listed = {irq: (gsi, flags) for _, irq, gsi, flags in map(_override, overrides)}
    assert listed == {0: (2, 0)} | {irq: (irq, 0x0D) for irq in level}


def _override(entry: bytes) -> tuple[int, ...]:
    return struct.unpack("<BBIH", entry)


def test_fadt_is_about_the_devices_there_are(make: Make) -> None:
    table = Found(make(MACHINES["one com port"])).fadt
    events, control, timer = struct.unpack_from("<I4xI8xI", table, 56)
    (sci,) = struct.unpack_from("<H", table, 46)
    (flags,) = struct.unpack_from("<I", table, 112)

    assert sci == 9
    assert (events, control, timer) == (
        acpi_pm.BASE + acpi_pm.PM1_STATUS,
        acpi_pm.BASE + acpi_pm.PM1_CONTROL,
        acpi_pm.BASE + acpi_pm.PM_TIMER,
    )
    assert tuple(table[88:92]) == (
        acpi_pm.EVENT_LENGTH, acpi_pm.CONTROL_LENGTH, 0, acpi_pm.TIMER_LENGTH,
    )  # fmt: skip
    assert flags & acpi_pm.FADT_TIMER_IS_32_BIT
    assert table[108] == rtc_calendar.CENTURY


def test_the_reset_register_resets(make: Make) -> None:
    table = Found(make(MACHINES["one com port"])).fadt
    resets: list[str] = []

    assert table[116:128] == struct.pack("<BBBBQ", 1, 8, 0, 1, 0xCF9)
    register = ResetControl(lambda: resets.append("cpu"), lambda: resets.append("board"))
    register.write_port(0, table[128])
    assert resets == ["board"]


def test_no_keyboard_and_no_display_is_announced(any_machine: Graph) -> None:
    (arch,) = struct.unpack_from("<H", Found(any_machine).fadt, 109)

    assert arch == 0b101


# -- DSDT, by the eyes of ACPICA -------------------------------------------------------------


@needs_acpica
def test_iasl_takes_every_table_apart_and_together_without_complaint(
    any_machine: Graph, tmp_path: Path
) -> None:
    found = Found(any_machine)
    addresses = [*found.addresses.values(), found.dsdt, found.facs, found.rsdt, found.xsdt]
    for number, address in enumerate(addresses):
        (length,) = struct.unpack("<I", found.memory.read(address + 4, 4))
        (tmp_path / f"{number}.aml").write_bytes(found.memory.read(address, length))
        for arguments in (["-d", f"{number}.aml"], [f"{number}.dsl"]):
            done = subprocess.run(
                ["iasl", *arguments], cwd=tmp_path, check=False, capture_output=True, text=True
            )
            said = done.stdout + done.stderr
            assert done.returncode == 0, said
            assert not re.search(r"(?i)^(error|warning|remark)|firmware error|bad checksum", said)
        assert "0 Errors, 0 Warnings, 0 Remarks" in said, said


class Acpica:
    """ACPICA's interpreter, with the DSDT of a machine loaded."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        self._folder = folder
        (folder / "dsdt.aml").write_bytes(dsdt.dsdt(graph))

    def run(self, *commands: str) -> list[str]:
        """What each command says."""
        done = subprocess.run(
            ["acpiexec", "-di", "dsdt.aml"],
            input="\n".join([*commands, "quit"]) + "\n",
            cwd=self._folder,
            check=True,
            capture_output=True,
            text=True,
        )
        said = re.split(r"^- .*\n", done.stdout, flags=re.M)
        return said[-len(commands) - 1 : -1]

    def integers(self, *paths: str) -> list[list[int]]:
        """The integers in the value of each object, in order."""
        said = self.run(*(f"evaluate {path}" for path in paths))
        return [
            [int(digits, 16) for digits in re.findall(r"\[Integer\] = ([0-9A-F]+)", text)]
            for text in said
        ]

    def buffers(self, *paths: str) -> list[bytes]:
        """The bytes of each object."""
        return [
            b"".join(
                bytes.fromhex(row)
                for row in re.findall(r"^.*?[0-9A-F]{4}: ((?:[0-9A-F]{2} )+)", text, flags=re.M)
            )
            for text in self.run(*(f"evaluate {path}" for path in paths))
        ]

    def devices(self) -> set[str]:
        """The names of all devices, each in four letters."""
        (said,) = self.run("namespace")
        return set(re.findall(r"^ *[0-9] +(\w{4}) Device", said, flags=re.M))


def ports(resources: bytes) -> dict[int, int]:
    """base: length of each I/O descriptor among small ones and 32-bit memory."""
    found = {}
    while resources[0] != 0x79:
        if resources[0] == 0x47:
            found[int.from_bytes(resources[2:4], "little")] = resources[7]
        large = resources[0] & 0x80
        length = 3 + int.from_bytes(resources[1:3], "little") if large else 1 + resources[0] % 8
        resources = resources[length:]
    return found


@pytest.fixture
def acpica(make: Make, tmp_path: Path) -> Callable[[str], Acpica]:
    return lambda name: Acpica(make(MACHINES[name]), tmp_path)


@needs_acpica
@pytest.mark.parametrize(
    ("machine", "names"),
    [
        ("bare", set()),
        ("one com port", {"COM1"}),
        ("all com ports", {"COM1", "COM2", "COM3", "COM4"}),
        ("functions", {"COM2"}),
    ],
)
def test_exactly_the_com_ports_of_the_machine_are_there(
    acpica: Callable[[str], Acpica], machine: str, names: set[str]
) -> None:
    devices = acpica(machine).devices()

    assert {name for name in devices if name.startswith("COM")} == names
    assert devices >= {"CPU0", "PIC_", "TIMR", "RTC_", "SYSR"}


@needs_acpica
def test_com_ports_have_their_ports_and_share_interrupts(
    acpica: Callable[[str], Acpica],
) -> None:
    lpc_bridge = "\\_SB.PCI0.LPCB"
    com1, com4 = acpica("all com ports").buffers(
        f"{lpc_bridge}.COM1._CRS", f"{lpc_bridge}.COM4._CRS"
    )
    (alone,) = acpica("one com port").buffers(f"{lpc_bridge}.COM1._CRS")

    assert ports(com1) == ports(alone) == {0x3F8: 8}
    assert ports(com4) == {0x2E8: 8}
    assert com1[8:12] == bytes([0x23, 1 << 4, 0, 0x11]), "edge-triggered and shared"
    assert com4[8:12] == bytes([0x23, 1 << 3, 0, 0x11])
    assert alone[8:11] == bytes([0x22, 1 << 4, 0])


@needs_acpica
def test_ports_without_a_device_of_their_own_are_reserved(
    acpica: Callable[[str], Acpica],
) -> None:
    (reserved,) = acpica("functions").buffers("\\_SB.PCI0.LPCB.SYSR._CRS")

    listed = ports(reserved).items()
    assert {(0x61, 1), (0x92, 1), (0x4D0, 2), (0x60, 1), (0x64, 1), (0xF4, 1)} <= set(listed)
    assert 0x600 in ports(reserved)


@needs_acpica
def test_registers_in_memory_are_reserved_too(make: Make, tmp_path: Path) -> None:
    graph = make(MACHINES["bare"])
    timer = DeviceNode("board.hpet", memory=(MemoryRange(0xFED00000, 0x400),))
    machine = Acpica(replace(graph, devices=(*graph.devices, timer)), tmp_path)

    (reserved,) = machine.buffers("\\_SB.SYSR._CRS")

    descriptor = bytes.fromhex("86 0900 01 0000D0FE 00040000")
    assert reserved.endswith(descriptor + b"\x79\0")


@needs_acpica
def test_there_is_a_link_for_each_pirq_in_use(acpica: Callable[[str], Acpica]) -> None:
    links = {name for name in acpica("one com port").devices() if name.startswith("LNK")}

    assert links == {"LNKA", "LNKB", "LNKC", "LNKD"}


@needs_acpica
def test_the_lpc_bridge_is_where_it_is_plugged_in(acpica: Callable[[str], Acpica]) -> None:
    assert acpica("functions").integers("\\_SB.PCI0.LPCB._ADR") == [[2 << 16]]
    assert acpica("one com port").integers("\\_SB.PCI0.LPCB._ADR") == [[31 << 16]]


@needs_acpica
def test_interrupt_routing_follows_the_mode(acpica: Callable[[str], Acpica]) -> None:
    machine = acpica("functions")

    (pic,) = machine.run("evaluate \\_SB.PCI0._PRT")
    _, apic = machine.integers("\\_PIC 1", "\\_SB.PCI0._PRT")

    assert re.findall(r"LNK[A-H]", pic) == ["LNKA", "LNKB", "LNKD"]
    # Slots 4, 5 and 7, any function, INTA: PIRQ A, B and D.
    assert apic == [
        0x0004FFFF, 0, 0, 16,
        0x0005FFFF, 0, 0, 17,
        0x0007FFFF, 0, 0, 19,
    ]  # fmt: skip


@needs_acpica
def test_a_fixed_interrupt_is_the_same_in_both_modes(acpica: Callable[[str], Acpica]) -> None:
    pic, _, apic = acpica("legacy").integers("\\_SB.PCI0._PRT", "\\_PIC 1", "\\_SB.PCI0._PRT")

    assert pic == apic == [0x0003FFFF, 0, 0, 4]


@needs_acpica
def test_without_a_router_nothing_is_routed(acpica: Callable[[str], Acpica]) -> None:
    devices = acpica("pci without lpc").devices()

    assert "PCI0" in devices
    assert not {name for name in devices if name.startswith("LNK")}


@needs_acpica
@pytest.mark.parametrize("letter", ["A", "D"])
def test_a_link_routes_its_pirq(acpica: Callable[[str], Acpica], letter: str) -> None:
    machine = acpica("one com port")
    link, register = f"\\_SB.LNK{letter}", f"\\_SB.PCI0.LPCB.PIR{letter}"
    route_to_11 = f"{link}._SRS (89 06 00 09 01 0B 00 00 00 79 00)"

    _, routing, status = machine.integers(route_to_11, register, f"{link}._STA")
    _, current = machine.buffers(route_to_11, f"{link}._CRS")

    assert (routing, status) == ([11], [0x0B])
    assert struct.unpack_from("<BI", current, 4) == (1, 11)


@needs_acpica
def test_a_disabled_link_has_no_interrupt(acpica: Callable[[str], Acpica]) -> None:
    machine, link = acpica("one com port"), "\\_SB.LNKB"

    _, routing, status = machine.integers(f"{link}._DIS", "\\_SB.PCI0.LPCB.PIRB", f"{link}._STA")
    _, current = machine.buffers(f"{link}._DIS", f"{link}._CRS")

    assert (routing, status) == ([0x80], [0x09])
    assert struct.unpack_from("<BI", current, 4) == (1, 0)


@needs_acpica
def test_links_offer_the_interrupts_that_firmware_routes_to(
    acpica: Callable[[str], Acpica],
) -> None:
    (possible,) = acpica("one com port").buffers("\\_SB.LNKC._PRS")

    assert struct.unpack_from("<B3I", possible, 4) == (3, 5, 10, 11)


def test_link_devices_know_the_routers_registers() -> None:
    assert dsdt.PIRQ_REGISTERS == lpc.PIRQ_REGISTERS
    assert (dsdt.PIRQ_DISABLED, dsdt.PIRQ_IRQ) == (lpc.PIRQ_DISABLED, lpc.PIRQ_IRQ)


@needs_acpica
def test_s5_turns_the_machine_off(acpica: Callable[[str], Acpica]) -> None:
    ((sleep_type, *_),) = acpica("bare").integers("\\_S5")
    offs: list[None] = []
    device = AcpiPm(Clock(lambda: 0, lambda: None), Wire(_nothing), lambda: offs.append(None))

    device.write_wide(fadt.PM1_CONTROL, 2, sleep_type << 10 | 1 << 13)

    assert len(offs) == 1


def _nothing(_: bool) -> None:
    pass


GIB = 1 << 30


@needs_acpica
@pytest.mark.parametrize(
    ("size", "firmware", "card", "wanted"),
    [
        ("64M", False, False, {(0xE000_0000, 0xFEC0_0000)}),
        ("64M", True, False, {(2 * GIB, 0xFEC0_0000)}),
        ("64M", True, True, {(2 * GIB, 0xFEC0_0000), (4 * GIB, 1 << 40)}),
        ("2560M", True, True, {(0xA000_0000, 0xFEC0_0000), (4 * GIB, 1 << 40)}),
        ("6G", False, True, {(0xE000_0000, 0xFEC0_0000), (7 * GIB, 1 << 40)}),
    ],
)
def test_memory_bars_are_in_windows_of_the_bridge(
    make: Make,
    tmp_path: Path,
    size: str,
    firmware: bool,
    card: bool,
    wanted: set[tuple[int, int]],
) -> None:
    boot = '[boot]\nfirmware = "bios.bin"\n' if firmware else BOOT
    graph = make(f'[memory]\nsize = "{size}"\n' + boot + HOST + LPC)
    machine = Acpica(plugged(graph) if card else graph, tmp_path)

    (windows,) = machine.buffers("\\_SB.PCI0._CRS")

    assert memory_windows(windows) == wanted


def memory_windows(resources: bytes) -> set[tuple[int, int]]:
    """(first, one past the last) of the memory windows in a resource template."""
    found = set()
    at = 0
    while at < len(resources):
        tag = resources[at]
        if not tag & 0x80:
            at += 1 + (tag & 7)
            continue
        (length,) = struct.unpack_from("<H", resources, at + 1)
        if tag in (0x87, 0x8A) and resources[at + 3] == 0:
            form = "<5I" if tag == 0x87 else "<5Q"
            _, first, last, _, size = struct.unpack_from(form, resources, at + 6)
            assert last - first + 1 == size
            found.add((first, last + 1))
        at += 3 + length
    return found
