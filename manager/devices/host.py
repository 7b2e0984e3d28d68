# SPDX-License-Identifier: BSD-2-Clause
"""What a device has on the host, such as the other end of a serial port.

The guest cannot see any of it, and it is no part of the machine's identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import ClassVar

from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class HostResource:
    """Something on the host. Paths in its fields are absolute."""

    @property
    def exclusive(self) -> str:
        """What only one device at a time can have: a file, an address; empty if there is none."""
        return ""


@dataclass(frozen=True, slots=True)
class Backend(HostResource):
    """The host's side of a serial port. Each kind is a class of its own, below."""

    TYPE: ClassVar[str]

    @property
    def type(self) -> str:
        """The kind, as machine files name it."""
        return self.TYPE

    @property
    def options(self) -> dict[str, str]:
        """The keys that a machine file gives with it, as text."""
        given = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {name: str(value) for name, value in given if value is not None}

    @property
    def exclusive(self) -> str:
        """A file or an address."""
        return self.options.get("path") or self.options.get("listen") or ""

    def as_key(self) -> str | dict[str, str]:
        """The value of a key `backend` that stands for it."""
        return {"type": self.type, **self.options} if self.options else self.type


@dataclass(frozen=True, slots=True)
class Backends(HostResource):
    """The backends of a device's further ports, in their order."""

    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class Stdio(Backend):
    """The terminal or pipe that vmmgr itself runs on."""

    TYPE = "stdio"

    @property
    def exclusive(self) -> str:
        """The terminal."""
        return "stdio"


@dataclass(frozen=True, slots=True)
class Null(Backend):
    """Nothing."""

    TYPE = "null"


@dataclass(frozen=True, slots=True)
class Pty(Backend):
    """A new pseudo-terminal; `path` is to be a symbolic link to it."""

    TYPE = "pty"
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class File(Backend):
    """A file that output is appended to."""

    TYPE = "file"
    path: Path


@dataclass(frozen=True, slots=True)
class Tcp(Backend):
    """A TCP connection; exactly one of the two is given, as HOST:PORT."""

    TYPE = "tcp"
    listen: str | None = None
    connect: str | None = None


@dataclass(frozen=True, slots=True)
class Unix(Backend):
    """A UNIX stream socket; exactly one of the two is given."""

    TYPE = "unix"
    listen: Path | None = None
    connect: Path | None = None


@dataclass(frozen=True, slots=True)
class Pipe(Backend):
    """A null-modem cable to another port; `path` is the socket that stands for it."""

    TYPE = "pipe"
    path: Path

    @property
    def exclusive(self) -> str:
        """Nothing: one machine may have both ends."""
        return ""


@dataclass(frozen=True, slots=True)
class LinkEnd(HostResource):
    """A place on the link of that name, which a lab has; the link has no other end elsewhere."""

    name: str
    capture: Path | None = None
    """Where all frames are written to."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class UserNetwork(HostResource):
    """The host's own network, without root."""

    forward: tuple[str, ...]
    """Each "HOST:PORT -> PORT": where the host listens, and the guest's port of TCP; with "/udp"
    behind it, of UDP."""
    capture: Path | None = None

    def __str__(self) -> str:
        return ", ".join(("user", *self.forward))


@dataclass(frozen=True, slots=True)
class SocketNetwork(HostResource):
    """A UNIX stream socket for frames; exactly one of the two is given."""

    listen: Path | None
    connect: Path | None
    capture: Path | None = None

    def __str__(self) -> str:
        return f"socket connect {self.connect}" if self.connect else f"socket listen {self.listen}"


Network = LinkEnd | UserNetwork | SocketNetwork
"""What a network card is plugged into."""


def path(text: str | None) -> Path | None:
    """A path that may not be given."""
    return Path(text) if text is not None else None


BACKENDS: Mapping[str, type[Backend]] = {
    kind.TYPE: kind for kind in (Stdio, Null, Pty, File, Tcp, Unix, Pipe)
}


def backend(type: str, options: Mapping[str, str]) -> Backend:
    """The backend of that type. Raises LookupError or TypeError for what there is not."""
    kind = BACKENDS[type]
    paths = {item.name for item in fields(kind) if "Path" in str(item.type)}
    return kind(**{key: Path(item) if key in paths else item for key, item in options.items()})
