# SPDX-License-Identifier: BSD-2-Clause
"""The control socket of a real machine: the documented client, crowds, and patience."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.vmmgr import ROOT, Vmmgr

from manager.client.client import Client

HELLO = "machines/hello.toml"
DOC = ROOT / "docs" / "control-protocol.md"
CYCLES = int(os.environ.get("VMMGR_TEST_CYCLES", "1000"))
"""Attach/detach cycles; VMMGR_TEST_CYCLES=10000 for the long test."""


@pytest.fixture
def record(vmmgr: Vmmgr) -> dict[str, object]:
    """What is known of a machine that is up."""
    vmmgr("up", HELLO, "-d")
    found: dict[str, object] = json.loads(
        (vmmgr.home / "state" / "hello" / "machine.json").read_text()
    )
    return found


def descriptors(pid: object) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_the_documented_client_works(vmmgr: Vmmgr, record, tmp_path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", DOC.read_text(), re.MULTILINE | re.DOTALL)
    assert len(program.splitlines()) <= 45
    client = tmp_path / "client.py"
    client.write_text(program)

    shown = subprocess.run(
        [sys.executable, client, str(record["socket"]), "u\r", "ticks"],
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout  # fmt: skip

    assert re.search(r"\d+ ticks", shown)
    assert re.search(r"hello: \d+\.\d ms", shown)


def test_attaching_and_detaching_leaks_nothing(vmmgr: Vmmgr, record) -> None:
    path = Path(str(record["socket"]))
    before = descriptors(record["pid"])

    for _ in range(CYCLES):
        with Client.connect(path) as client:
            assert client.execute("attach")["writes"]

    with Client.connect(path) as client:
        assert client.execute("query-status")["consoles"] == []
        assert descriptors(record["pid"]) <= before + 1


def test_the_documented_commands_and_events_are_those_there_are(vmmgr: Vmmgr, record) -> None:
    with Client.connect(Path(str(record["socket"]))) as client:
        schema = client.execute("query-schema")
    documented = set(re.findall(r"`([a-z-]+)`", DOC.read_text()))

    assert set(schema["commands"]) <= documented
    assert set(schema["events"]) - {"output", "skipped", "read-only"} <= documented


def test_a_crowd_of_bad_clients_leaves_the_machine_alone(vmmgr: Vmmgr, record) -> None:
    path = str(record["socket"])
    crowd = []
    for number in range(60):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(path)
        crowd.append(client)
        with_what = (b"{" * 1000, b"\x00\xff\n" * 100, b"x" * 300_000, b'{"execute":"attach"}\n')
        try:
            client.sendall(with_what[number % 4])
        except OSError:
            continue  # turned away or cut off already
    for client in crowd:
        client.close()

    assert json.loads(vmmgr("status", "hello", "--json").stdout)["activity"] == "running"
    assert vmmgr("ctl", "hello", "query-status").stdout
    assert not (vmmgr.home / "state" / "hello" / "owner.log").read_text()


def test_ctl_says_what_is_wrong(vmmgr: Vmmgr, record) -> None:
    assert "query-schema" in vmmgr("ctl", "hello", "format-disk", status=2).stderr
    assert "of type str" in vmmgr("ctl", "hello", "send", '{"text": 3}', status=2).stderr
    assert "not JSON" in vmmgr("ctl", "hello", "send", "{", status=2).stderr


def test_a_snapshot_through_the_socket_leaves_the_machine_running(vmmgr: Vmmgr, record) -> None:
    answer = json.loads(vmmgr("ctl", "hello", "snapshot-save", '{"tag": "early"}').stdout)

    assert Path(answer["snapshot"]).is_dir()
    assert json.loads(vmmgr("status", "hello", "--json").stdout)["activity"] == "running"
