# SPDX-License-Identifier: BSD-2-Clause
"""What gdb asks and is answered, without gdb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import suite

from manager.cpu.state import CpuState
from manager.debug import packets
from manager.debug.packets import Interrupt, Reader, frame
from manager.debug.paging import translate
from manager.debug.session import GdbSession
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.machine import Machine

pytestmark = pytest.mark.guest

HELLO = Path(__file__).parents[3] / "machines/hello.toml"


class Target:
    """Stands for the process that owns the machine."""

    def __init__(self, graph: Graph | None = None) -> None:
        self.machine = Machine.power_on(graph or load_graph(HELLO))
        self.held = False
        self.powered_off = False

    def hold(self, held: bool) -> None:
        self.held = held

    def suspend(self) -> dict[str, Any]:
        return {"snapshot": "somewhere"}

    def power_off(self) -> None:
        self.powered_off = True

    def rewind(self, *, back: int | None, to: int | None, inputs: int | None) -> dict[str, Any]:
        raise AssertionError("nothing leads back")

    def history(self) -> None:
        return None


class Gdb:
    """Sends packets and collects the answers."""

    def __init__(self, graph: Graph | None = None) -> None:
        self.target = Target(graph)
        self.sent = bytearray()
        self.session = GdbSession(self.target, self.sent.extend)

    def ask(self, packet: bytes) -> bytes:
        """The content of the answer; empty when there is none yet or it is empty."""
        self.sent.clear()
        self.session.receive(frame(packet))
        return self.answer()

    def answer(self) -> bytes:
        found = [item for item in Reader().feed(bytes(self.sent)) if isinstance(item, bytes)]
        return found[-1] if found else b""

    def run(self, nanoseconds: int = 50_000_000) -> bytes:
        """Let the machine run, if gdb lets it, and return what gdb was told."""
        self.sent.clear()
        if not self.target.held:
            self.target.machine.run(self.target.machine.now() + nanoseconds)
        return self.answer()


@pytest.fixture
def gdb() -> Gdb:
    return Gdb()


def test_packets_survive_any_cutting() -> None:
    stream = b"+" + frame(b"qSupported") + b"\x03" + frame(b"m0,10")

    for size in range(1, len(stream)):
        reader = Reader()
        found = [
            item
            for at in range(0, len(stream), size)
            for item in reader.feed(stream[at : at + size])
        ]
        assert [item if isinstance(item, bytes) else "interrupt" for item in found] == [
            b"qSupported",
            "interrupt",
            b"m0,10",
        ]


def test_wrong_checksum_is_asked_for_again(gdb: Gdb) -> None:
    gdb.session.receive(b"$g#00")

    assert bytes(gdb.sent) == b"-"


@given(st.binary(max_size=64))
def test_escapes_go_there_and_back(data: bytes) -> None:
    assert packets.unescape(packets.escape(data)) == data


def test_machine_stands_still_while_gdb_has_it(gdb: Gdb) -> None:
    assert gdb.target.held
    assert gdb.ask(b"?") == b"S05"


def test_description_fits_the_registers(gdb: Gdb) -> None:
    text = gdb.ask(b"qXfer:features:read:target.xml:0,3fff").decode()
    bits = [int(piece.split('"')[0]) for piece in text.split('bitsize="')[1:]]

    assert text.startswith("l<?xml")
    assert len(gdb.ask(b"g")) == sum(bits) // 4
    assert "<architecture>i386</architecture>" in text


def test_description_comes_in_pieces(gdb: Gdb) -> None:
    whole = gdb.ask(b"qXfer:features:read:target.xml:0,3fff")[1:]

    first = gdb.ask(b"qXfer:features:read:target.xml:0,64")
    rest = gdb.ask(b"qXfer:features:read:target.xml:64,3fff")

    assert first[:1] == b"m"
    assert first[1:] + rest[1:] == whole


def test_breakpoint_is_reported_with_its_kind(gdb: Gdb) -> None:
    assert gdb.ask(b"Z0,7c02,1") == b"OK"
    assert gdb.ask(b"Z1,7c04,1") == b"OK"
    gdb.ask(b"vCont;c")

    assert gdb.run() == b"T05thread:1;swbreak:;"
    assert gdb.target.held
    gdb.ask(b"c")
    assert gdb.run() == b"T05thread:1;hwbreak:;"
    assert gdb.ask(b"p8") == (0x7C04).to_bytes(4, "little").hex().encode()


def test_removed_breakpoint_does_not_stop(gdb: Gdb) -> None:
    gdb.ask(b"Z0,7c02,1")
    gdb.ask(b"z0,7c02,1")
    gdb.ask(b"c")

    assert gdb.run() == b""
    assert not gdb.target.held


def test_step_is_one_instruction(gdb: Gdb) -> None:
    gdb.ask(b"s")

    assert gdb.run() == b"T05thread:1;"
    assert gdb.ask(b"p8") == b"017c0000"


def test_interrupt_stops_a_machine_that_runs(gdb: Gdb) -> None:
    gdb.ask(b"c")
    gdb.run()

    gdb.sent.clear()
    gdb.session.receive(b"\x03")

    assert gdb.target.held
    assert gdb.answer() == b"T02thread:1;"


def test_memory_reads_end_where_memory_does(gdb: Gdb) -> None:
    code = gdb.target.machine.memory.read(0x7C00, 4).hex().encode()

    assert gdb.ask(b"m7c00,4") == code
    assert gdb.ask(b"m9fffe,10") == b"0000"
    assert gdb.ask(b"ma0000,4") == b"E14"
    assert gdb.ask(b"Ma0000,1:00") == b"E14"
    assert gdb.ask(b"M500,2:beef") == b"OK"
    assert gdb.ask(b"m500,2") == b"beef"


def test_detached_machine_goes_on_without_breakpoints(gdb: Gdb) -> None:
    gdb.ask(b"Z0,7c02,1")

    assert gdb.ask(b"D") == b"OK"
    assert not gdb.target.held
    assert gdb.run() == b""


def test_way_back_without_a_record_ends_at_once(gdb: Gdb) -> None:
    assert gdb.ask(b"bs") == b"T05thread:1;replaylog:begin;"
    assert gdb.ask(b"bc") == b"T05thread:1;replaylog:begin;"


@pytest.fixture
def three(tmp_path: Path) -> Gdb:
    """A guest on three CPUs, all of them started."""
    gdb = Gdb(suite.graph(tmp_path, "smp", 64, cpu="count = 3"))
    gdb.target.machine.run(1_000_000)
    return gdb


def test_each_cpu_is_a_thread(three: Gdb) -> None:
    machine = three.target.machine
    places = [cpu.read_state().rip for cpu in machine.engine.cpus]

    assert three.ask(b"qfThreadInfo") == b"m1,2,3"
    assert three.ask(b"qThreadExtraInfo,2") == b"CPU 1".hex().encode()
    assert [three.ask(b"T%d" % n) for n in range(1, 5)] == [b"OK"] * 3 + [b"E01"]
    assert three.ask(b"Hg4") == b"E01"
    for number, rip in enumerate(places):
        assert three.ask(b"Hg%d" % (number + 1)) == b"OK"
        assert three.ask(b"p10") == rip.to_bytes(8, "little").hex().encode()
    assert three.ask(b"Hg0") == b"OK"
    assert three.ask(b"qC") == b"QC%d" % (machine.engine.current + 1)


def test_a_register_is_of_the_thread_that_was_chosen(three: Gdb) -> None:
    three.ask(b"Hg3")
    three.ask(b"P2=8877665544332211")

    cpus = three.target.machine.engine.cpus
    assert [cpu.read_state().gpr[1] == 0x1122334455667788 for cpu in cpus] == [False, False, True]


def test_a_step_is_of_the_thread_that_was_named(three: Gdb) -> None:
    for thread in (3, 2, 2, 1):
        before = three.target.machine.engine.cpus[thread - 1].read_state().rip
        three.ask(b"vCont;s:%d;c" % thread)
        assert three.run() == b"T05thread:%d;" % thread
        assert three.target.machine.engine.cpus[thread - 1].read_state().rip != before
    assert three.ask(b"vCont;s:9") == b"E01"


def test_kill_pulls_the_plug(gdb: Gdb) -> None:
    gdb.ask(b"k")

    assert gdb.target.powered_off


def test_end_of_the_machine_is_an_exit(gdb: Gdb) -> None:
    gdb.ask(b"c")
    gdb.sent.clear()

    gdb.session.ended(43)

    assert gdb.answer() == b"W2b"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("help", "suspend"),
        ("info", "real mode"),
        ("devices", "lpc.com1"),
        ("devices lpc.com1", "lcr"),
        ("devices nothing", "no device"),
        ("irq", "board.lapic"),
        ("translate 0x7c00", "at 0x7c00"),
        ("phys 0x7c00 4", "000000007c00  "),
        ("phys on", "physical now"),
        ("phys nonsense", "address"),
        ("frobnicate", "no command"),
        ("suspend", "somewhere"),
        ("", "this list"),
    ],
)
def test_monitor_commands(gdb: Gdb, line: str, expected: str) -> None:
    gdb.sent.clear()
    gdb.session.receive(frame(b"qRcmd," + line.encode().hex().encode()))
    answers = [item for item in Reader().feed(bytes(gdb.sent)) if isinstance(item, bytes)]

    text = b"".join(bytes.fromhex(item[1:].decode()) for item in answers if item[:1] == b"O"
                    and item != b"OK").decode()  # fmt: skip
    assert expected in text
    assert answers[-1] == b"OK"


_ONE = Gdb()


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            bytes.__add__,
            st.sampled_from([b"Z0,", b"z2,", b"m", b"M", b"X", b"P", b"p", b"G", b"qXfer:", b"H",
                             b"vCont", b"qRcmd,", b"T", b"Z3,ff,", b"qXfer:features:read:target"
                             b".xml:"]),
            st.text("0123456789abcdef,;:=#}$*", max_size=20).map(str.encode),
        ),
    )
)  # fmt: skip
def test_no_packet_is_too_strange(content: bytes) -> None:
    _ONE.session.receive(frame(content))

    assert isinstance(next(Reader().feed(frame(b"x"))), bytes)
    _ONE.session.receive(b"\x03" + frame(b"?"))
    assert _ONE.target.machine.now() == 0


def test_interrupt_in_a_stream_is_told_from_packets() -> None:
    assert [type(item) for item in Reader().feed(b"\x03")] == [Interrupt]


def test_linear_addresses_follow_4_level_tables() -> None:
    memory = bytearray(0x8000)

    def entry(table: int, index: int, value: int) -> None:
        memory[table + 8 * index : table + 8 * index + 8] = value.to_bytes(8, "little")

    entry(0x1000, 511, 0x2003)
    entry(0x2000, 510, 0x3003)
    entry(0x2000, 509, 0x40000083)  # 1 GiB
    entry(0x3000, 0, 0x4003)
    entry(0x3000, 1, 0x200083)  # 2 MiB
    entry(0x4000, 5, 0x8000000000007003)
    state = CpuState(cr0=0x80000001, cr3=0x1000, cr4=0x20, efer=0x500)

    def load(address: int, length: int) -> bytes:
        if address + length > len(memory):
            raise ValueError
        return bytes(memory[address : address + length])

    top = 0xFFFFFFFF80000000
    assert translate(state, top + 0x5123, load) == 0x7123
    assert translate(state, top + 0x6000, load) is None
    assert translate(state, top + 0x212345, load) == 0x212345
    assert translate(state, top - 0x40000000 + 0x1234, load) == 0x40001234
    assert translate(state, 0x1000_0000_0000_0000, load) is None


def test_linear_addresses_follow_32_bit_tables() -> None:
    memory = bytearray(0x4000)
    memory[0x1000 + 4 : 0x1000 + 8] = (0x2003).to_bytes(4, "little")
    memory[0x1000 + 8 : 0x1000 + 12] = (0x00C00083).to_bytes(4, "little")
    memory[0x2000 + 12 : 0x2000 + 16] = (0x5003).to_bytes(4, "little")
    state = CpuState(cr0=0x80000001, cr3=0x1000, cr4=0x10)

    def load(address: int, length: int) -> bytes:
        return bytes(memory[address : address + length])

    assert translate(state, 0x403456, load) == 0x5456
    assert translate(state, 0x812345, load) == 0xC12345
    assert translate(state, 0x0, load) is None
    state.a20 = False
    assert translate(state, 0x912345, load) == 0xC12345
