# SPDX-License-Identifier: BSD-2-Clause
"""The embedded guest, as a newcomer meets it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from support.vmmgr import Vmmgr

HELLO = "machines/hello.toml"


def test_hello_greets_ticks_echoes_and_obeys_on_a_terminal(vmmgr: Vmmgr) -> None:
    console = vmmgr.terminal("up", HELLO, timeout=20)

    console.expect_exact("Hello from vmmgr")
    console.expect_exact("> ")
    console.expect_exact("tick 1")
    console.send("u\r")
    console.expect(r"u\r\n.*\d+ ticks")
    console.send("m\r")
    console.expect(r"00007c00")
    console.send("h\r")
    console.expect("halt")
    console.send("q\r")
    console.expect_exact("Halted.")
    console.wait()

    assert console.exitstatus == 0


def test_second_console_is_on_the_pci_uart(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    status = json.loads(vmmgr("status", "hello", "--json").stdout)
    path = re.search(r"/dev/pts/\d+", json.dumps(status))
    assert path is not None
    pty = os.open(path[0], os.O_RDWR | os.O_NOCTTY)
    try:
        seen = os.read(pty, 100)
        os.write(pty, b"echo me")
        while b"echo me" not in seen:
            seen += os.read(pty, 100)
    finally:
        os.close(pty)

    assert b"Hello from vmmgr, PCI uart in slot 4" in seen


def test_suspended_in_the_middle_of_a_line_it_goes_on_in_a_new_process(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("send", "hello", "u")
    vmmgr("suspend", "hello")
    assert "suspended" in vmmgr("ls").stdout
    vmmgr("resume", "hello", "-d")
    vmmgr("send", "hello", r"\r")
    vmmgr("send", "hello", r"q\r")
    vmmgr("wait", "hello", "stopped")

    assert re.search(r"> u\r?\n.*\d+ ticks", vmmgr("logs", "hello").stdout)


def changed(folder: Path, old: str = "", new: str = "") -> Path:
    """A copy of hello.toml, with one change, its paths still leading to the guest."""
    source = Path(__file__).parents[2] / HELLO
    text = source.read_text()
    assert old in text
    text = text.replace("hello/hello.bin", str(source.parent / "hello" / "hello.bin"))
    copy = folder / "hello.toml"
    copy.write_text(text.replace(old, new))
    return copy


def test_resume_refuses_a_changed_device_set_and_names_every_difference(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    vmmgr("up", changed(tmp_path), "-d", "--wait-for", "> $")
    vmmgr("suspend", "hello")

    removed = vmmgr("resume", changed(tmp_path, '[slots.4]\ndevice = "uart"', "[x-was]"), status=5)
    moved = vmmgr("resume", changed(tmp_path, "[slots.4]", "[slots.5]"), status=5)
    added = vmmgr("resume", changed(tmp_path, "[lpc.com1]", "[lpc.com3]\n[lpc.com1]"), status=5)
    memory = vmmgr("resume", changed(tmp_path, '"16M"', '"32M"'), status=5)

    assert "slots.4 (uart): only in the snapshot" in removed.stderr
    assert "slots.4 (uart) moved to slots.5" in moved.stderr
    assert "lpc.com3 (uart): only in the machine file" in added.stderr
    assert "memory.size: 16 MiB in the snapshot, 32 MiB in the machine file" in memory.stderr


def test_resume_accepts_other_wiring(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("up", changed(tmp_path), "-d", "--wait-for", "> $")
    vmmgr("suspend", "hello")

    vmmgr("resume", changed(tmp_path, '"pty"', '"null"'), "-d")

    assert "null" in vmmgr("status", "hello").stdout


def test_resume_verify_finds_a_flipped_bit_in_ram(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("suspend", "hello")
    current = vmmgr.home / "state" / "hello" / "snapshots" / "current"
    ram = next(current.resolve().glob("*.ram"))
    content = bytearray(ram.read_bytes())
    content[0x7C10] ^= 1
    ram.chmod(0o600)
    ram.write_bytes(content)

    result = vmmgr("resume", "hello", "-d", "--verify", status=7)

    assert ram.name in result.stderr
    vmmgr("discard", "hello")
