# SPDX-License-Identifier: BSD-2-Clause
"""A running machine: an engine, a board, and the loop that lets virtual time pass.

Long because what starts, resets, halts and ends a machine is decided beside that loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from manager.bus.clock import Clock
from manager.bus.grants import NO_GRANTS
from manager.bus.memory import ADDRESS_SPACE, FOUR_GIB, Memory, RamRegion
from manager.bus.mmio import MemoryBus
from manager.bus.ports import PortBus
from manager.bus.record import NEVER, Record
from manager.cpu.engine import Cpu, Hit, PcEngine, Stop
from manager.cpu.state import CpuState
from manager.devices import own
from manager.devices.rom import Rom, RomState
from manager.errors import ExitCode, UsageError
from manager.graph.nodes import FirmwareBoot, Graph
from manager.machine import bar_memory, engines, state
from manager.machine.board import Board, Outside
from manager.machine.boot_images import BootImages
from manager.machine.cpus import Cpus
from manager.machine.disks import Disks, open_disks
from manager.machine.ended import Ended, EndReason
from manager.machine.inputs import Inputs
from manager.machine.network_port import NetworkPort
from manager.machine.places import CpuPlace, of_engine
from manager.machine.platform import PcPlatform
from manager.machine.serial_port import SerialPort
from manager.machine.share_port import SharePort
from manager.machine.trace import Trace
from manager.snapshot.image import Image
from manager.snapshot.image import RamRegion as SavedRegion
from manager.snapshot.read import Snapshot

if TYPE_CHECKING:
    from manager.machine.mark import Mark
    from manager.screen.screen import Screen

FIRST_BIOS_CALL = 0x10
"""Interrupts below are exceptions and the 8259's."""
RESET_TIME = 1_000_000
"""ns for which a reset holds the machine, PCI's shortest; time passes even in a reset loop."""

PATIENCE = 20_000_000
"""Host ns for which the event loop waits for a slice, whatever the guest does."""


class Machine:
    """A PC. `power_on` starts one from its graph, `restore` from a snapshot.

    `engine` is what runs its CPUs, fresh; by default what `engines.make` gives. What happens in
    a machine depends on the graph, the images it boots and the input fed to its ports; not on how
    `run` is cut into slices.
    """

    def __init__(
        self,
        graph: Graph,
        engine: PcEngine,
        memory: Memory,
        rom: Rom | None = None,
        disks: Disks | None = None,
        images: BootImages | None = None,
    ) -> None:
        self.graph = graph
        self.disks = disks if disks is not None else Disks({}, {})
        self.images = images if images is not None else BootImages({})
        """What it was booted from."""
        self.engine = engine
        self.memory = memory
        self._rom = rom
        # A trace of ports sees each access, so nothing is granted or lent.
        spares = "ports" not in graph.debug.trace
        io = self._io = PortBus(engine if spares else NO_GRANTS)
        self.trace = Trace(graph, self.now, lambda: engine.current)
        if graph.debug.strict_io:
            io.on_unclaimed = self._strict_io
        for region in memory.everything:
            self.engine.map_ram(region.base, region.memory, 0, region.length)
        chips = [(rom.base, len(rom.memory))] if rom is not None else []
        if rom is not None:
            self.engine.map_rom(rom.base, rom.memory)
        for base, length in memory.holes(chips):
            self.engine.map_hole(base, length)
        before = [*((region.base, region.length) for region in memory.regions), *chips]
        addresses = MemoryBus(before, self.engine)
        self.clock = Clock(self.engine.now, self._deadline_moved)
        self._reset_wanted: Literal["cpu", "board"] | None = None
        self._bios_call: int | None = None
        self._stop_requested = False
        self._ended: Ended | None = None
        self._mark: Mark | None = None
        self.on_hit: Callable[[Hit, int], None] | None = None
        """Called with what a debugger asked the engine to stop for, after run() has returned."""
        self._cpus = Cpus(engine)
        self._board = Board(
            graph,
            io,
            self.clock,
            Outside(
                cpus=self._cpus.pins(),
                current=lambda: engine.current,
                set_a20=self.engine.set_a20,
                reset_cpu=lambda: self._want_reset("cpu"),
                reset=lambda: self._want_reset("board"),
                power_off=self._power_off,
                end=self._debug_exit,
                memory=memory,
                addresses=addresses,
                blocks=self.disks.blocks,
                written=self.engine.invalidate,
                grants=engine if spares else NO_GRANTS,
                lender=engine if spares else None,
                rom_base=rom.base if rom is not None else FOUR_GIB,
                post=lambda kind, port, data: self.inputs.post(kind, port, data),
            ),
        )
        self.inputs = Inputs(self.clock, self._board.deliver)
        for cpu, lapic in zip(engine.cpus, self._board.interrupts.lapics, strict=True):
            cpu.connect(PcPlatform(io, lapic, self.trace))
        self.trace.pci(self._board.pci)
        if "msr" in graph.debug.trace:
            self.engine.watch_msrs(self.trace.msr)
        if rom is None:
            self.engine.watch_bios_calls(self._bios_called)
        if graph.debug.trace_file is not None:
            self.trace.open(graph.debug.trace_file)

    @classmethod
    def power_on(
        cls, graph: Graph, engine: PcEngine | None = None, *, disks: Disks | None = None
    ) -> Machine:
        """A machine about to execute its first instruction.

        `disks` are the machine's to close; by default they are as the graph says that they begin.
        Raises BootImageError; HostError and UsageError for what cannot be a disk.
        """
        from manager.boot import firmware  # here and below: no restored machine needs it

        memory = Memory.blank(graph.memory_size, bar_memory.layout(graph))
        rom, variables = None, b""
        if isinstance(graph.boot, FirmwareBoot):
            rom = Rom(RomState(bytearray(firmware.read_rom(graph.boot, memory))))
            firmware.items(graph, memory)  # what cannot be booted is known before anything runs
            variables = firmware.read_variables(graph.boot)
        images = BootImages.of(graph)
        disks = disks if disks is not None else open_disks(graph)
        machine = cls(graph, engine or engines.make(graph), memory, rom, disks, images)
        machine._board.fit_flash(variables)
        machine._boot()
        return machine

    @classmethod
    def restore(
        cls,
        graph: Graph,
        snapshot: Snapshot,
        engine: PcEngine | None = None,
        *,
        disks: Disks | None = None,
        reschedule: bool = False,
    ) -> Machine:
        """The machine that `snapshot` holds, with its disks, or with `disks`, which it closes.

        With `reschedule` it may have had another schedule until then; that of `graph` begins.

        Raises SnapshotMismatchError when the graph is not that machine's or an image has changed,
        SnapshotCorruptError when a record cannot be read; in all cases nothing has been applied.
        """
        from manager.machine.match import check

        check(graph, snapshot, any_schedule=reschedule)
        memory = Memory([RamRegion(base, mapped) for base, mapped in snapshot.map_ram()])
        rom = None
        if isinstance(graph.boot, FirmwareBoot):
            rom = Rom(snapshot.record(state.ROM_ID, RomState))
        disks = disks if disks is not None else open_disks(graph, snapshot)
        images = BootImages(snapshot.images)
        machine = cls(graph, engine or engines.make(graph), memory, rom, disks, images)
        with own.reported(f"the state of {graph.name}"):
            state.load(snapshot, machine.engine, machine._board, reschedule=reschedule)
        return machine

    @property
    def cpu(self) -> Cpu:
        """The CPU whose turn it is."""
        return self.engine.cpus[self.engine.current]

    @property
    def rom(self) -> Rom | None:
        """The firmware's chip, in a machine that starts from one."""
        return self._rom

    @property
    def ports(self) -> dict[str, SerialPort]:
        """The serial ports by device id."""
        return self._board.ports

    @property
    def network_ports(self) -> dict[str, NetworkPort]:
        """The places where its network cards meet the host, by device id."""
        return self._board.network_ports

    @property
    def share_ports(self) -> dict[str, SharePort]:
        """The places where the host meets its shares, by device id."""
        return self._board.share_ports

    @property
    def resets(self) -> int:
        """How often it was reset since power-on."""
        return self._board.resets

    @property
    def last_unclaimed_port(self) -> tuple[int, bool] | None:
        """The last port that no device has, and whether it was written to."""
        return self._io.last_unclaimed

    def advice(self) -> dict[str, str]:
        """What the user may want to know of a serial port, by its id; one line each."""
        devices = self._board.devices
        found = ((id, devices[id].advice()) for id in self.ports if id in devices)
        return {id: text for id, text in found if text}

    def screen(self) -> Screen | None:
        """What its card shows now; None without one. Video memory is the guest's, not a copy."""
        from manager.screen.screen import Screen

        vga = self._board.vga
        return Screen(vga.state, vga.planes.memory, self.now()) if vga is not None else None

    def screen_text(self) -> str:
        """The rows of its screen; nothing without one, and in a graphics mode."""
        screen = self.screen()
        return "\n".join(screen.lines() or ()) if screen is not None else ""

    def places(self) -> list[CpuPlace]:
        """Where each CPU is."""
        return of_engine(self.engine)

    def now(self) -> int:
        """Virtual time in ns."""
        return self.engine.now()

    # -- the run loop ---------------------------------------------------------------------

    def run(self, until: int, *, yielding: bool = False) -> Ended | None:
        """Let time pass until `until`, the end of the machine, stop(), or a debugger's hit.

        With `yielding` it also returns before that, when the host has waited for long, so that the
        event loop gets a turn. An exception in a device of the user's own ends
        the machine.
        """
        try:
            return self._run(until, yielding)
        except Exception as error:
            fault = own.blame(error)
            if fault is None:
                raise
            self._end("device", ExitCode.GUEST_FAULT, f"a device of your own failed: {fault}")
            return self._ended

    def _run(self, until: int, yielding: bool) -> Ended | None:
        engine, clock = self.engine, self.clock
        patience = time.monotonic_ns() + PATIENCE if yielding else NEVER
        self._stop_requested = False
        if engine.in_block and not self._note(engine.run(engine.now())):
            return self._ended
        while self._ended is None:
            clock.run_due()
            self._cpus.start_and_stop()
            now = engine.now()
            if now >= until or self._stop_requested or time.monotonic_ns() >= patience:
                break
            deadline = min(until, clock.next_deadline())
            if engine.idle():
                engine.advance(deadline)
            else:
                stop = engine.run(deadline)
                # What falls due while a reset holds the machine comes before the event loop's turn.
                yields = yielding and stop is Stop.KICK and self._reset_wanted is None
                if not self._note(stop) or yields:
                    break
        return self._ended

    def stop(self) -> None:
        """Make run() return at the next block; for port callbacks and timers."""
        self._stop_requested = True
        self.engine.kick()

    def idle_until(self) -> int | None:
        """None while a CPU is busy; else the time of the next event, or NEVER."""
        if self.engine.idle():
            return self.clock.next_deadline()
        return None

    def _note(self, stop: Stop) -> bool:
        """Whether the run may go on, as far as the CPUs are concerned."""
        self._cpus.start_and_stop()
        if self._reset_wanted is not None:
            self._reset()
        elif self._bios_call is not None:
            place = f"INT {self._bios_call:X}h at {_place(self.cpu.read_state())}"
            detail = f"the guest calls the BIOS by {place}, and there is none"
            self._end("no-bios", ExitCode.GUEST_FAULT, f"{detail}: set `boot.firmware`")
        elif stop is Stop.DEBUGGER:
            if self.on_hit is not None:
                self.on_hit(*self.engine.hit)
            return False
        elif stop is Stop.HALT:
            if self._cpus.deaf() and not self._board.may_raise_nmi():
                self._end("halted", ExitCode.OK, "the guest halted with interrupts off")
        elif stop is Stop.SHUTDOWN:
            self._triple_fault()
        elif stop is Stop.FAULT:
            place = _place(self.cpu.read_state())
            detail = f"the engine cannot go on at {place}: {self.engine.fault}"
            self._end("engine", ExitCode.GUEST_FAULT, detail)
        return True

    def _end(self, reason: EndReason, status: int, detail: str) -> None:
        if self._ended is None:
            self._ended = Ended(reason, status, detail)
            self.engine.abandon()

    def _debug_exit(self, status: int) -> None:
        self._end("debug-exit", status, f"the guest ended the machine with status {status}")

    def _power_off(self) -> None:
        self._end("power-off", ExitCode.OK, "the guest powered the machine off")

    def _strict_io(self, port: int, is_write: bool) -> None:
        access = "OUT to" if is_write else "IN from"
        detail = f"{access} port {port:#x}, which no device has, with strict-io on"
        self._end("strict-io", ExitCode.GUEST_FAULT, detail)

    def _bios_called(self, number: int) -> None:
        if number >= FIRST_BIOS_CALL:
            self._bios_call = number
            self.engine.abandon()

    def _triple_fault(self) -> None:
        """A PC's chipset answers it with a reset of the CPU."""
        if self.graph.debug.on_triple_fault == "reset":
            self._want_reset("cpu")
            self._reset()
        else:
            place = _place(self.cpu.read_state())
            self._end("triple-fault", ExitCode.GUEST_FAULT, f"triple fault at {place}")

    def _want_reset(self, what: Literal["cpu", "board"]) -> None:
        self._reset_wanted = what
        self.engine.abandon()

    def _reset(self) -> None:
        """Begin anew: RAM cleared, devices at power-on, the boot image loaded again.

        When the CPU alone was reset, a shutdown code in CMOS may ask for less.
        """
        what, self._reset_wanted = self._reset_wanted, None
        self.engine.advance(self.now() + RESET_TIME)
        if what == "cpu" and self._go_on_after_reset():
            return
        if self.graph.debug.on_reset == "stop":
            self._end("reset", ExitCode.OK, 'the guest asked for a reset, and on-reset is "stop"')
            return
        self.engine.invalidate(0, ADDRESS_SPACE)
        self.memory.clear()
        self._board.reset()
        self._boot()

    # -- a point to go back to ------------------------------------------------------------

    def mark(self) -> None:
        """Go `back` here from now on, in place of any point before. Only outside run().

        As after a restore its CPUs have empty TLBs, so the guest sees no difference between this
        run and the ones after `back`. Raises UsageError when it is over or being recorded,
        HostError.
        """
        from manager.machine.mark import Mark, refuse_recorded

        refuse_recorded(self.inputs)
        self._finish_block()
        if self._ended is not None:
            raise UsageError("there is nothing to go back to: the machine is over")
        if self._mark is not None:
            self._mark.forget()
            self._mark = None
        with own.reported(f"the state of {self.graph.name}"):
            self._mark = Mark(self.engine, self._board, self.inputs, self.disks)

    @property
    def point(self) -> Mark | None:
        """Where `back` goes, if anywhere."""
        return self._mark

    def back(self) -> int:
        """Everything of the guest as it was at the mark, which stays; how many pages were not.

        What the host has plugged in, breakpoints among it, stays as it is. Raises UsageError
        when there is no mark, the run is being recorded or the engine has crashed; HostError.
        """
        if self._mark is None:
            raise UsageError("there is no mark to go back to")
        self._ended = self._reset_wanted = self._bios_call = None
        with own.reported(f"the state of {self.graph.name}"):
            pages = self._mark.go_back()
        self._cpus.forget()
        return pages

    def reseed(self, graph: Graph) -> None:
        """Have its turns drawn as `graph` says, which differs in the seed alone, from here on."""
        seeded = engines.seeded(graph)
        assert seeded is not None
        self.graph = graph
        self.engine.follow_seed(seeded)

    def _go_on_after_reset(self) -> bool:
        """Do what the shutdown code asks for, if anything, with RAM as it is."""
        code = self._board.rtc.shutdown_code
        if code == 0:
            return False
        state = CpuState.at_reset()  # firmware reads the code by itself
        if self._rom is None:
            from manager.boot import warm

            found = warm.resume(code, self.memory)
            self._board.rtc.clear_shutdown_code()
            if found is None:
                return False
            state = found
            if code == warm.JUMP_WITH_EOI:
                self._board.end_of_interrupt()
        kept = [cpu.read_state() for cpu in (self.engine.cpus[0], self.engine.cpus[-1])]
        other = replace(CpuState.at_reset(), a20=kept[1].a20, msr=kept[1].msr)
        self._cpus.reset(replace(state, a20=kept[0].a20), other)
        self._board.reset_cpu()
        return True

    def _boot(self) -> None:
        """What firmware would do: leave tables for the guest to find, load it, enter it."""
        if self._rom is not None:
            self._rom.shadow(self.memory)
            self._cpus.reset(CpuState.at_reset(), CpuState.at_reset())
            return
        from manager.boot import firmware_tables, loader, mtrr

        if (vga := self._board.vga) is not None:
            vga.start_text_mode()
        tables = firmware_tables.place(self.graph, self.memory)
        first = loader.load(self.graph.boot, self.memory, tables.rsdp, has_screen=vga is not None)
        other = CpuState.at_reset()
        for cpu in (first, other):
            mtrr.program(cpu.msr)
        self._cpus.reset(first, other)

    def _deadline_moved(self) -> None:
        self.engine.limit(self.clock.next_deadline())

    # -- snapshots ------------------------------------------------------------------------

    def run_to_image(self) -> Image:
        """Run until no input is on its way, then say all that a snapshot holds.

        Input arrives within a nanosecond or so; a block that a debugger has stopped in is finished.
        """
        from manager.graph import identity

        self._finish_block()
        while self._ended is None and (arrival := self.inputs.last_at) is not None:
            with self.engine.undebugged():
                self.run(arrival)
        ticks, charged = self.engine.time
        return Image(
            machine=self.graph.name,
            virtual_time=self.now(),
            executed=ticks - charged,
            identity_hash=identity.identity_hash(self.graph),
            full_hash=identity.full_hash(self.graph),
            identity=identity.identity(self.graph),
            config=identity.to_plain(self.graph),
            records=self.records(),
            ram=[SavedRegion(region.base, region.memory) for region in self.memory.everything],
            disks=self.disks,
            images=self.images.digests(),
        )

    def _finish_block(self) -> None:
        """Run the rest of a block that a debugger has stopped in, so that the stop leaves no trace.

        Without it the rest would be charged twice after a restore, or be missing in a replay.
        """
        if self.engine.in_block and self._ended is None:
            with self.engine.undebugged():
                self._note(self.engine.run(self.engine.now()))

    def records(self, *, as_it_is: bool = False) -> dict[str, Record]:
        """The state of the CPU, of time and of every device by id, in a fixed order.

        RAM and input on its way are not in it. Only between blocks: in a timer, or outside run();
        a block that a debugger has stopped in is finished, unless it is to stay `as_it_is`.
        """
        if not as_it_is:
            self._finish_block()
        with own.reported(f"the state of {self.graph.name}"):
            return state.save(self.engine, self._rom, self._board)

    def close(self) -> None:
        """Let go of the host's resources."""
        self.trace.close()
        self.disks.close()

    def free(self) -> None:
        """Close it, and give its engine and RAM back now, not with the last reference to them."""
        self.close()
        self.engine.close()
        for region in self.memory.everything:
            with suppress(BufferError):  # a program still looks at it
                region.memory.close()


def _place(cpu: CpuState) -> str:
    return f"{cpu.cs.selector:04x}:{cpu.rip:x}"
