# SPDX-License-Identifier: BSD-2-Clause
"""The host's side of a serial port, as the machine file writes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manager.config.addresses import Address, ServerAddress, SocketPath, require_one_end
from manager.config.table import Table
from manager.config.values import FilePath
from manager.devices import host


class BackendTable(Table):
    """A backend, however it is written."""

    type: str = Field(description="The kind of backend.")

    def on_host(self) -> host.Backend:
        """The same for the graph."""
        options = self.model_dump(exclude={"type"}, exclude_none=True)
        return host.backend(self.type, options)


class StdioTable(BackendTable):
    """The terminal or pipe that vmmgr itself runs on."""

    type: Literal["stdio"] = Field(description="The kind of backend.")


class NullTable(BackendTable):
    """Nothing: output is dropped (the machine's log keeps it), there is no input."""

    type: Literal["null"] = Field(description="The kind of backend.")


class PtyTable(BackendTable):
    """A new pseudo-terminal."""

    type: Literal["pty"] = Field(description="The kind of backend.")
    path: FilePath | None = Field(
        default=None,
        description="Where to put a symbolic link to the terminal.",
        examples=["console.pty"],
    )


class FileTable(BackendTable):
    """A file that output is appended to; there is no input."""

    type: Literal["file"] = Field(description="The kind of backend.")
    path: FilePath = Field(description="The file.", examples=["com2.log"])


class _Socket(BackendTable):
    @model_validator(mode="after")
    def _one_end(self) -> _Socket:
        require_one_end(self, "backend")
        return self


class TcpTable(_Socket):
    """A TCP connection: either `listen` or `connect`."""

    type: Literal["tcp"] = Field(description="The kind of backend.")
    listen: Address | None = Field(
        default=None, description="HOST:PORT to wait on for a client.", examples=["127.0.0.1:4555"]
    )
    connect: ServerAddress | None = Field(
        default=None, description="HOST:PORT of a server.", examples=["127.0.0.1:4555"]
    )


class UnixTable(_Socket):
    """A UNIX stream socket: either `listen` or `connect`."""

    type: Literal["unix"] = Field(description="The kind of backend.")
    listen: SocketPath | None = Field(
        default=None, description="The path to wait on for a client.", examples=["com1.sock"]
    )
    connect: SocketPath | None = Field(
        default=None, description="The path of a server.", examples=["com1.sock"]
    )


class PipeTable(BackendTable):
    """A null-modem cable to a port of another machine, or to another port of this one.

    Both ends name the same path; the first to come waits there for the other.
    """

    type: Literal["pipe"] = Field(description="The kind of backend.")
    path: SocketPath = Field(description="The socket that stands for the cable.", examples=["link"])


AnyBackend = Annotated[
    StdioTable | NullTable | PtyTable | FileTable | TcpTable | UnixTable | PipeTable,
    Field(discriminator="type"),
]
Backend = Annotated[
    AnyBackend,
    BeforeValidator(lambda value: {"type": value} if isinstance(value, str) else value),
]
"""A backend that needs no options may be written as the name of its type."""

BACKENDS: dict[str, type[BackendTable]] = {
    "stdio": StdioTable,
    "null": NullTable,
    "pty": PtyTable,
    "file": FileTable,
    "tcp": TcpTable,
    "unix": UnixTable,
    "pipe": PipeTable,
}

BACKEND: Any = Field(
    default_factory=lambda: NullTable(type="null"),
    description="The host's side of the port.",
    examples=["stdio", {"type": "tcp", "listen": "127.0.0.1:4555"}],
)
"""A port's key `backend`."""
