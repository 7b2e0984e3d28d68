# SPDX-License-Identifier: BSD-2-Clause
"""From the graph to live devices on their buses: each node builds its own device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from manager.bus.blocks import Blocks
from manager.bus.clock import Clock
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.memory import FOUR_GIB, Memory
from manager.bus.messages import NMI, decode
from manager.bus.mmio import MemoryBus
from manager.bus.pci import PciBus
from manager.bus.ports import PortBus, PortLender
from manager.bus.record import parts
from manager.devices import own
from manager.devices.device import Device, Takes
from manager.devices.flash.device import Flash
from manager.devices.lapic.device import CpuPins
from manager.devices.node import DeviceNode
from manager.devices.rtc.device import Rtc
from manager.devices.services import Backplane, Services
from manager.graph.board import tacit_parts
from manager.graph.nodes import FirmwareBoot, Graph
from manager.lazy import dataclass
from manager.machine.inputs import DATA, Input
from manager.machine.interrupts import Interrupts
from manager.machine.network_port import FRAME, NetworkPort
from manager.machine.serial_port import PEER, SerialPort
from manager.machine.share_port import CHANGES, SharePort

if TYPE_CHECKING:
    from manager.devices.vga.device import Vga

FIRST_BUILT = (
    "lapic", "ioapic", "pic", "pit", "rtc", "keyboard", "port92", "reset-control", "acpi-pm",
    "lpc", "hostbridge",
)  # fmt: skip
"""What others are wired to comes first; the rest follows in graph order."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What a board is connected to: the CPUs' pins, and the run loop that ends or restarts it."""

    cpus: Sequence[CpuPins]
    current: Callable[[], int]
    """The number of the CPU that executes."""
    set_a20: Callable[[bool], None]
    reset_cpu: Callable[[], None]
    """The RESET pin of the CPU alone."""
    reset: Callable[[], None]
    """That of the whole board."""
    power_off: Callable[[], None]
    end: Callable[[int], None]
    """The debug-exit port was written; takes the exit status."""
    post: Callable[[str, str, bytes], None]
    """The host has something for the guest: kind, device id, data."""
    memory: Memory
    """RAM, for DMA."""
    addresses: MemoryBus
    """Physical addresses without RAM, for registers in memory and memory BARs."""
    blocks: Callable[[str], Blocks]
    """The disk of a name."""
    written: Callable[[int, int], None]
    """DMA has written to RAM; takes start and end."""
    grants: Grants = NO_GRANTS
    lender: PortLender | None = None
    """Serves ports from buffers."""
    rom_base: int = FOUR_GIB
    """Where the firmware's code begins; 4 GiB when there is none."""


class Board:
    """All devices of a machine, wired.

    Device timers are made in the order of building, which depends on the graph alone: equal
    graphs fire simultaneous timers in equal order.
    """

    def __init__(self, graph: Graph, io: PortBus, clock: Clock, outside: Outside) -> None:
        self.graph = graph
        self.clock = clock
        self.io = io
        self.addresses = outside.addresses
        self.devices: dict[str, Device[Any]] = {}
        self.ports: dict[str, SerialPort] = {}
        self.network_ports: dict[str, NetworkPort] = {}
        self.share_ports: dict[str, SharePort] = {}
        self.resets = 0
        """Since power-on."""
        self._post = outside.post
        self._takers: dict[tuple[str, str], Callable[[bytes], None]] = {}
        """Who takes input, by its kind and the device's id."""
        self._has_firmware = isinstance(graph.boot, FirmwareBoot)
        self.interrupts = Interrupts(
            clock,
            outside.cpus,
            outside.current,
            virtual_wire=not self._has_firmware,
            grants=outside.grants,
        )
        self._backplane = Backplane(
            io=io,
            clock=clock,
            memory=outside.memory,
            addresses=outside.addresses,
            controllers=self.interrupts,
            written=outside.written,
            open_channel=self._open_channel,
            open_cable=self._open_cable,
            open_share=self._open_share,
            open_blocks=outside.blocks,
            reset_cpu=outside.reset_cpu,
            reset=outside.reset,
            power_off=outside.power_off,
            end=outside.end,
            set_a20=outside.set_a20,
            firmware_items=self._firmware_items,
            epoch=graph.epoch,
            memory_size=graph.memory_size,
            cpu_count=graph.cpu_count,
            has_firmware=self._has_firmware,
            rom_base=outside.rom_base,
            grants=outside.grants,
            lender=outside.lender,
        )
        tacit = tuple(tacit_parts(graph.devices))
        self.tacit = frozenset(node.id for node in tacit)
        """Ids of parts that older versions' machines did not have."""
        for node in (*sorted(graph.devices, key=_build_rank), *tacit):
            device = self._build(node)
            self.devices[node.id] = device
            self._register(node.id, device.takes())
        self._program_as_firmware()

    def _build(self, node: DeviceNode) -> Device[Any]:
        """A node's device. Raises OwnDeviceError for one of the user's own that cannot be built."""
        services = Services(node, self._backplane)
        if not node.CODE:
            return node.build(services)
        with own.reported(node.id):
            device = node.build(services)
        wrong = self._unfit(device)
        if wrong:
            fault = own.definition(type(node), TypeError(wrong))
            raise own.OwnDeviceError(f"{node.id}: {fault}", help=own.DOCUMENTATION)
        return device

    def _unfit(self, device: object) -> str:
        """Why what a kind has built is no device whose state could be saved; empty if it is one."""
        if not isinstance(device, Device):
            return "build() is to return a Device"
        known = {kind.TYPE: kind for other in self.devices.values() for kind in parts(other.STATE)}
        for kind in parts(device.STATE):
            if known.get(kind.TYPE, kind) is not kind:
                return f"another record than {kind.__name__} has the TYPE {kind.TYPE!r} already"
        return ""

    @property
    def pci(self) -> PciBus:
        """PCI bus 0."""
        return self._backplane.pci

    def reset(self) -> None:
        """All devices to their power-on state, then what firmware would program.

        The interrupt controllers last, so that they forget what the others' lines did.
        """
        self.resets += 1
        for device in reversed(self.devices.values()):
            device.reset()
        self._program_as_firmware()

    def fit_flash(self, template: bytes) -> None:
        """At power-on: the chip with the firmware's variables, if there is one, has this size."""
        flash = self.devices.get("board.flash")
        if isinstance(flash, Flash):
            flash.fit(template)

    @property
    def vga(self) -> Vga | None:
        """The card with a screen, if there is one; ports have it that there are not two."""
        found = (node.id for node in self.graph.devices if node.type == "vga")
        return cast("Vga | None", self.devices.get(next(found, "")))

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
        """The CPUs alone were reset, and local APICs with them; devices drive their lines anew."""
        for lapic in self.interrupts.lapics:
            lapic.reset()
        self.settle()

    def settle(self) -> None:
        """After a restore: every device drives its lines again, the controllers last."""
        self.pci.reclaim()
        for device in reversed(self.devices.values()):
            device.settle()

    def _program_as_firmware(self) -> None:
        """PCI interrupts are level-triggered, which only firmware would say."""
        if self._has_firmware:
            return
        routed = (node for node in self.graph.devices if node.pirq is not None)
        self.interrupts.program({node.irq for node in routed if node.irq is not None})

    def _firmware_items(self) -> Mapping[int, bytes | memoryview]:
        from manager.boot import firmware  # which few machines need

        return firmware.items(self.graph, self._backplane.memory)

    # -- input ------------------------------------------------------------------------------

    def may_raise_nmi(self) -> bool:
        """Whether an NMI can come without the CPU's doing."""
        armed = (decode(*at) for function in self.pci for at in function.armed())
        by_message = any(message is not None and message.delivery == NMI for message in armed)
        return self.interrupts.may_raise_nmi or by_message

    def deliver(self, input: Input) -> None:
        """Something from outside arrives: at the device that it is for, or at all that take it.

        What no device takes is lost, as a key without a keyboard is.
        """
        if input.port:
            takers = [self._takers.get((input.kind, input.port))]
        else:
            takers = [take for (kind, _), take in self._takers.items() if kind == input.kind]
        for take in takers:
            if take is not None:
                take(input.data)

    def _register(self, id: str, takes: Takes) -> None:
        self._takers |= {(kind, id): take for kind, take in takes.items()}

    def _open_channel(self, id: str) -> SerialPort:
        port = SerialPort(
            id,
            lambda data: self._post(DATA, id, data),
            lambda there: self._post(PEER, id, there),
        )
        self.ports[id] = port
        self._register(id, {DATA: port.arrive, PEER: port.peer_arrives})
        return port

    def _open_cable(self, id: str) -> NetworkPort:
        port = NetworkPort(id, lambda frame: self._post(FRAME, id, frame))
        self.network_ports[id] = port
        self._register(id, {FRAME: port.arrive})
        return port

    def _open_share(self, id: str) -> SharePort:
        port = SharePort(id, lambda changes: self._post(CHANGES, id, changes))
        self.share_ports[id] = port
        self._register(id, {CHANGES: port.arrive})
        return port


def _build_rank(node: DeviceNode) -> int:
    return FIRST_BUILT.index(node.type) if node.type in FIRST_BUILT else len(FIRST_BUILT)
