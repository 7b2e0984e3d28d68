# SPDX-License-Identifier: BSD-2-Clause
"""From a backend's description in the graph to the backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from manager.backends.address import Address
from manager.backends.backend import Backend
from manager.backends.connecting import ConnectingBackend
from manager.backends.file import FileBackend
from manager.backends.listening import ListeningBackend
from manager.backends.null import NullBackend
from manager.backends.pipe import PipeBackend
from manager.backends.pty import PtyBackend
from manager.backends.stdio import StdioBackend
from manager.backends.tcp import TcpAddress
from manager.backends.unix import UnixAddress
from manager.errors import UsageError
from manager.graph import nodes

Options = Mapping[str, str]


def make(backend: nodes.Backend, pty_link: Path | None = None) -> Backend:
    """The backend that the machine file asks for, opened but not attached yet.

    A pty without a `path` of its own gets its symbolic link at `pty_link`.

    Raises UsageError for a wrong description, HostError for what the host refuses.
    """
    maker = _MAKERS.get(backend.type)
    if maker is None:
        raise UsageError(
            f"there is no backend {backend.type!r}",
            help="the backends are " + ", ".join(sorted(_MAKERS)),
        )
    if backend.type == "pty" and pty_link is not None:
        return maker({"path": str(pty_link), **backend.options})
    return maker(backend.options)


def _stdio(options: Options) -> Backend:
    _only(options, "stdio")
    return StdioBackend()


def _null(options: Options) -> Backend:
    _only(options, "null")
    return NullBackend()


def _pty(options: Options) -> Backend:
    _only(options, "pty", "path")
    return PtyBackend(Path(options["path"]) if "path" in options else None)


def _file(options: Options) -> Backend:
    _only(options, "file", "path")
    if "path" not in options:
        raise UsageError(
            "the file backend needs a path", help='{ type = "file", path = "com1.log" }'
        )
    return FileBackend(Path(options["path"]))


def _tcp(options: Options) -> Backend:
    return _socket(options, "tcp", TcpAddress.parse)


def _unix(options: Options) -> Backend:
    return _socket(options, "unix", UnixAddress.parse)


def _socket(options: Options, kind: str, parse: Callable[[str], Address]) -> Backend:
    _only(options, kind, "listen", "connect")
    if len(options) != 1:
        raise UsageError(
            f"the {kind} backend needs either `listen` or `connect`",
            help="`listen` waits for a client, `connect` goes to a server",
        )
    if "listen" in options:
        return ListeningBackend(parse(options["listen"]))
    return ConnectingBackend(parse(options["connect"]))


def _pipe(options: Options) -> Backend:
    _only(options, "pipe", "path")
    if "path" not in options:
        raise UsageError(
            "the pipe backend needs a path", help='{ type = "pipe", path = "cable" } in both files'
        )
    return PipeBackend(Path(options["path"]))


def _only(options: Options, kind: str, *known: str) -> None:
    """Raise UsageError for an option that this kind of backend does not have."""
    for option in options:
        if option not in known:
            raise UsageError(
                f"the {kind} backend has no option {option!r}",
                help="its options are " + ", ".join(known) if known else "it has none",
            )


_MAKERS: Mapping[str, Callable[[Options], Backend]] = {
    "stdio": _stdio,
    "null": _null,
    "pty": _pty,
    "file": _file,
    "tcp": _tcp,
    "unix": _unix,
    "pipe": _pipe,
}
