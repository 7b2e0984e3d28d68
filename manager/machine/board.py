# SPDX-License-Identifier: BSD-2-Clause
"""From the graph to live devices on their buses. One small builder per device type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from manager.boot import firmware
from manager.bus.clock import Clock
from manager.bus.dma import Dma
from manager.bus.lines import Line
from manager.bus.memory import LOW_LIMIT, Memory
from manager.bus.pci import PciBus
from manager.bus.pci_function import PciHeader
from manager.bus.ports import PortBus
from manager.devices.acpi_pm.device import AcpiPm
from manager.devices.debug_exit.device import DebugExit
from manager.devices.debug_port.device import DebugPort
from manager.devices.device import Device
from manager.devices.fw_cfg.device import FwCfg
from manager.devices.hostbridge.device import CONFIG_PORTS, CONFIG_PORTS_LENGTH, HostBridge
from manager.devices.ioapic.device import IoApic
from manager.devices.keyboard.device import Keyboard
from manager.devices.lapic.device import Lapic
from manager.devices.lpc.device import PIRQ_DISABLED, PIRQS, Lpc
from manager.devices.pic.device import Pic
from manager.devices.piix4_pm.device import Piix4Pm
from manager.devices.pit.device import Pit
from manager.devices.port92.device import Port92
from manager.devices.reset_control.device import ResetControl
from manager.devices.rtc.device import Rtc
from manager.devices.uart.isa import IsaUart
from manager.devices.uart.pace import BAUD, HOST, Pace
from manager.devices.uart.pci import PciUart
from manager.graph.nodes import DeviceNode, FirmwareBoot, Graph, MemoryRange
from manager.machine.inputs import Input, Kind
from manager.machine.interrupts import Fork, Interrupts
from manager.machine.serial_port import SerialPort

IO_SPACE_ENABLE = 1
NO_INTERRUPT = 0xFF
RESET_CONTROL_PORT = 0xCF9
"""Inside the ports of PCI configuration, whose owner passes it on where there is PCI."""
FIRST_BUILT = (
    "lapic", "ioapic", "pic", "pit", "rtc", "keyboard", "port92", "reset-control", "acpi-pm",
    "lpc", "hostbridge",
)  # fmt: skip
"""What others are wired to comes first; the rest follows in graph order."""


class MemoryDevice(Protocol):
    """A device with registers in memory; `size` is 1, 2 or 4 bytes."""

    def read_mmio(self, offset: int, size: int) -> int:
        """Read at `offset` from the start of its range."""

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Write at `offset` from the start of its range."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What a board is connected to: the CPU's pins, and the run loop that ends or restarts it."""

    intr: Line
    nmi: Callable[[], None]
    set_a20: Callable[[bool], None]
    reset_cpu: Callable[[], None]
    """The RESET pin of the CPU alone."""
    reset: Callable[[], None]
    """That of the whole board."""
    power_off: Callable[[], None]
    end: Callable[[int], None]
    """The debug-exit port was written; takes the exit status."""
    post: Callable[[Kind, str, bytes], None]
    """The host has something for the guest."""
    memory: Memory
    """RAM, for DMA."""
    written: Callable[[int, int], None]
    """DMA has written to RAM; takes start and end."""


class A20Gate:
    """The gate is open while either of its two controls says so."""

    __slots__ = ("_controls", "_set")

    def __init__(self, set_a20: Callable[[bool], None]) -> None:
        self._set = set_a20
        self._controls: dict[str, bool] = {}

    def control(self, name: str) -> Callable[[bool], None]:
        """A new control of the gate."""

        def change(enabled: bool) -> None:
            self._controls[name] = enabled
            self._set(any(self._controls.values()))

        return change


class Board:
    """All devices of a machine, wired.

    Device timers are made in the order of building, which depends on the graph alone: equal
    graphs fire simultaneous timers in equal order.
    """

    def __init__(self, graph: Graph, io: PortBus, clock: Clock, outside: Outside) -> None:
        self.graph = graph
        self.clock = clock
        self.io = io
        self.pci = PciBus()
        self.devices: dict[str, Device[Any]] = {}
        self.ports: dict[str, SerialPort] = {}
        self.in_memory: list[tuple[MemoryRange, MemoryDevice]] = []
        """Devices with registers in memory, for the engine to map."""
        self.resets = 0
        """Since power-on."""
        self._outside = outside
        self._has_firmware = isinstance(graph.boot, FirmwareBoot)
        virtual_wire = not self._has_firmware
        self.interrupts = Interrupts(clock, outside.intr, outside.nmi, virtual_wire=virtual_wire)
        self._a20 = A20Gate(outside.set_a20)
        self._reset_control: ResetControl | None = None
        self._lpc: Lpc | None = None
        builders: dict[str, Callable[[DeviceNode], Device[Any]]] = {
            "lapic": self._build_lapic,
            "ioapic": self._build_ioapic,
            "pic": self._build_pic,
            "pit": self._build_pit,
            "rtc": self._build_rtc,
            "keyboard": self._build_keyboard,
            "port92": self._build_port92,
            "reset-control": self._build_reset_control,
            "acpi-pm": self._build_acpi_pm,
            "lpc": self._build_lpc,
            "hostbridge": self._build_hostbridge,
            "isa-uart": self._build_isa_uart,
            "pci-uart": self._build_pci_uart,
            "debug-exit": self._build_debug_exit,
            "fw-cfg": self._build_fw_cfg,
            "debug-port": self._build_debug_port,
            "piix4-pm": self._build_piix4_pm,
        }
        for node in sorted(graph.devices, key=_build_rank):
            self.devices[node.id] = builders[node.type](node)
        self._program_as_firmware()

    def reset(self) -> None:
        """All devices to their power-on state, then what firmware would program.

        The interrupt controllers last, so that they forget what the others' lines did.
        """
        self.resets += 1
        for device in reversed(self.devices.values()):
            device.reset()
        self._program_as_firmware()

    @property
    def rtc(self) -> Rtc:
        """The real-time clock, whose memory outlives a reset."""
        rtc = self.devices["board.rtc"]
        assert isinstance(rtc, Rtc)
        return rtc

    def end_of_interrupt(self) -> None:
        """A non-specific EOI to both 8259s."""
        for port in (0xA0, 0x20):
            self.io.write(port, 1, 0x20)

    def reset_cpu(self) -> None:
        """The CPU alone was reset, and its local APIC with it; devices drive their lines anew."""
        self.interrupts.lapic.reset()
        self.settle()

    def settle(self) -> None:
        """After a restore: every device drives its lines again, the controllers last."""
        self.pci.reclaim()
        for device in reversed(self.devices.values()):
            device.settle()

    def _program_as_firmware(self) -> None:
        """PCI interrupts are level-triggered, and nobody but firmware would say so."""
        if self._has_firmware:
            return
        routed = (node for node in self.graph.devices if node.pirq is not None)
        self.interrupts.program({node.irq for node in routed if node.irq is not None})

    def _port(self, node: DeviceNode) -> SerialPort:
        port = SerialPort(node.id, lambda data: self._outside.post("data", node.id, data))
        self.ports[node.id] = port
        return port

    def deliver(self, input: Input) -> None:
        """Something from outside arrives."""
        match input.kind:
            case "data":
                self.ports[input.port].arrive(input.data)
            case "break":
                uart = self.devices[input.port]
                if isinstance(uart, IsaUart | PciUart):
                    uart.receive_break()
            case "power-button":
                for device in self.devices.values():
                    if isinstance(device, AcpiPm):
                        device.press_power_button()

    # -- one builder per type -------------------------------------------------------------

    def _build_lapic(self, node: DeviceNode) -> Lapic:
        self.in_memory.append((node.memory[0], self.interrupts.lapic))
        return self.interrupts.lapic

    def _build_ioapic(self, node: DeviceNode) -> IoApic:
        self.in_memory.append((node.memory[0], self.interrupts.ioapic))
        return self.interrupts.ioapic

    def _build_pic(self, _: DeviceNode) -> Pic:
        pic = self.interrupts.pic
        self.io.claim(0x20, 2, pic.master)
        self.io.claim(0xA0, 2, pic.slave)
        self.io.claim(0x4D0, 2, pic.elcr)
        return pic

    def _build_pit(self, _: DeviceNode) -> Pit:
        pit = Pit(self.clock, self.interrupts.irq(0))
        self.io.claim(0x40, 4, pit)
        self.io.claim(0x61, 1, pit.speaker_port)
        return pit

    def _build_rtc(self, _: DeviceNode) -> Rtc:
        high = max(0, self.graph.memory_size - LOW_LIMIT)
        rtc = Rtc(
            self.clock, self.interrupts.irq(8), self.graph.epoch, self.graph.memory_size, high
        )
        self.io.claim(0x70, 2, rtc)
        return rtc

    def _build_keyboard(self, _: DeviceNode) -> Keyboard:
        keyboard = Keyboard(
            self.interrupts.irq(1), self._a20.control("keyboard"), self._outside.reset_cpu
        )
        self.io.claim(0x60, 1, keyboard)
        self.io.claim(0x64, 1, keyboard.command_port)
        return keyboard

    def _build_port92(self, _: DeviceNode) -> Port92:
        port92 = Port92(self._a20.control("port92"), self._outside.reset_cpu)
        self.io.claim(0x92, 1, port92)
        return port92

    def _build_reset_control(self, _: DeviceNode) -> ResetControl:
        self._reset_control = ResetControl(self._outside.reset_cpu, self._outside.reset)
        if all(node.type != "hostbridge" for node in self.graph.devices):
            self.io.claim(RESET_CONTROL_PORT, 1, self._reset_control)
        return self._reset_control

    def _build_acpi_pm(self, node: DeviceNode) -> AcpiPm:
        assert node.irq is not None
        power = AcpiPm(self.clock, self.interrupts.irq(node.irq), self._outside.power_off)
        self.io.claim_wide(node.ports[0].base, node.ports[0].length, power)
        return power

    def _build_lpc(self, node: DeviceNode) -> Lpc:
        routing = [PIRQ_DISABLED] * PIRQS
        for index, letter in enumerate("abcdefgh"):
            irq = node.properties.get(f"pirq_{letter}")
            if isinstance(irq, int) and not self._has_firmware:
                routing[index] = irq
        self._lpc = Lpc(self._header(node), self.interrupts.irq, routing)
        self._attach(node, self._lpc)
        return self._lpc

    def _build_hostbridge(self, node: DeviceNode) -> HostBridge:
        bridge = HostBridge(self._header(node), self.pci, self._reset_control)
        self.io.claim_wide(CONFIG_PORTS, CONFIG_PORTS_LENGTH, bridge)
        self._attach(node, bridge)
        return bridge

    def _build_isa_uart(self, node: DeviceNode) -> IsaUart:
        port = self._port(node)
        assert node.irq is not None
        uart = IsaUart(self.interrupts.irq(node.irq), port, self.clock, _pace(node))
        port.connect(uart.input_ready)
        self.io.claim(node.ports[0].base, node.ports[0].length, uart)
        return uart

    def _build_pci_uart(self, node: DeviceNode) -> PciUart:
        port = self._port(node)
        line = self._intx(node)
        uart = PciUart(self._header(node), self.io, line, port, self.clock, _pace(node))
        port.connect(uart.input_ready)
        self._attach(node, uart)
        return uart

    def _build_debug_exit(self, node: DeviceNode) -> DebugExit:
        exit_port = DebugExit(self._outside.end)
        self.io.claim(node.ports[0].base, node.ports[0].length, exit_port)
        return exit_port

    def _build_fw_cfg(self, node: DeviceNode) -> FwCfg:
        memory = self._outside.memory
        device = FwCfg(lambda: firmware.items(self.graph, memory), self._dma())
        self.io.claim_wide(node.ports[0].base, node.ports[0].length, device)
        return device

    def _build_debug_port(self, node: DeviceNode) -> DebugPort:
        device = DebugPort(self._port(node))
        self.io.claim(node.ports[0].base, node.ports[0].length, device)
        return device

    def _build_piix4_pm(self, node: DeviceNode) -> Piix4Pm:
        base = node.properties["base"]
        assert isinstance(base, int)
        device = Piix4Pm(self._header(node), base)
        self._attach(node, device)
        return device

    def _header(self, node: DeviceNode) -> PciHeader:
        """Programmed by nobody yet when there is firmware for it, else as firmware would."""
        assert node.pci is not None
        if self._has_firmware:
            unassigned = tuple(replace(bar, base=0) for bar in node.bars)
            return PciHeader(node.pci, bars=unassigned, interrupt_pin=node.pin)
        return PciHeader(
            node.pci,
            bars=node.bars,
            interrupt_pin=node.pin,
            interrupt_line=node.irq if node.irq is not None else NO_INTERRUPT,
            command=IO_SPACE_ENABLE if node.bars else 0,
        )

    def _dma(self) -> Dma:
        """A device's way to RAM."""
        return Dma(self._outside.memory, self._outside.written)

    def _attach(self, node: DeviceNode, device: HostBridge | Lpc | PciUart | Piix4Pm) -> None:
        assert node.address is not None
        self.pci.attach(node.address.slot, node.address.function, device.function)

    def _intx(self, node: DeviceNode) -> Line:
        """What a PCI interrupt pin is wired to: a PIRQ, a fixed interrupt, or nothing."""
        if node.pirq is not None:
            pin = self.interrupts.pirq_pin(node.pirq)
            return pin if self._lpc is None else Fork(self._lpc.pirq(node.pirq), pin)
        if node.irq is not None:
            return self.interrupts.irq(node.irq)
        return Unconnected()


class Unconnected:
    """A line that leads nowhere."""

    __slots__ = ()

    def set(self, level: bool) -> None:
        """Nobody watches."""


def _pace(node: DeviceNode) -> Pace:
    return BAUD if node.properties.get("pace") == "baud" else HOST


def _build_rank(node: DeviceNode) -> int:
    return FIRST_BUILT.index(node.type) if node.type in FIRST_BUILT else len(FIRST_BUILT)
