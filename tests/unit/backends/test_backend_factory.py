# SPDX-License-Identifier: BSD-2-Clause
"""Backends as a machine file describes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.backends.factory import make
from manager.errors import HostError, UsageError
from manager.graph.nodes import Backend


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

    backend = make(Backend(type, options))

    assert backend.describe().startswith(description.replace("TMP", at))
    backend.close()
    backend.close()


@pytest.mark.parametrize(
    ("type", "options", "message"),
    [
        ("telnet", {}, "there is no backend 'telnet'"),
        ("pipe", {}, "needs a path"),
        ("pipe", {"listen": "x"}, "no option 'listen'"),
        ("null", {"path": "x"}, "the null backend has no option 'path'"),
        ("stdio", {"raw": "yes"}, "the stdio backend has no option 'raw'"),
        ("pty", {"link": "x"}, "the pty backend has no option 'link'"),
        ("file", {}, "needs a path"),
        ("tcp", {}, "either `listen` or `connect`"),
        ("tcp", {"listen": "a:1", "connect": "a:1"}, "either `listen` or `connect`"),
        ("tcp", {"listen": "4555"}, "'4555' is not a TCP address"),
        ("tcp", {"listen": "host:"}, "'host:' is not a TCP address"),
        ("tcp", {"listen": "host:65536"}, "'host:65536' is not a TCP address"),
        ("tcp", {"listen": "host:-1"}, "'host:-1' is not a TCP address"),
        ("unix", {"listen": ""}, "needs a path"),
        ("unix", {"connect": "x" * 104}, "too long for a socket"),
    ],
)
def test_wrong_descriptions_are_usage_errors(type, options, message):
    with pytest.raises(UsageError, match=message):
        make(Backend(type, options))


def test_file_is_appended_to(tmp_path: Path):
    path = tmp_path / "com1.log"
    path.write_bytes(b"yesterday\n")

    backend = make(Backend("file", {"path": str(path)}))
    backend.write(b"today\n")
    backend.close()

    assert path.read_bytes() == b"yesterday\ntoday\n"


def test_file_that_cannot_be_opened_is_refused(tmp_path: Path):
    with pytest.raises(HostError, match="cannot write"):
        make(Backend("file", {"path": str(tmp_path)}))


def test_full_disk_stops_the_file_and_not_the_machine():
    backend = make(Backend("file", {"path": "/dev/full"}))

    backend.write(b"no room")
    backend.write(b"for this")

    assert backend.describe() == "file /dev/full, stopped: No space left on device"
