# SPDX-License-Identifier: BSD-2-Clause
"""A byte of saved RAM that changes on disk is found while the guest runs already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.vmmgr import ROOT, Vmmgr

HELLO = "machines/hello.toml"


def flip(file: Path, offset: int) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


def objects(state: Path) -> list[Path]:
    """The files of its RAM, the largest last."""
    return sorted(state.glob("*.ram"), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize(
    ("number", "pages"), [(-1, "pages 0xc0-0x1bf of guest RAM"), (0, "of guest RAM")]
)
def test_a_chain_of_a_base_and_a_delta(vmmgr: Vmmgr, number: int, pages: str) -> None:
    vmmgr("up", HELLO, "-d")
    vmmgr("suspend", "hello")
    vmmgr("resume", "hello", "-d")
    vmmgr("suspend", "hello")
    state = (vmmgr.home / "state" / "hello" / "snapshots" / "current").resolve()
    assert len(objects(state)) == 2
    flip(objects(state)[number], 77)
    before = {path.name: path.read_bytes() for path in state.iterdir()}

    vmmgr("resume", "hello", "-d")
    refused = vmmgr("suspend", "hello", status=7).stderr

    status = json.loads(vmmgr("status", "hello", "--json").stdout)
    assert status["activity"] == "paused"
    assert pages in status["damage"]
    assert status["damage"] in refused
    vmmgr("ctl", "hello", "quit")
    vmmgr("wait", "hello", "suspended")
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before
    vmmgr("resume", "hello", "-d", "--verify", status=7)


def test_a_machine_of_the_ready_cache(vmmgr: Vmmgr, tmp_path: Path) -> None:
    text = (ROOT / HELLO).read_text().replace('"hello/', f'"{ROOT}/machines/hello/')
    machine = tmp_path / "hello.toml"
    machine.write_text(text.replace("[ready]\n", "[ready]\ncache = true\n"))
    vmmgr("up", machine, "-d")
    vmmgr("down", "hello")
    (kept,) = (vmmgr.home / "state" / ".ready").glob("*/state")
    flip(objects(kept)[-1], 77)

    assert "ready cache" in vmmgr("up", machine, "-d").stderr
    refused = vmmgr("suspend", "hello", status=7).stderr

    assert "the state of the ready cache that hello began with is damaged" in refused
    assert vmmgr("cache", "ls").stdout == ""
    vmmgr("down", "hello")
    assert "ready cache" not in vmmgr("up", machine, "-d").stderr
