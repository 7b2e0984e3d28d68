# SPDX-License-Identifier: BSD-2-Clause
"""Every look at a machine tells of each of its CPUs."""

from __future__ import annotations

import json
import re

from support.vmmgr import Vmmgr

HALTED = re.compile(r"^(cpu(?: 0)?) +halted at 0x[0-9a-f]+$", re.M)
OTHERS = re.compile(r"^cpu ([12]) +waits for a start-up message$", re.M)
HELLO = ("machines/hello.toml", "--set", "cpu.count=3")
DOING = ["halted", *2 * ["waits for a start-up message"]]


def assert_told(text: str) -> None:
    assert [found[1] for found in HALTED.finditer(text)] == ["cpu 0"]
    assert [found[1] for found in OTHERS.finditer(text)] == ["1", "2"]


def test_plan_and_graph_count_them(vmmgr: Vmmgr) -> None:
    assert "3 x qemu64, APIC ids 0-2, in turns of 50us" in vmmgr("plan", *HELLO).stdout
    assert json.loads(vmmgr("plan", *HELLO, "--json").stdout)["graph"]["cpu_count"] == 3
    assert "hello  3 x qemu64, 16 MiB" in vmmgr("graph", *HELLO).stdout


def test_status_and_snapshots_say_what_each_does(vmmgr: Vmmgr) -> None:
    vmmgr("up", "-d", *HELLO)
    assert_told(vmmgr("status", "hello").stdout)
    live = json.loads(vmmgr("status", "hello", "--json").stdout)["cpus"]

    vmmgr("suspend", "hello")
    assert_told(vmmgr("status", "hello").stdout)
    assert_told(vmmgr("snapshot", "show", "hello").stdout)
    suspended = json.loads(vmmgr("status", "hello", "--json").stdout)["cpus"]
    saved = json.loads(vmmgr("snapshot", "show", "hello", "--json").stdout)["cpus"]

    assert [item["doing"] for item in live] == DOING
    assert [item["cpu"] for item in live] == [0, 1, 2]
    assert 0x7C00 <= live[0]["address"] < 0x9000
    assert live == suspended == saved


def test_a_single_cpu_has_no_number(vmmgr: Vmmgr) -> None:
    vmmgr("up", "-d", HELLO[0])

    assert [found[1] for found in HALTED.finditer(vmmgr("status", "hello").stdout)] == ["cpu"]
