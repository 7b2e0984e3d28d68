# SPDX-License-Identifier: BSD-2-Clause
"""What others wrote into a snapshot, a file or the state directory is shown, never obeyed."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from support.forgery import forge
from support.vmmgr import Vmmgr

from manager import cbor

EVIL = "\x1b]0;owned\x07\x1b[6n\x9b2J\r\nok\u202e"
HELLO = "machines/hello.toml"


def assert_harmless(text: str) -> None:
    found = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"}
    assert not found, repr(text)


@pytest.fixture
def home(vmmgr: Vmmgr) -> Path:
    """The state of a suspended machine, and another snapshot of it beside."""
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("snapshot", "save", "hello", "before")
    vmmgr("suspend", "hello")
    return vmmgr.home / "state" / "hello"


def evil_manifest(tree: dict[str, Any], payloads: dict[str, bytes]) -> None:
    header = tree["header"]
    header |= {"machine": EVIL, "writer": EVIL[:32]}
    header |= {"identity_hash": EVIL, "full_hash": EVIL}
    device = next(entry for entry in tree["chunks"] if entry["instance"] == "board.pit")
    state: Any = cbor.decode(payloads[device["id"]])
    state[EVIL] = {EVIL: EVIL}
    payloads[device["id"]] = cbor.encode(state)
    device["raw"] = len(payloads[device["id"]])
    other = next(entry for entry in tree["chunks"] if entry["instance"] == "board.rtc")
    payloads[EVIL] = payloads.pop(other["id"])
    other |= {"instance": EVIL, "type": EVIL[:60], "id": EVIL}


COMMANDS = (
    ("snapshot", "show", "hello"),
    ("snapshot", "show", "hello", "--json"),
    ("snapshot", "diff", "hello:before", "hello"),
    ("snapshot", "verify", "hello"),
    ("snapshot", "ls", "hello"),
    ("status", "hello"),
    ("ls",),
    ("diff", "hello", HELLO),
    ("resume", "hello", "-d"),
)


def test_words_of_a_snapshot(home: Path, vmmgr: Vmmgr) -> None:
    forge((home / "snapshots" / "current").resolve(), evil_manifest)

    for command in COMMANDS:
        result = vmmgr.any(*command)
        assert_harmless(result.stdout + result.stderr)

    assert result.returncode in (5, 7)


def test_words_of_a_machines_record(home: Path, vmmgr: Vmmgr) -> None:
    record = json.loads((home / "machine.json").read_text())
    texts = dict.fromkeys(("file", "console", "fault", "name", "identity"), EVIL)
    (home / "machine.json").write_text(json.dumps({**record, **texts, "ports": {EVIL: EVIL}}))

    for command in (("status", "hello"), ("ls",), ("logs", "hello"), ("resume", "hello", "-d")):
        result = vmmgr.any(*command)
        assert_harmless(result.stdout + result.stderr)


def test_names_of_files(vmmgr: Vmmgr, tmp_path: Path) -> None:
    evil = tmp_path / f"{EVIL.replace('/', '')}.toml"
    shutil.copy(HELLO, evil)

    for command in (("validate", evil), ("up", evil, "-d"), ("diff", evil, HELLO)):
        result = vmmgr.any(*command)
        assert_harmless(result.stdout + result.stderr)


def test_words_of_a_machine_file(vmmgr: Vmmgr, tmp_path: Path) -> None:
    escaped = json.dumps(EVIL)
    file = tmp_path / "evil.toml"
    file.write_text(
        f"schema = 1\nname = {escaped}\n[boot]\nkernel = {escaped}\ncmdline = {escaped}\n"
    )

    for command in ("validate", "config", "up"):
        result = vmmgr.any(command, file)
        assert_harmless(result.stdout + result.stderr)
