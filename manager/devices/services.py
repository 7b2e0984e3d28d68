# SPDX-License-Identifier: BSD-2-Clause
"""What a board offers a device that is being built on it.

All places and numbers come from the device's node. To ask for what the node does not claim is a
fault of the kind: a ValueError, before any guest runs.

Long because all that a device can have is offered in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Protocol

from manager.bus.blocks import Blocks
from manager.bus.channel import Channel
from manager.bus.clock import Clock
from manager.bus.dma import Dma
from manager.bus.ethernet import Cable
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Fork, Line, Unconnected
from manager.bus.memory import Memory, home
from manager.bus.messages import Message, MessageBus
from manager.bus.mmio import MemoryBus, MmioDevice
from manager.bus.pci import BarMemory, PciBus, PciFunction, PciHeader, PciSlot
from manager.bus.pci.registers import COMMAND_IO, COMMAND_MEMORY
from manager.bus.ports import BytePorts, PortBus, PortLender, WidePorts
from manager.bus.ps2 import Socket
from manager.devices.claims import Claims, MemoryRange, PortRange, end_id
from manager.lazy import dataclass

NO_INTERRUPT = 0xFF
"""The interrupt line register of a function that has none."""


class SerialChannel(Channel, Protocol):
    """A channel to the host. Input waits in it until the device takes it."""

    @property
    def pending(self) -> int:
        """Bytes of input that wait."""

    def transmit_all(self, data: bytes) -> None:
        """Take bytes from the guest, as transmit() does."""

    def receive_some(self, most: int) -> bytes:
        """The next bytes for the guest, `most` or fewer."""

    def connect(self, input_ready: Callable[[], None], peer: Any = None) -> None:
        """Tell the device of input through `input_ready`.

        `peer`, if it is to hear of clients at the host's end, has `has_peer()` and
        `peer_changed(there)`.
        """


class ShareEnd(Protocol):
    """Where the host meets the files of a share."""

    def connect(self, files: Any) -> None:
        """`files` has a `tree` to be read, and `change(bytes)` for what the host changes."""


class Controllers(Protocol):
    """The interrupt controllers, wired to each other and to the CPU."""

    @property
    def pic(self) -> Any: ...  # noqa: D102
    @property
    def ioapic(self) -> Any: ...  # noqa: D102
    @property
    def lapics(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def lapic_page(self) -> MmioDevice: ...  # noqa: D102

    def deliver(self, message: Message) -> None:
        """Take an interrupt message of a PCI function."""

    def irq(self, number: int) -> Line:
        """A new share of an ISA interrupt line."""

    def pirq_pin(self, index: int) -> Line:
        """A new share of the I/O APIC pin of a PIRQ (0-7 for A-H)."""


@dataclass(slots=True)
class Backplane:
    """What the devices of one board have in common."""

    io: PortBus
    clock: Clock
    memory: Memory
    addresses: MemoryBus
    """Physical addresses without RAM."""
    controllers: Controllers
    written: Callable[[int, int], None]
    """DMA has written to RAM; takes start and end."""
    open_channel: Callable[[str], SerialChannel]
    """The serial port of a device id."""
    open_cable: Callable[[str], Cable]
    """What the network card of a device id is plugged into."""
    open_share: Callable[[str], ShareEnd]
    """Where the host meets what the device of an id shares."""
    open_blocks: Callable[[str], Blocks]
    """The disk of a name."""
    reset_cpu: Callable[[], None]
    reset: Callable[[], None]
    power_off: Callable[[], None]
    end: Callable[[int], None]
    set_a20: Callable[[bool], None]
    firmware_items: Callable[[], Mapping[int, bytes | memoryview]]
    epoch: int
    memory_size: int
    cpu_count: int
    has_firmware: bool
    rom_base: int
    """Where the firmware's code begins."""
    grants: Grants = NO_GRANTS
    lender: PortLender | None = None
    """Serves ports from buffers, where that is possible and no trace wants to see it."""
    pci: PciBus = field(default_factory=PciBus)
    join_pirq: Callable[[int], Line] | None = None
    """The inputs of the PIRQ router, once there is one."""
    ps2: tuple[Socket, Socket] | None = None
    """The keyboard controller's two ports, once there is one."""
    a20_controls: dict[str, bool] = field(default_factory=dict)
    """Which device has the A20 gate open."""


class Services:
    """Handed to DeviceNode.build, for that one node."""

    __slots__ = ("_backplane", "_node")

    def __init__(self, node: Claims, backplane: Backplane) -> None:
        self._node = node
        self._backplane = backplane

    # -- places that the node claims --------------------------------------------------------

    def claim(self, ports: PortRange, device: BytePorts | WidePorts) -> None:
        """Give one of the node's ranges to `device`; one that has read_wide sees widths."""
        self._check(ports, self._node.ports)
        if isinstance(device, WidePorts):
            self._backplane.io.claim_wide(ports.base, ports.length, device)
        else:
            self._backplane.io.claim(ports.base, ports.length, device)

    def claim_nested(self, ports: PortRange, device: BytePorts) -> None:
        """Give `device` byte accesses to ports within a range that another device has."""
        self._check(ports, self._node.nested_ports)
        self._backplane.io.claim_nested(ports.base, ports.length, device)

    def map(self, place: MemoryRange, device: MmioDevice) -> None:
        """Give one of the node's memory ranges to `device`."""
        self._check(place, self._node.memory)
        self._backplane.addresses.claim(place.base, place.length, device)

    @property
    def grants(self) -> Grants:
        """How a device spares the next accesses: `steady()` and `absorb()`."""
        return self._backplane.grants

    @property
    def lender(self) -> PortLender | None:
        """What serves a port from a buffer, if there is anything that does."""
        return self._backplane.lender

    def below_firmware(self) -> tuple[int, MemoryBus]:
        """Where the firmware's code begins, and the addresses below it."""
        return self._backplane.rom_base, self._backplane.addresses

    def _check(self, wanted: PortRange | MemoryRange, claimed: tuple[object, ...]) -> None:
        if wanted not in claimed:
            raise ValueError(f"{self._node.id} does not claim {wanted}")

    # -- interrupts -------------------------------------------------------------------------

    def irq(self) -> Line:
        """A share of the node's ISA interrupt."""
        if self._node.irq is None:
            raise ValueError(f"{self._node.id} does not claim an interrupt")
        return self.isa_line(self._node.irq)

    def intx(self) -> Line:
        """What the node's PCI interrupt pin is wired to: a PIRQ, a fixed interrupt, or nothing."""
        node, backplane = self._node, self._backplane
        if node.pirq is not None:
            pin = backplane.controllers.pirq_pin(node.pirq)
            join = backplane.join_pirq
            return pin if join is None else Fork(join(node.pirq), pin)
        return self.irq() if node.irq is not None else Unconnected()

    def isa_line(self, irq: int) -> Line:
        """A share of any ISA interrupt, for a device that routes the interrupts of others."""
        return self._backplane.controllers.irq(irq)

    def route_pirqs(self, join: Callable[[int], Line]) -> None:
        """From now on pins are wired to PIRQs by `join(index)`, 0-7 for A-H."""
        self._backplane.join_pirq = join

    @property
    def controllers(self) -> Controllers:
        """The interrupt controllers."""
        return self._backplane.controllers

    # -- PCI --------------------------------------------------------------------------------

    def header(self) -> PciHeader:
        """The node's configuration header, programmed as firmware would if none is to run."""
        node = self._node
        if node.pci is None:
            raise ValueError(f"{node.id} is no PCI function")
        if self._backplane.has_firmware:
            return PciHeader(
                node.pci,
                bars=tuple(replace(bar, base=0) for bar in node.bars),
                interrupt_pin=node.pin,
                memory_bars=tuple(replace(bar, base=0) for bar in node.memory_bars),
            )
        command = COMMAND_IO if node.bars else 0
        return PciHeader(
            node.pci,
            bars=node.bars,
            interrupt_pin=node.pin,
            interrupt_line=node.irq if node.irq is not None else NO_INTERRUPT,
            command=command | (COMMAND_MEMORY if node.memory_bars else 0),
            memory_bars=node.memory_bars,
        )

    def slot(self) -> PciSlot:
        """What the node's function is plugged into: buses, pin, messages, its own way to RAM."""
        backplane = self._backplane
        messages = MessageBus(backplane.controllers.deliver, self.dma())
        return PciSlot(backplane.io, backplane.addresses, self.intx(), messages, self.dma())

    def bar_memory(self, index: int) -> BarMemory:
        """What is behind a BAR of the node that has `ram`."""
        address = self._node.address
        if address is None or all(bar.index != index for bar in self._node.memory_bars if bar.ram):
            raise ValueError(f"{self._node.id} claims no memory behind BAR {index}")
        at = home(address.slot, address.function, index)
        return BarMemory(at, self._backplane.memory.behind(at), self._backplane.addresses)

    def attach(self, function: PciFunction) -> None:
        """Put a function at the node's address."""
        address = self._node.address
        if address is None:
            raise ValueError(f"{self._node.id} has no place on the PCI bus")
        self._backplane.pci.attach(address.slot, address.function, function)

    @property
    def pci_bus(self) -> PciBus:
        """PCI bus 0."""
        return self._backplane.pci

    @property
    def io(self) -> PortBus:
        """The I/O ports, for functions whose I/O BARs move."""
        return self._backplane.io

    # -- PS/2 -------------------------------------------------------------------------------

    def offer_ps2(self, first: Socket, second: Socket) -> None:
        """From now on keyboards are plugged into `first`, mice into `second`."""
        self._backplane.ps2 = first, second

    @property
    def ps2_sockets(self) -> tuple[Socket, Socket]:
        """The keyboard controller's ports: for a keyboard, and for a mouse."""
        if self._backplane.ps2 is None:
            raise ValueError(f"{self._node.id} has no keyboard controller")
        return self._backplane.ps2

    # -- time, memory, the host -------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """Virtual time and timers."""
        return self._backplane.clock

    def dma(self) -> Dma:
        """The device's own way to RAM."""
        return Dma(self._backplane.memory, self._backplane.written)

    def blocks(self, key: str) -> Blocks:
        """The disk that the key of the node's table names."""
        for use in self._node.disks:
            if use.key == key:
                return self._backplane.open_blocks(use.name)
        raise ValueError(f"{self._node.id} has no disk in {key}")

    def channel(self, name: str = "") -> SerialChannel:
        """The device's serial port; of one that has several, the port of that name."""
        return self._backplane.open_channel(end_id(self._node.id, name))

    def cable(self) -> Cable:
        """What the device is plugged into, if it is a network card."""
        return self._backplane.open_cable(self._node.id)

    def share_end(self) -> ShareEnd:
        """Where the host meets what the device shares."""
        return self._backplane.open_share(self._node.id)

    # -- the machine ------------------------------------------------------------------------

    @property
    def reset_cpu(self) -> Callable[[], None]:
        """Resets the CPU alone: nothing behind the present access is executed."""
        return self._backplane.reset_cpu

    @property
    def reset(self) -> Callable[[], None]:
        """Resets the whole machine, in the same way."""
        return self._backplane.reset

    @property
    def power_off(self) -> Callable[[], None]:
        """Ends the machine: its power goes."""
        return self._backplane.power_off

    @property
    def end(self) -> Callable[[int], None]:
        """Ends the machine with an exit status."""
        return self._backplane.end

    def set_a20(self, enabled: bool) -> None:
        """The device's part in the A20 gate, which is open while any device has it so."""
        controls = self._backplane.a20_controls
        controls[self._node.id] = enabled
        self._backplane.set_a20(any(controls.values()))

    @property
    def epoch(self) -> int:
        """The calendar's time at virtual time 0: seconds since 1970-01-01T00:00:00Z."""
        return self._backplane.epoch

    @property
    def memory_size(self) -> int:
        """Bytes of RAM."""
        return self._backplane.memory_size

    @property
    def cpu_count(self) -> int:
        """CPUs."""
        return self._backplane.cpu_count

    @property
    def has_firmware(self) -> bool:
        """Whether firmware runs. If not, devices power on as it would have left them."""
        return self._backplane.has_firmware

    @property
    def firmware_items(self) -> Callable[[], Mapping[int, bytes | memoryview]]:
        """What the fw_cfg device tells firmware, by key."""
        return self._backplane.firmware_items
