# SPDX-License-Identifier: BSD-2-Clause
"""Backends as a machine file describes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.backends.factory import make
from manager.devices import host
from manager.errors import HostError, UsageError


@pytest.mark.parametrize(
    ("type", "options", "description"),
    [
        ("stdio", {}, "stdio"),
        ("null", {}, "null"),
        ("pty", {}, "pty /dev/"),
        ("file", {"path": "TMP/log"}, "file TMP/log"),
        ("tcp", {"listen": "127.0.0.1:0"}, "tcp 127.0.0.1:"),
        ("tcp", {"connect": "[::1]:7"}, "tcp to [::1]:7 (not connected)"),
        ("unix", {"listen": "TMP/socket"}, "unix TMP/socket"),
        ("unix", {"connect": "TMP/socket"}, "unix to TMP/socket (not connected)"),
    ],
)
def test_every_type_says_what_it_is(type, options, description, tmp_path: Path):
    at = str(tmp_path)
    options = {key: value.replace("TMP", at) for key, value in options.items()}

    backend = make(host.backend(type, options))

    assert backend.describe().startswith(description.replace("TMP", at))
    backend.close()
    backend.close()


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (host.Tcp(listen="4555"), "'4555' is not a TCP address"),
        (host.Tcp(listen="host:"), "'host:' is not a TCP address"),
        (host.Tcp(listen="host:65536"), "'host:65536' is not a TCP address"),
        (host.Tcp(listen="host:-1"), "'host:-1' is not a TCP address"),
        (host.Unix(connect=Path("x" * 104)), "too long for a socket"),
    ],
)
def test_wrong_addresses_are_usage_errors(backend, message):
    with pytest.raises(UsageError, match=message):
        make(backend)


def test_file_is_appended_to(tmp_path: Path):
    path = tmp_path / "com1.log"
    path.write_bytes(b"yesterday\n")

    backend = make(host.File(path))
    backend.write(b"today\n")
    backend.close()

    assert path.read_bytes() == b"yesterday\ntoday\n"


def test_file_that_cannot_be_opened_is_refused(tmp_path: Path):
    with pytest.raises(HostError, match="cannot write"):
        make(host.File(tmp_path))


def test_full_disk_stops_the_file_and_not_the_machine():
    backend = make(host.File(Path("/dev/full")))

    backend.write(b"no room")
    backend.write(b"for this")

    assert backend.describe() == "file /dev/full, stopped: No space left on device"
