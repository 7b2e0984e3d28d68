# SPDX-License-Identifier: BSD-2-Clause
"""passt(1) as a peer: what is asked of it, and what is told when it does not do that."""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from support.needs import needs
from support.networked import free_port

from manager.errors import HostError
from manager.network.passt import ROUTER, Passt
from manager.network.peer import Side

MAC = bytes.fromhex("525400123456")
KINDS = {"": socket.SOCK_STREAM, "/udp": socket.SOCK_DGRAM}


class Far:
    """A peer that is attached, and what it sent and said."""

    def __init__(self, peer: Passt) -> None:
        self.peer = peer
        self.selector = selectors.DefaultSelector()
        self.frames: list[bytes] = []
        self.lost: list[str] = []
        peer.attach(self.selector, Side(self.frames.append, self.lost.append))

    def turn_until(self, done: Callable[[], object]) -> None:
        """What the event loop does, until then."""
        while not done():
            events = self.selector.select(20)
            assert events, "nothing comes"
            for key, mask in events:
                key.data(mask)

    def close(self) -> None:
        self.peer.close()
        self.selector.close()


@pytest.fixture
def passt_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a passt into PATH that is a script."""

    def put(script: str) -> None:
        path = tmp_path / "passt"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


def listeners(pid: int) -> set[str]:
    """The tables of the host's network in which a process has a socket."""
    links = (str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir())
    own = {link[8:-1] for link in links if link.startswith("socket:[")}
    return {
        table
        for table in ("tcp", "udp")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[9] in own
    }


def test_one_that_does_not_start_is_told_in_its_own_words(
    passt_says: Callable[[str], None],
) -> None:
    passt_says("echo 'No routable interface for IPv4: IPv4 is disabled' >&2; exit 1")
    with pytest.raises(HostError, match="passt does not run: No routable interface for IPv4"):
        Passt(MAC, ())


def test_one_that_says_nothing_has_ended(passt_says: Callable[[str], None]) -> None:
    passt_says("exit 1")
    with pytest.raises(HostError, match="passt does not run: it ended") as caught:
        Passt(MAC, ())
    assert "default route" in str(caught.value.help)


def test_one_that_is_no_program_is_told(passt_says: Callable[[str], None], tmp_path: Path) -> None:
    passt_says("")
    (tmp_path / "passt").write_bytes(b"\x7fELF and no more")
    with pytest.raises(HostError, match="passt cannot be started: Exec format error"):
        Passt(MAC, ())


@needs("passt")
@pytest.mark.parametrize("protocol", KINDS)
def test_a_port_of_the_host_that_is_taken_is_told(protocol: str) -> None:
    with socket.socket(type=KINDS[protocol]) as other:
        other.bind(("127.0.0.1", 0))
        if not protocol:
            other.listen()
        forward = f"127.0.0.1:{other.getsockname()[1]} -> 22{protocol}"
        with pytest.raises(HostError) as caught:
            Passt(MAC, (f"127.0.0.1:{free_port()} -> 1", forward))
    told = f'forward "{forward}": cannot listen on 127.0.0.1:'
    assert caught.value.message.startswith(told)
    assert caught.value.message.endswith("Address already in use")


@needs("passt")
def test_only_what_is_to_be_forwarded_is_listened_to() -> None:
    """passt by itself would forward the ports of TCP for UDP as well."""
    forward = f"127.0.0.1:{free_port()} -> 22"
    for items, tables in (
        ((), set()),
        ((forward,), {"tcp"}),
        ((forward + "/udp",), {"udp"}),
        ((forward, forward + "/udp"), {"tcp", "udp"}),
    ):
        peer = Passt(MAC, items)
        pid = int(peer.describe().rpartition(" ")[2])
        assert listeners(pid) == tables
        peer.close()
        assert not Path(f"/proc/{pid}").exists()


@needs("passt")
def test_it_answers_for_the_router_until_it_dies_which_is_told_once() -> None:
    far = Far(Passt(MAC, ()))
    router, guest = socket.inet_aton(ROUTER), socket.inet_aton("10.0.2.15")
    question = bytes.fromhex("0806 0001 0800 06 04 0001") + MAC + guest + bytes(6) + router
    far.peer.send(b"\xff" * 6 + MAC + question)
    far.turn_until(lambda: far.frames)
    assert far.frames[0][:6] == MAC
    assert far.frames[0][28:32] == router

    os.kill(int(far.peer.describe().rpartition(" ")[2]), signal.SIGKILL)
    far.turn_until(lambda: far.lost)
    far.peer.send(b"\xff" * 60)
    far.close()
    assert len(far.lost) == 1
