# SPDX-License-Identifier: BSD-2-Clause
"""The road outside: a process of passt for each card, which needs no rights of root.

passt(1) has the guest's connections made by the host: it is the guest's router, its DHCP server and
resolver. It ends when its socket is closed, so it cannot outlive the machine.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from socket import SOCK_DGRAM, SOCK_STREAM
from typing import NamedTuple

from manager.errors import HostError
from manager.network.peer import Side
from manager.network.stream import LENGTH, LONGEST, FrameStream

PROGRAM = "passt"
GUEST, ROUTER, PREFIX = "10.0.2.15", "10.0.2.2", "24"
"""The addresses that QEMU's user network has as well, whatever the host has."""
MTU = "1500"
PATIENCE = 10.0
"""Seconds that it gets to answer for the first time, on a host that is busy."""
ENDING = 2.0
"""Seconds that it gets to end."""

_NOT_THERE = f"{PROGRAM}(1) is not installed"
_NO_NEWS = ("to syslog", "Changing to nobody...")
"""Ends of lines that say nothing of why it ended."""
_HEADER, _SHORTEST = 14, 60
"""Bytes of addresses and type, and of the shortest frame without its checksum (RFC 894)."""
_IPV4, _IPV4_HEADER = b"\x08\0", 20
"""An Ethernet type, and the bytes of the shortest packet (RFC 894, 791)."""
_ARP = bytes.fromhex("0806 0001 0800 06 04 0001")
"""An Ethernet type, and the beginning of a question for an IPv4 address (RFC 826)."""


class Passt:
    """passt for the card with the address `mac`, started and answering. Raises HostError.

    `forward` has "HOST:PORT -> PORT", "/udp" behind it for UDP: where the host listens, and the
    guest's port.
    """

    dropped = 0

    def __init__(self, mac: bytes, forward: Sequence[str]) -> None:
        for item in forward:
            _require_free(item)
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            self._said = undo.enter_context(tempfile.TemporaryFile())
            try:
                self._process = subprocess.Popen(
                    command(theirs.fileno(), forward),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._said,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                raise HostError(f"{PROGRAM} cannot be started: {error.strerror}") from None
            theirs.close()
            undo.callback(self._end)
            self._await(ours, mac)
            undo.pop_all()
        self._socket = ours
        self._stream: FrameStream | None = None

    def attach(self, selector: selectors.BaseSelector, side: Side) -> None:
        """Let frames through."""
        lost = Side(side.receive, lambda why: side.lost(self._last_words(why)))
        self._stream = FrameStream(self._socket, selector, lost)

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        if self._stream is not None:
            self._stream.send(without_padding(frame))
            self.dropped = self._stream.dropped

    def hold(self, held: bool) -> None:
        """Leave frames in the socket while `held`."""
        if self._stream is not None:
            self._stream.hold(held)

    def poll(self) -> None:
        """Nothing is ever due."""

    def describe(self) -> str:
        """The process."""
        return f"{PROGRAM}, process {self._process.pid}"

    def close(self) -> None:
        """End it."""
        if self._stream is not None:
            self._stream.close()
        self._socket.close()
        self._end()
        self._said.close()

    def _await(self, ours: socket.socket, mac: bytes) -> None:
        """Ask it for its address as the guest would, and wait for the answer."""
        guest, router = map(socket.inet_aton, (GUEST, ROUTER))
        question = b"\xff" * 6 + mac + _ARP + mac + guest + bytes(6) + router
        with contextlib.suppress(OSError):  # it has ended: there is no answer either
            ours.sendall(LENGTH.pack(len(question)) + question)
        ours.settimeout(PATIENCE)
        why = ""
        try:
            (length,) = LENGTH.unpack(_exactly(ours, LENGTH.size))
            _exactly(ours, min(length, LONGEST))
        except TimeoutError:
            why = f"no answer in {PATIENCE:g} s"
        except OSError:
            why = self._last_words("it ended")
        if why:
            raise HostError(
                f"{PROGRAM} does not run: {why}",
                help="the host needs a network with a default route",
            )

    def _last_words(self, otherwise: str) -> str:
        """The last line of what it said before it ended, if it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING)
        if self._process.returncode is None:
            return otherwise
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - 4096))
        lines = self._said.read().decode(errors="replace").split("\n")
        told = [line for line in lines if line.strip() and not line.endswith(_NO_NEWS)]
        return told[-1].strip() if told else otherwise

    def _end(self) -> None:
        for stop in (None, self._process.terminate, self._process.kill):
            if stop is not None:
                with contextlib.suppress(PermissionError):  # the sandbox lets no signals out
                    stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING)
                return


def without_padding(frame: bytes) -> bytes:
    """An IPv4 packet without what a driver has filled its frame up with to the shortest length.

    passt of Debian 12 takes the padding for data of the connection.

    >>> len(without_padding(bytes(12) + bytes.fromhex("0800 4500 0028") + bytes(42)))
    54
    """
    if len(frame) > _SHORTEST or frame[_HEADER - 2 : _HEADER] != _IPV4:
        return frame
    length = int.from_bytes(frame[_HEADER + 2 : _HEADER + 4], "big")
    return frame[: _HEADER + length] if length >= _IPV4_HEADER else frame


def _exactly(connected: socket.socket, length: int) -> bytes:
    """So many bytes, which may come in pieces. Raises OSError."""
    data = b""
    while len(data) < length:
        some = connected.recv(length - len(data))
        if not some:
            raise ConnectionError("it closed the connection")
        data += some
    return data


def command(descriptor: int, forward: Sequence[str]) -> list[str]:
    """The words that start it, with one end of a UNIX stream socket for frames.

    Raises HostError when it is not installed.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise HostError(
            f"a network of the type user needs {PROGRAM}, and {_NOT_THERE}",
            help=f"apt install {PROGRAM}, or take another network",
        )
    words = [program, "--foreground", "--quiet", "--stderr", "--ipv4-only"]
    words += ["--fd", str(descriptor), "--mtu", MTU, "--search", "none"]
    words += ["--address", GUEST, "--netmask", PREFIX, "--gateway", ROUTER]
    for option, kind in (("--tcp-ports", SOCK_STREAM), ("--udp-ports", SOCK_DGRAM)):
        ours = [_Forward.of(item) for item in forward]
        chosen = [f"{item.host}/{item.own}:{item.port}" for item in ours if item.kind == kind]
        # Without a word on UDP it would forward the ports of TCP there as well.
        words += [word for spec in chosen or ["none"] for word in (option, spec)]
    return words


class _Forward(NamedTuple):
    """A port of the host that leads into the guest."""

    kind: int
    """SOCK_STREAM or SOCK_DGRAM."""
    host: str
    own: int
    port: int
    """The guest's."""

    @classmethod
    def of(cls, text: str) -> _Forward:
        listen, to = text.split(" -> ")
        host, _, own = listen.rpartition(":")
        port, _, protocol = to.partition("/")
        return cls(SOCK_DGRAM if protocol == "udp" else SOCK_STREAM, host, int(own), int(port))


def _require_free(text: str) -> None:
    """Raise HostError for a port that the host does not let us have: passt only says which."""
    forward = _Forward.of(text)
    with socket.socket(socket.AF_INET, forward.kind) as probe:
        try:
            if forward.kind == SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((forward.host, forward.own))
            if forward.kind == SOCK_STREAM:
                probe.listen()
        except OSError as error:
            raise HostError(
                f'forward "{text}": cannot listen on {forward.host}:{forward.own}: '
                f"{error.strerror}",
                help="another program may have the port; choose another one",
            ) from None
