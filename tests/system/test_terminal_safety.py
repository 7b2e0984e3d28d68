# SPDX-License-Identifier: BSD-2-Clause
"""A guest's bytes do not steer a terminal that looks at them from outside."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pexpect
import pytest
from support.assembler import assemble
from support.vmmgr import COMMAND, ROOT, Vmmgr

ASKING = r"""
        mov     dx, 0x3f8
        mov     si, offset text
next:   lodsb
        test    al, al
        jz      done
        out     dx, al
        jmp     next
done:   sti
        hlt
        jmp     done
text:   .ascii  "begin\033[6n\033[c\033]11;?\007\005\033[?1049h\033[31mred\r\n"
        .asciz  "login: "
"""
PC = """
schema = 1
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.31]
device = "lpc"
[slots.0]
device = "hostbridge"
[lpc.com1]
backend = "{backend}"
[ready]
port = "com1"
wait-for = "login: $"
"""
QUESTIONS = ["\x1b[6n", "\x1b[c", "\x1b]11", "\x05", "\x1b[?1049h"]


def machine(folder: Path, backend: str = "stdio") -> Path:
    """A machine that asks the terminal questions, and then waits at a prompt."""
    (folder / "guest.bin").write_bytes(assemble(ASKING, 0x7C00, 16))
    file = folder / "asker.toml"
    file.write_text(PC.format(backend=backend))
    return file


@pytest.fixture
def asker(tmp_path: Path) -> Path:
    return machine(tmp_path)


def seen(terminal: pexpect.spawn[str]) -> str:
    """All that a terminal gets until the command ends."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.before is not None
    return terminal.before


@pytest.fixture
def up(vmmgr: Vmmgr, asker: Path) -> Vmmgr:
    vmmgr("up", asker, "-d")
    return vmmgr


@pytest.mark.parametrize("verb", ["logs asker", "logs asker --times", "logs asker asker"])
def test_logs_on_a_terminal_ask_it_nothing(up: Vmmgr, verb: str) -> None:
    shown = seen(up.terminal(*verb.split()))

    assert not [sequence for sequence in QUESTIONS if sequence in shown]
    assert "begin" in shown
    assert "\x1b[31mred" in shown
    assert "\x1b[0m" in shown


def test_logs_followed_on_a_terminal_ask_it_nothing(up: Vmmgr) -> None:
    terminal = up.terminal("logs", "asker", "-f")
    terminal.expect("login: ")
    shown = terminal.before

    up("down", "asker")
    seen(terminal)

    assert not [sequence for sequence in QUESTIONS if sequence in shown]


def test_raw_logs_are_raw(up: Vmmgr) -> None:
    shown = seen(up.terminal("logs", "asker", "--raw"))

    assert [sequence for sequence in QUESTIONS if sequence not in shown] == []


def test_logs_into_a_pipe_are_byte_by_byte(up: Vmmgr) -> None:
    text = up("logs", "asker").stdout

    assert [sequence for sequence in QUESTIONS if sequence not in text] == []
    assert not text.endswith("\x1b[0m")


def test_up_in_the_background_asks_the_terminal_nothing(vmmgr: Vmmgr, asker: Path) -> None:
    shown = seen(vmmgr.terminal("up", asker, "-d"))

    assert "begin" in shown
    assert not [sequence for sequence in QUESTIONS if sequence in shown]


def test_run_without_typing_asks_the_terminal_nothing(vmmgr: Vmmgr, asker: Path) -> None:
    shown = seen(vmmgr.terminal("run", asker, "--until", "login: $"))
    raw = seen(vmmgr.terminal("run", asker, "--until", "login: $", "--raw"))

    assert "begin" in shown
    assert not [sequence for sequence in QUESTIONS if sequence in shown]
    assert [sequence for sequence in QUESTIONS if sequence not in raw] == []


def test_an_attached_console_gets_all_but_is_not_asked_again(up: Vmmgr) -> None:
    terminal = up.terminal("console", "asker")
    terminal.expect("login: ")
    shown = terminal.before
    terminal.send("\x1d")
    seen(terminal)

    assert "\x1b[?1049h" in shown
    assert not [sequence for sequence in ("\x1b[6n", "\x1b[c", "\x05") if sequence in shown]


def test_a_console_fed_by_a_pipe_asks_the_terminal_nothing(up: Vmmgr) -> None:
    command = " ".join([*COMMAND, "console", "asker"])
    terminal = pexpect.spawn(
        "sh", ["-c", f"sleep 1 | {command}"], env=up.env, cwd=str(ROOT), encoding="utf-8"
    )

    shown = seen(terminal)

    assert "begin" in shown
    assert not [sequence for sequence in QUESTIONS if sequence in shown]


def test_names_and_messages_carry_no_control_characters(vmmgr: Vmmgr, tmp_path: Path) -> None:
    folder = tmp_path / "evil\x1b]0;owned\x07\x1b[6n\n\u202e"
    folder.mkdir()
    file = machine(folder, backend="null")
    vmmgr("up", file, "-d", "--wait-for", "red")
    outputs = [
        vmmgr("ls"),
        vmmgr("status", "asker"),
        vmmgr("validate", folder / "no\x1b[6n.toml", status=2),
        vmmgr("up", folder / "no\x1b[6n.toml", status=2),
        vmmgr("plan", file),
        vmmgr("diff", file, machine(tmp_path), status=1),
        vmmgr("down", "asker"),
    ]

    text = "".join(output.stdout + output.stderr for output in outputs)

    assert "owned" in text
    assert not {char for char in text if ord(char) < 0x20 and char != "\n"}
    assert "\u202e" not in text


def test_what_matched_is_told_without_control_characters(vmmgr: Vmmgr, asker: Path) -> None:
    result = vmmgr("run", asker, "--fail-on", "begin.*red", status=8)

    assert "begin\u2405red" in result.stderr


def test_several_logs_have_names(vmmgr: Vmmgr, asker: Path) -> None:
    vmmgr("up", asker, "-d")
    vmmgr("up", "machines/hello.toml", "-d")

    lines = vmmgr("logs", "asker", "hello").stdout.splitlines()

    assert "asker | login: " in lines
    assert "hello | Hello from vmmgr" in lines


def test_several_logs_are_followed_line_by_line(vmmgr: Vmmgr, asker: Path) -> None:
    vmmgr("up", asker, "-d")
    vmmgr("up", "machines/hello.toml", "-d")
    command = [*COMMAND, "logs", "-f", "--times", "asker", "hello"]
    with subprocess.Popen(
        command, env=vmmgr.env, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        next(line for line in follower.stdout if "Hello from vmmgr" in line)
        vmmgr("send", "hello", r"u\r")
        line = next(line for line in follower.stdout if " ticks" in line)
        vmmgr("down", "--all")

        assert follower.wait(30) == 0
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} hello \| up \d.* ticks.*\n", line)


def fed(vmmgr: Vmmgr, text: str, *options: str, status: int = 0) -> str:
    """The output of a console that is fed by a pipe."""
    result = subprocess.run(
        [*COMMAND, "console", "hello", *options],
        env=vmmgr.env, cwd=ROOT, input=text, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert result.returncode == status, result.stderr
    return result.stdout + result.stderr


def test_a_console_fed_by_a_pipe_ends_when_all_is_answered(vmmgr: Vmmgr) -> None:
    vmmgr("up", "machines/hello.toml", "-d")

    shown = fed(vmmgr, "u\r" * 20, "--replay", "0")

    assert shown.count(" ticks") == 20
    assert "running" in vmmgr("status", "hello").stdout


def test_a_console_fed_by_a_pipe_is_told_that_another_types(vmmgr: Vmmgr) -> None:
    vmmgr("up", "machines/hello.toml", "-d")
    terminal = vmmgr.terminal("console", "hello")
    terminal.expect("> ")

    assert "types at lpc.com1" in fed(vmmgr, "u\r", status=4)
    assert " ticks" in fed(vmmgr, "u\r", "--take", "--replay", "0")
    terminal.send("\x1d")
    seen(terminal)
