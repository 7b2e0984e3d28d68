# SPDX-License-Identifier: BSD-2-Clause
"""What a machine's process keeps, by what its machine file names."""

from __future__ import annotations

from pathlib import Path
from socket import AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_STREAM

import pytest

from manager.graph.build import load_graph
from manager.graph.identity import full_hash, identity_hash
from manager.sandbox import landlock
from manager.sandbox.reach import Reach, of_machine

MACHINE = """
schema = 1
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 32
[disks.root]
image = "disk.img"
mode = "{mode}"
[slots.0]
device = "hostbridge"
[slots.5]
device = "nvme"
disk = "root"
[slots.31]
device = "lpc"
[lpc.com1]
backend = {backend}
{more}
"""


def machine(folder: Path, backend: str = '"null"', mode: str = "overlay", more: str = "") -> Path:
    (folder / "guest.bin").write_bytes(b"\xf4")
    (folder / "disk.img").write_bytes(bytes(1 << 20))
    file = folder / "demo.toml"
    file.write_text(MACHINE.format(backend=backend, mode=mode, more=more))
    return file


@pytest.mark.parametrize(
    ("mode", "rights"),
    [
        pytest.param("overlay", landlock.READ_FILE, id="overlay"),
        pytest.param("read-only", landlock.READ_FILE, id="read-only"),
        pytest.param("direct", landlock.READ_FILE | landlock.WRITE, id="direct"),
    ],
)
def test_only_an_image_in_direct_mode_can_be_written(
    tmp_path: Path, mode: str, rights: int
) -> None:
    reach = of_machine(load_graph(machine(tmp_path, mode=mode)))

    assert reach.paths[str(tmp_path / "disk.img")] == rights
    assert reach.paths[str(tmp_path / "guest.bin")] == landlock.READ_FILE
    assert str(tmp_path) not in reach.paths


@pytest.mark.parametrize(
    ("backend", "ports", "sockets"),
    [
        pytest.param('"pty"', set(), set(), id="pty"),
        pytest.param('{ type = "tcp", listen = "127.0.0.1:0" }', set(), set(), id="listens"),
        pytest.param(
            '{ type = "tcp", connect = "127.0.0.1:99" }',
            {99},
            {(AF_INET, SOCK_STREAM)},
            id="connects",
        ),
        pytest.param(
            '{ type = "tcp", connect = "a.example:99" }',
            {99, 53},
            {(AF_INET, SOCK_STREAM), (AF_INET, SOCK_DGRAM)},
            id="connects-by-name",
        ),
        pytest.param(
            '{ type = "unix", connect = "s" }', set(), {(AF_UNIX, SOCK_STREAM)}, id="unix"
        ),
    ],
)
def test_new_sockets_are_left_to_those_who_connect(
    tmp_path: Path, backend: str, ports: set[int], sockets: set[tuple[int, int]]
) -> None:
    reach = of_machine(load_graph(machine(tmp_path, backend)))

    assert reach.connect_to == ports
    assert {item for item in reach.sockets if item[0] in (AF_INET, AF_UNIX)} == sockets


def test_the_current_directory_is_not_taken_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))

    assert str(tmp_path) not in of_machine(load_graph(machine(tmp_path))).paths


def test_a_sandbox_is_no_part_of_what_the_guest_sees(tmp_path: Path) -> None:
    plain = load_graph(machine(tmp_path))
    same = load_graph(machine(tmp_path, more="[sandbox]\nenabled = true\nread = []\n"))
    other = load_graph(machine(tmp_path, more='[sandbox]\nread = ["data"]\n'))

    assert full_hash(same) == full_hash(plain)
    assert identity_hash(other) == identity_hash(plain)
    assert other.sandbox.read == (tmp_path / "data",)


NETWORK = """
[slots.6]
device = "virtio-net"
network = {network}
"""


def reach_of(folder: Path, network: str) -> Reach:
    return of_machine(load_graph(machine(folder, more=NETWORK.format(network=network))))


def test_a_network_that_connects_may_do_so_again(tmp_path: Path) -> None:
    reach = reach_of(tmp_path, '{ type = "socket", connect = "lan.sock" }')

    assert reach.sockets == {(AF_UNIX, SOCK_STREAM)}


def test_the_socket_of_a_network_that_listens_can_be_removed(tmp_path: Path) -> None:
    reach = reach_of(tmp_path, '{ type = "socket", listen = "lan.sock" }')

    assert reach.paths[str(tmp_path)] == landlock.REMOVE_FILE
    assert not reach.sockets


def test_a_rewind_can_look_into_the_capture(tmp_path: Path) -> None:
    reach = reach_of(tmp_path, '{ type = "user", capture = "lan.pcap" }')

    assert reach.paths[str(tmp_path / "lan.pcap")] == landlock.READ_FILE
    assert not reach.sockets
