# SPDX-License-Identifier: BSD-2-Clause
"""What a machine takes on the host is for one use, however it is written."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from manager.config.addresses import overlap, where
from manager.config.diagnostics import Diagnostic
from manager.graph.build import check

PC = """schema = 1
boot = { image = "guest.bin", load = 0x7c00, entry = 0x7c00, bits = 16 }
slots.0.device = "hostbridge"
slots.31.device = "lpc"
lpc.com4.backend = "null"
"""
TCP = 'lpc.{}.backend = {{ type = "tcp", listen = "{}" }}\n'
GDB = 'gdb = {{ listen = "{}", allow-remote = true }}\n'
PATH = 'lpc.{}.backend = {{ type = "{}", {} = "{}" }}\n'


def found(folder: Path, more: str) -> list[Diagnostic]:
    (folder / "guest.bin").write_bytes(b"\xf4")
    (folder / "disk.img").write_bytes(bytes(1024))
    (folder / "link").unlink(missing_ok=True)
    (folder / "link").symlink_to("guest.bin")
    (folder / "pc.toml").write_text(PC + more)
    return [item for item in check(folder / "pc.toml").diagnostics if item.severity == "error"]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("127.0.0.1:4555", "127.0.0.1:4555"),
        ("127.0.0.1:4555", "127.0.0.1:04555"),
        ("127.0.0.1:4555", "localhost:4555"),
        ("[::1]:4555", "localhost:4555"),
        ("[::1]:4555", "[0:0:0:0:0:0:0:1]:4555"),
        ("127.0.0.1:4555", "127.1:4555"),
        ("127.0.0.1:4555", "0.0.0.0:4555"),
        ("localhost:4555", "0.0.0.0:4555"),
        ("127.0.0.1:4555", "[::]:4555"),
        ("[::1]:4555", "[::]:4555"),
        ("0.0.0.0:4555", "[::]:4555"),
        ("LOCALHOST:4555", "localhost.:4555"),
        ("host.example:4555", "HOST.example.:4555"),
        ("host.example:4555", "0.0.0.0:4555"),
    ],
)
@pytest.mark.parametrize("second", [TCP, GDB])
def test_one_address_is_for_one_end(tmp_path: Path, one: str, two: str, second: str) -> None:
    (diagnostic,) = found(tmp_path, TCP.format("com1", one) + (
        second.format("com2", two) if second is TCP else second.format(two)
    ))  # fmt: skip

    assert diagnostic.code == "VM061"
    assert {span.line for span in (diagnostic.primary, *diagnostic.secondary)} == {6, 7}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("127.0.0.1:4555", "127.0.0.1:4556"),
        ("127.0.0.1:4555", "127.0.0.2:4555"),
        ("127.0.0.1:4555", "[::1]:4555"),
        ("0.0.0.0:4555", "[::1]:4555"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ],
)
def test_different_addresses_do_not_collide(tmp_path: Path, one: str, two: str) -> None:
    assert not found(tmp_path, TCP.format("com1", one) + TCP.format("com2", two))


@pytest.mark.parametrize(
    ("one", "two"), [("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "127.1"), ("::", "0.0.0.0")]
)
def test_the_host_refuses_what_is_refused(one: str, two: str) -> None:
    def family(name: str) -> int:
        return socket.AF_INET6 if ":" in name else socket.AF_INET

    with socket.socket(family(one)) as first, socket.socket(family(two)) as second:
        first.bind((one, 0))
        first.listen()
        port = first.getsockname()[1]
        address = f"[{one}]:{port}" if ":" in one else f"{one}:{port}"
        assert any(
            overlap(here, there) for here in where(address) for there in where(f"{two}:{port}")
        )
        with pytest.raises(OSError, match="in use"):
            second.bind((two, port))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("unix", "listen", "a.sock"), ("unix", "listen", "./b/../a.sock")),
        (("unix", "listen", "a.sock"), ("pipe", "path", "a.sock")),
        (("file", "path", "a.log"), ("pipe", "path", "a.log")),
        (("file", "path", "a.log"), ("pty", "path", "a.log")),
        (("file", "path", "a.log"), ("file", "path", "a.log")),
    ],
)
def test_one_path_is_for_one_end(
    tmp_path: Path, one: tuple[str, str, str], two: tuple[str, str, str]
) -> None:
    (diagnostic,) = found(tmp_path, PATH.format("com1", *one) + PATH.format("com2", *two))

    assert diagnostic.code == "VM061"


@pytest.mark.parametrize("line", ['gdb.listen = "./end"', 'debug.trace-file = "end"'])
def test_gdb_and_the_trace_have_paths_of_their_own(tmp_path: Path, line: str) -> None:
    (diagnostic,) = found(tmp_path, PATH.format("com1", "file", "path", "end") + line)

    assert diagnostic.code == "VM061"


def test_a_pipe_has_two_ends(tmp_path: Path) -> None:
    ends = [PATH.format(f"com{number}", "pipe", "path", "cable") for number in (1, 2, 3)]

    assert not found(tmp_path, "".join(ends[:2]))
    (diagnostic,) = found(tmp_path, "".join(ends))

    assert diagnostic.message.endswith("cable, and a pipe has two ends")
    assert diagnostic.message.startswith("3 ports use ")


@pytest.mark.parametrize("end", ["guest.bin", "link", "disk.img", "pc.toml"])
@pytest.mark.parametrize(
    "line", ['lpc.com1.backend = { type = "file", path = "END" }', 'debug.trace-file = "END"']
)
def test_nothing_writes_over_what_the_machine_is_made_from(
    tmp_path: Path, line: str, end: str
) -> None:
    disk = 'disks.root.image = "disk.img"\n'
    (diagnostic,) = found(tmp_path, disk + line.replace("END", end))

    assert diagnostic.code == "VM061"
    assert "would write over" in diagnostic.message
    assert diagnostic.primary.line == 7
