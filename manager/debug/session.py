# SPDX-License-Identifier: BSD-2-Clause
"""One gdb and the machine it debugs: what each packet asks for, and what is answered.

Source: the GDB manual, appendix "GDB Remote Serial Protocol". Each CPU is a thread. The machine
stands still from the moment that gdb connects until it says continue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from manager.cpu.engine import Hit
from manager.debug import memory, packets, registers
from manager.debug.monitor import Monitor
from manager.debug.packets import FAILED, NO_MEMORY, OK, UNKNOWN
from manager.debug.points import Points
from manager.debug.reverse import Reverse
from manager.debug.threads import Threads
from manager.errors import VmmgrError

if TYPE_CHECKING:
    from manager.debug.target import Target

SIGINT, SIGTRAP = 2, 5
FEATURES = (
    "PacketSize={size:x};qXfer:features:read+;QStartNoAckMode+;swbreak+;hwbreak+;vContSupported+;"
    "ReverseStep+;ReverseContinue+"
)


class GdbSession:
    """`send` takes bytes for gdb."""

    def __init__(self, target: Target, send: Callable[[bytes], None]) -> None:
        self._target = target
        self._send = send
        self._reader = packets.Reader()
        self._acknowledges = True
        self._architecture = registers.architecture(target.machine)
        self._threads = Threads(target)
        self._points = Points()
        self._running = False
        self._attached = True
        self._stop = b"S05"
        self._monitor = Monitor(target)
        self._halt()

    # -- what happens to the machine ------------------------------------------------------

    def hit(self, hit: Hit, address: int) -> None:
        """The machine has come to something that it was to stop for."""
        self._target.hold(True)
        self._stopped(SIGTRAP, self._points.reason(hit, address))

    def ended(self, status: int) -> None:
        """The machine is over, or its process ends, with that exit status."""
        if self._running:
            self._running = False
            self._packet(b"W%02x" % (status & 0xFF))

    def detach(self) -> None:
        """No debugger any more: the machine goes on as if there had never been one."""
        if self._attached:
            self._attached = False
            machine = self._target.machine
            machine.on_hit = None
            machine.engine.debug((), ())
            self._target.hold(False)

    def _halt(self) -> None:
        self._target.hold(True)
        self._running = False

    def _stopped(self, signal: int, reason: bytes = b"") -> None:
        self._stop = self._stop_reply(signal, reason)
        if self._running:
            self._running = False
            self._packet(self._stop)

    def _stop_reply(self, signal: int, reason: bytes = b"") -> bytes:
        """It names the CPU whose turn it is; gdb asks about that one from now on."""
        self._threads.chosen = None
        return b"T%02xthread:%s;%s" % (signal, self._threads.present, reason)

    def _resume(self, *, step: bool, cpu: int | None = None) -> bytes | None:
        """Let the machine go on, or `cpu` take a step; the answer comes when it stops."""
        machine = self._target.machine
        machine.engine.debug(*self._points.wanted())
        machine.engine.debug_from_here(step, cpu)
        machine.on_hit = self.hit
        self._running = True
        self._target.hold(False)
        return None

    def _backwards(self, *, step: bool) -> bytes:
        """Go back; the answer is the stop."""
        try:
            way = Reverse(self._target)
            if step:
                found = b"" if way.step() else None
            else:
                hit = way.run(*self._points.wanted())
                found = self._points.reason(*hit) if hit is not None else None
        except VmmgrError as error:
            self._say(f"{error}\n")
            found = None
        self._stop = self._stop_reply(SIGTRAP, b"replaylog:begin;" if found is None else found)
        return self._stop

    def _say(self, text: str) -> None:
        """Have gdb print it."""
        for start in range(0, len(text), packets.LONGEST // 4):
            piece = text[start : start + packets.LONGEST // 4]
            self._packet(b"O" + piece.encode().hex().encode())

    # -- packets --------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take what gdb sent."""
        for item in self._reader.feed(data):
            if isinstance(item, packets.Interrupt):
                self._interrupted()
                continue
            if self._acknowledges:
                self._send(packets.ACK)
            answer = self._answer(item)
            if answer is not None:
                self._packet(answer)
        if self._acknowledges and packets.NAK in self._reader.acknowledge:
            self._send(packets.NAK)

    def _packet(self, content: bytes) -> None:
        self._send(packets.frame(content))

    def _interrupted(self) -> None:
        if self._running:
            self._target.hold(True)
            self._stopped(SIGINT)

    def _answer(self, packet: bytes) -> bytes | None:
        """The answer, or None while the machine runs."""
        if packet[:1] == b"X":
            return self._store_binary(packet[1:])
        try:
            return self._answer_text(packet.decode("ascii"))
        except (ValueError, IndexError, OverflowError):
            return FAILED

    def _answer_text(self, packet: str) -> bytes | None:
        command, rest = packet[:1], packet[1:]
        match command:
            case "?":
                return self._stop
            case "g":
                state = self._threads.cpu.read_state()
                return b"".join(item.encode(state) for item in self._registers)
            case "G":
                return self._write_all(bytes.fromhex(rest))
            case "p":
                return self._registers[int(rest, 16)].encode(self._threads.cpu.read_state())
            case "P":
                number, _, value = rest.partition("=")
                register = self._registers[int(number, 16)]
                return self._write(register, bytes.fromhex(value))
            case "m":
                return self._load(*_pair(rest))
            case "M":
                where, _, data = rest.partition(":")
                return self._store(_pair(where)[0], bytes.fromhex(data))
            case "Z" | "z":
                return self._points.change(rest, insert=command == "Z")
            case "c" | "s":
                if rest:
                    self._jump(int(rest, 16))
                return self._resume(step=command == "s", cpu=self._threads.chosen)
            case "C" | "S":
                return self._resume(step=command == "S", cpu=self._threads.chosen)
            case "b" if rest in ("s", "c"):
                return self._backwards(step=rest == "s")
            case "v":
                return self._verbose(rest)
            case "q" | "Q":
                return self._query(packet)
            case "H":
                return self._threads.choose(rest)
            case "T":
                return self._threads.alive(rest)
            case "D":
                self.detach()
                return OK
            case "k":
                self._target.power_off()
                return None
        return UNKNOWN

    @property
    def _registers(self) -> tuple[registers.Register, ...]:
        return registers.registers(self._architecture)

    def _jump(self, address: int) -> None:
        counter = next(item for item in self._registers if item.name in ("rip", "eip"))
        registers.write(self._threads.cpu, counter, address)

    def _verbose(self, rest: str) -> bytes | None:
        if rest == "Cont?":
            return b"vCont;c;C;s;S"
        if rest.startswith("Cont;"):
            cpu = self._threads.stepper(rest[5:].split(";"))
            return self._resume(step=cpu is not None, cpu=None if cpu == -1 else cpu)
        if rest.startswith("Kill"):
            self._target.power_off()
            return OK
        return UNKNOWN

    def _query(self, packet: str) -> bytes:
        name, _, rest = packet.partition(":")
        match name:
            case "qSupported":
                return FEATURES.format(size=packets.LONGEST).encode()
            case "QStartNoAckMode":
                self._acknowledges = False
                return OK
            case "qXfer" if rest.startswith("features:read:target.xml:"):
                return self._part(registers.description(self._architecture), rest)
            case "qAttached":
                return b"1"
            case "qC":
                return b"QC" + self._threads.present
            case "qfThreadInfo":
                return b"m" + self._threads.listed()
            case "qsThreadInfo":
                return b"l"
            case "qSymbol":
                return OK
        if packet.startswith("qRcmd,"):
            return self._command(bytes.fromhex(packet[6:]).decode("utf-8", "replace"))
        if packet.startswith("qThreadExtraInfo,"):
            return self._threads.about(packet.partition(",")[2])
        return UNKNOWN

    @staticmethod
    def _part(document: str, rest: str) -> bytes:
        offset, length = _pair(rest.rpartition(":")[2])
        piece = document[offset : offset + length]
        return (b"m" if offset + length < len(document) else b"l") + piece.encode()

    def _command(self, line: str) -> bytes:
        try:
            text = self._monitor.run(line)
        except VmmgrError as error:
            text = f"{error}\n"
        self._say(text)
        return OK

    # -- registers, memory, points --------------------------------------------------------

    def _write(self, register: registers.Register, value: bytes) -> bytes:
        done = registers.write(self._threads.cpu, register, int.from_bytes(value, "little"))
        return OK if done else FAILED

    def _write_all(self, values: bytes) -> bytes:
        """What can be written is; the rest, which gdb sends along unchanged, is left."""
        at = 0
        for register in self._registers:
            size = register.bits // 8
            value = values[at : at + size]
            at += size
            if len(value) == size and register.name != "eflags":
                self._write(register, value)
        return OK

    def _load(self, address: int, length: int) -> bytes:
        machine, physical = self._target.machine, self._monitor.physical
        length = min(length, packets.LONGEST // 2 - 1)
        data = memory.load(machine, address, length, physical=physical, cpu=self._threads.cpu)
        return data.hex().encode() if data or not length else NO_MEMORY

    def _store(self, address: int, data: bytes) -> bytes:
        machine, physical = self._target.machine, self._monitor.physical
        done = memory.store(machine, address, data, physical=physical, cpu=self._threads.cpu)
        return OK if done else NO_MEMORY

    def _store_binary(self, rest: bytes) -> bytes:
        where, _, data = rest.partition(b":")
        try:
            return self._store(_pair(where.decode("ascii"))[0], packets.unescape(data))
        except (ValueError, IndexError):
            return FAILED


def _pair(text: str) -> tuple[int, int]:
    """`ADDRESS,LENGTH` in hex."""
    first, _, second = text.partition(",")
    return int(first, 16), int(second, 16)
