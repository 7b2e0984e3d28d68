# SPDX-License-Identifier: BSD-2-Clause
"""The real gdb on our guests, and on Linux."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from support import suite
from support.assembler import link
from support.needs import needs
from support.vmmgr import COMMAND, ROOT, Vmmgr

pytestmark = needs("gdb")

PROGRAM = """
    .globl value, twice, loop, end
_start:
    mov esp, 0x200000
    mov ecx, 3
loop:
    mov edi, ecx
    call twice
    mov [value], eax
    dec ecx
    jnz loop
end:
    mov dx, 0xf4
    mov al, 21
    out dx, al
    hlt
twice:
    lea eax, [edi + edi]
    ret
    .data
value: .long 0
"""
"""For 64 bits; a flat image has no sections, so `value` comes right behind the code."""
STATUS = 21 << 1 | 1


class Gdb:
    """Runs gdb with commands, against the machine of the test."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def __call__(self, *commands: str, file: Path | None = None, timeout: float = 60) -> str:
        start = ["set confirm off", "set pagination off", f"target remote {self.socket}"]
        script = self.socket.with_name("gdb.script")
        script.write_text("\n".join([*start, *commands]) + "\n")
        result = subprocess.run(
            ["gdb", "-nx", "-q", "-batch", "-x", script, *([file] if file else [])],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return result.stdout + result.stderr


class Run:
    """A `vmmgr run` in the background that waits for gdb."""

    def __init__(self, vmmgr: Vmmgr, socket: Path, machine: str | Path, *arguments: str) -> None:
        wanted = ["--set", f"gdb.listen={socket}", "--set", "gdb.wait=true"]
        self.process = subprocess.Popen(
            [*COMMAND, "run", str(machine), *wanted, *arguments],
            env=vmmgr.env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        assert "gdb can connect" in self.process.stderr.readline()

    def end(self) -> tuple[int, str]:
        """The exit code and what the guest printed."""
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def gdb(vmmgr: Vmmgr) -> Gdb:
    return Gdb(vmmgr.home / "gdb.sock")


@pytest.fixture
def run(vmmgr: Vmmgr, gdb: Gdb) -> Iterator[Callable[..., Run]]:
    """Runs a machine file that waits for gdb."""
    runs: list[Run] = []

    def begin(machine: str | Path, *arguments: str) -> Run:
        runs.append(Run(vmmgr, gdb.socket, machine, *arguments))
        return runs[-1]

    yield begin
    for item in runs:
        item.close()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A 64-bit program with symbols, and program.toml that boots it as a flat image."""
    elf = tmp_path / "program.elf"
    elf.write_bytes(link(PROGRAM, 0x100000, 64))
    flat = tmp_path / "program.bin"
    subprocess.run(["objcopy", "-O", "binary", elf, flat], check=True)
    (tmp_path / "program.toml").write_text(
        '[memory]\nsize = "4M"\n[boot]\nimage = "program.bin"\nload = 0x100000\n'
        'entry = 0x100000\nbits = 64\n[slots.0]\ndevice = "hostbridge"\n'
        '[slots.31]\ndevice = "lpc"\n[lpc.debug-exit]\nport = 0xf4\n'
    )
    return elf


def test_symbols_steps_and_watchpoints_of_a_64_bit_program(
    run: Callable[..., Run], gdb: Gdb, program: Path
) -> None:
    machine = run(program.with_name("program.toml"))

    said = gdb(
        "break twice",
        "continue",
        "info registers rdi",
        "stepi",
        "print $eax",
        "finish",
        "watch *(int*)&value",
        "continue",
        "delete",
        "hbreak end",
        "continue",
        "print *(int*)&value",
        "kill",
        file=program,
    )

    assert re.search(r"Breakpoint 1.* in twice \(\)", said)
    assert re.search(r"rdi +0x3 ", said)
    assert "$1 = 6" in said
    assert re.search(r"^0x0*10\w+ in loop \(\)", said, re.MULTILINE)
    assert re.search(r"Old value = 0\nNew value = 6", said)
    assert re.search(r"Breakpoint 3.* in end \(\)", said)
    assert "$2 = 2" in said
    assert machine.end()[0] != 0


def test_debugged_run_ends_as_without_a_debugger(
    run: Callable[..., Run], gdb: Gdb, program: Path
) -> None:
    machine = run(program.with_name("program.toml"))

    said = gdb("break loop", "continue", "continue", "continue", "continue", file=program)

    assert "exited with code 053" in said  # octal 053 is STATUS
    assert machine.end()[0] == STATUS


def test_written_registers_and_memory_are_the_guests(
    run: Callable[..., Run], gdb: Gdb, program: Path
) -> None:
    machine = run(program.with_name("program.toml"))

    said = gdb(
        "break end",
        "continue",
        "stepi 2",
        "set $al = 3",
        "set {int}0x180000 = 0x55aa",
        "print/x {short}0x180000",
        "continue",
        file=program,
    )

    assert "$1 = 0x55aa" in said
    assert machine.end()[0] == 3 << 1 | 1


def test_hello_is_followed_from_real_to_protected_mode(run: Callable[..., Run], gdb: Gdb) -> None:
    machine = run("machines/hello.toml", "--until", "> $", "--max-time", "5s")

    said = gdb(
        "info registers eip",
        "monitor info",
        "set variable $ticks = 0",
        "while ($cr0 & 1) == 0 && $ticks < 100",
        "set variable $ticks = $ticks + 1",
        "stepi",
        "end",
        "monitor info",
        "monitor irq",
        "monitor phys 0x7c00 16",
        "detach",
    )

    assert re.search(r"eip +0x7c00 ", said)
    assert said.count("real mode") == 1
    assert "protected mode" in said or "16 bits" in said
    assert re.search(r"^board.pic\n", said, re.MULTILINE)
    first = (ROOT / "machines/hello/hello.bin").read_bytes()[:16].hex(" ")
    assert first in said
    status, output = machine.end()
    assert status == 0
    assert output.startswith("Hello from vmmgr")


def test_interrupt_stops_a_machine_that_runs(vmmgr: Vmmgr, gdb: Gdb) -> None:
    vmmgr("up", "machines/hello.toml", "-d", "--set", f"gdb.listen={gdb.socket}")
    terminal = pexpect.spawn("gdb", ["-nx", "-q"], timeout=30, encoding="utf-8")
    prompt = "(gdb) "

    terminal.expect_exact(prompt)
    terminal.sendline(f"target remote {gdb.socket}")
    terminal.expect_exact(prompt)
    terminal.sendline("continue")
    terminal.expect_exact("Continuing.")
    while vmmgr("status", "hello", "--json").stdout.count('"paused"'):
        pass
    terminal.sendintr()
    terminal.expect("received signal SIGINT")
    terminal.expect_exact(prompt)
    paused = vmmgr("status", "hello", "--json").stdout
    terminal.sendline("detach")
    terminal.expect_exact(prompt)
    terminal.close()

    assert '"paused"' in paused
    vmmgr("send", "hello", "h\\n")
    vmmgr("down", "hello")
    assert "this help" in vmmgr("logs", "hello").stdout


def test_monitor_suspend_saves_the_machine_behind_the_block_it_stopped_in(
    vmmgr: Vmmgr, gdb: Gdb, program: Path
) -> None:
    machine = program.with_name("program.toml")
    wanted = ("--set", f"gdb.listen={gdb.socket}", "--set", "gdb.wait=true")
    vmmgr("up", machine, "-d", *wanted)
    said = gdb("break twice", "continue", "stepi", "monitor suspend", file=program)
    vmmgr("resume", "program", "-d", "--paused")

    place = gdb("print $rip", "print $eax", "kill", file=program)

    assert "suspended; the snapshot is" in said
    assert re.search(r"\$1 = .*<loop\+\d+>", place)
    assert "$2 = 6" in place


def test_program_is_followed_backwards(vmmgr: Vmmgr, gdb: Gdb, program: Path) -> None:
    wanted = ("--set", f"gdb.listen={gdb.socket}", "--set", "gdb.wait=true")
    vmmgr("up", program.with_name("program.toml"), "-d", *wanted)

    said = gdb(
        "break twice",
        "continue",
        "continue",
        "stepi",
        "reverse-stepi",
        "reverse-stepi",
        "info symbol $rip",
        "reverse-continue",
        "print $edi",
        "reverse-continue",
        "info symbol $rip",
        "continue",
        "continue",
        "continue",
        "print $edi",
        "delete",
        "watch *(int*)&value",
        "reverse-continue",
        "info symbol $rip",
        "kill",
        file=program,
    )

    assert "loop + 2 in section" in said
    assert "$1 = 3" in said
    assert "No more reverse-execution history" in said
    assert "_start in section" in said
    assert "$2 = 1" in said
    assert re.search(r"Old value = 4\nNew value = 6", said)
    assert "loop + 7 in section" in said


def test_way_back_and_forth_keeps_the_input(vmmgr: Vmmgr, gdb: Gdb) -> None:
    vmmgr("up", "machines/hello.toml", "-d", "--wait-for", "> $", "--set",
          f"gdb.listen={gdb.socket}")  # fmt: skip
    vmmgr("send", "hello", "u\\n")
    there = ["print $pc", "monitor info"]

    said = gdb("break *$pc", "continue", "delete", *there, "reverse-stepi", "reverse-stepi",
               "stepi", "stepi", *there, "detach")  # fmt: skip
    vmmgr("send", "hello", "h\\n")
    vmmgr("down", "hello")

    assert len(set(re.findall(r"^time .*", said, re.MULTILINE))) == 1
    places = re.findall(r"^\$\d = .*(0x[0-9a-f]+)", said, re.MULTILINE)
    assert len(places) == 2
    assert len(set(places)) == 1
    log = vmmgr("logs", "hello").stdout
    assert log.count("Hello from vmmgr") == 1
    assert log.count("> u") == 1
    assert "this help" in log


def test_unrecorded_run_has_no_way_back(run: Callable[..., Run], gdb: Gdb, program: Path) -> None:
    run(program.with_name("program.toml"))

    said = gdb("stepi", "reverse-stepi", "kill", file=program)

    assert "this run is not recorded" in said
    assert "No more reverse-execution history" in said


def test_other_hosts_are_refused_without_an_explicit_word(vmmgr: Vmmgr) -> None:
    refused = vmmgr("validate", "machines/hello.toml", "--set", "gdb.listen=0.0.0.0:1234", status=2)

    assert "allow-remote" in refused.stderr + refused.stdout


@pytest.mark.usefixtures("linux")
def test_linux_stops_in_a_system_call_that_kallsyms_names(vmmgr: Vmmgr, gdb: Gdb) -> None:
    wanted = ("--set", f"gdb.listen={gdb.socket}", "--set", "boot.cmdline=console=ttyS0 nokaslr")
    vmmgr("up", "machines/linux.toml", "-d", "--wait-for", "/ # $", *wanted)
    vmmgr("send", "linux", r"grep ' ksys_sync$' /proc/kallsyms\n")
    vmmgr("send", "linux", r"(while sleep 0.2; do sync; echo sy''nced; done) &\n")
    found = None
    for _ in range(50):
        found = re.search(r"^([0-9a-f]{16}) T ksys_sync", vmmgr("logs", "linux").stdout, re.M)
        if found:
            break
    assert found is not None

    said = gdb(f"break *0x{found[1]}", "continue", "print/x $rip", "x/i $rip", "stepi", "delete",
               "detach")  # fmt: skip

    assert f"= 0x{found[1]}" in said
    vmmgr("send", "linux", r"sleep 0.5; poweroff -f\n")
    vmmgr("wait", "linux", "stopped", timeout=60)
    assert "synced" in vmmgr("logs", "linux").stdout


def test_info_threads_shows_the_cpus_and_a_breakpoint_names_its_own(
    tmp_path: Path, run: Callable[..., Run], gdb: Gdb
) -> None:
    machine = suite.machine_file(tmp_path, "smp", 64, cpu="count = 3")
    begun = run(machine)
    found = re.search(rb"\xf0\xff\x04\x25....\xff\xc9", suite.binary("smp", 64), re.S)
    assert found is not None  # lock inc [counter]; dec ecx: all CPUs are there
    increment = 0x100000 + found.start()

    said = gdb(
        "info threads",
        f"hbreak *{increment:#x}",
        "continue",
        "info threads",
        "thread 3",
        "delete",  # the first CPU would come to it again before the turn of the third
        "stepi",
        'printf "stepped thread %d\\n", $_thread',
        "continue",
    )
    status, _ = begun.end()

    assert "CPU 1, waits for a start-up message" in said
    assert len(re.findall(r"^[* ] \d+ +Thread.*CPU \d", said, re.M)) == 6
    assert "stepped thread 3" in said
    assert status == 1
