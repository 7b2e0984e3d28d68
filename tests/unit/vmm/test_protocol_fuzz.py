# SPDX-License-Identifier: BSD-2-Clause
"""Whatever a client sends, it gets an answer that says what was wrong; no other is harmed."""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manager.vmm.commands import COMMANDS
from manager.vmm.connections import SerialConnections
from manager.vmm.running import RunningMachine
from manager.vmm.server import ClientSession, ControlServer
from manager.vmm.serving import serve_clients

ENDING = {"down", "stop", "quit"}
KNOWN = sorted(set(COMMANDS) - ENDING)
NAMES = sorted({name for command in COMMANDS.values() for name in command.arguments})

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["com1", "lpc.com1", "slots.4", "read", "take", "AAAA", "\udcff"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)  # fmt: skip
arguments = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), values, max_size=4)
requests = st.fixed_dictionaries(
    {"execute": st.sampled_from(KNOWN) | st.text(max_size=10) | values, "arguments": arguments},
    optional={"id": values, "extra": values},
)
lines = st.binary(max_size=200) | requests.map(lambda request: json.dumps(request).encode())


@pytest.fixture
def running(fake, graph) -> RunningMachine:
    machine = fake(graph("lpc.com1"))
    return RunningMachine(machine, SerialConnections(machine.ports, "lpc.com1"))


@pytest.fixture
def server(running: RunningMachine, tmp_path: Path) -> Iterator[ControlServer]:
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        yield serve_clients(running, tmp_path / "s", selector, stack)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=5))
def test_every_line_has_one_proper_answer(running, server, sent: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    session = ClientSession(server, ours, 1)
    try:
        for line in sent:
            answer = json.loads(server.answer(session, line))

            assert answer.keys() in ({"id", "return"}, {"id", "error"})
            if "error" in answer:
                assert answer["error"].keys() == {"code", "message", "help"}
                assert "internal error" not in answer["error"]["message"]
    finally:
        session.unsubscribe()
        if session.on_gone is not None:
            session.on_gone()
        ours.close()
        theirs.close()
    status = json.loads(server.answer(session, b'{"execute": "query-status"}'))["return"]
    assert (status["consoles"], status["listeners"]) == ([], 0)
    assert running.outcome is None
