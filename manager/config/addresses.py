# SPDX-License-Identifier: BSD-2-Clause
"""Addresses that a socket can have: HOST:PORT, and paths of UNIX sockets.

What is refused here is what the host would refuse whatever its network is like.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from manager.config.values import FilePath, fault, text_like

HOST_PORT = re.compile(r"(?:[^\s:\[\]/]*|\[[0-9A-Fa-f:.%a-z]+\]):([0-9]{1,5})")
LOOPBACK = re.compile(r"127(?:\.[0-9]+){1,3}|localhost|::1")
HOST_LIMIT, LABEL_LIMIT = 253, 63
"""Characters of a host's name and of a part of it (RFC 1035, 2.3.4)."""
SOCKET_PATH_LIMIT = 103
"""Bytes of a socket's path, everywhere (BSD: 104 with the zero, Linux: 108)."""
_HELP = 'write "HOST:PORT", such as "127.0.0.1:4555" or "[::1]:4555"'
ALL_IPV4, ALL = "0.0.0.0", "::"  # noqa: S104 - to compare with


def require_one_end(table: object, what: str) -> None:
    """Raises VM022 unless exactly one of `listen` and `connect` is set; `what` names the table."""
    given = tuple(key for key in ("listen", "connect") if getattr(table, key) is not None)
    if len(given) != 1:
        does = "both listens and connects" if given else "neither listens nor connects"
        raise fault("VM022", f"this {what} {does}", "set `listen` or `connect`", given)


def host_of(address: str) -> str:
    """The host of HOST:PORT, without brackets."""
    return address.rpartition(":")[0].removeprefix("[").removesuffix("]")


def check_address(text: str, help: str = _HELP) -> str:
    """`text`, which is HOST:PORT. Raises VM021 when no host can have it."""
    match = HOST_PORT.fullmatch(text)
    if match is None or int(match[1]) > 0xFFFF:
        raise fault("VM021", f'"{text}" is not a network address', help)
    host = host_of(text)
    why = _not_ipv6(host) if text.startswith("[") else _no_name(host)
    if why is not None:
        raise fault("VM021", f'"{text}" is not a network address: {why}', help)
    return text


def _not_ipv6(host: str) -> str | None:
    import socket

    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        return f"{host} is not an IPv6 address"
    return None


def _no_name(host: str) -> str | None:
    """Why the name system takes no such name, if so."""
    if not host:
        return "it names no host"
    if not host.isprintable():
        return "a host's name has no control characters"
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return f'"{host}" is not a name that IDNA allows'
    if len(name) > HOST_LIMIT:
        return f"a host's name has at most {HOST_LIMIT} characters"
    for label in name.removesuffix(".").split("."):
        if not label:
            return "a part of the host's name is empty"
        if len(label) > LABEL_LIMIT:
            return f"a part of a host's name has at most {LABEL_LIMIT} characters"
    return None


def _connectable(text: str) -> str:
    if check_address(text).endswith(":0"):
        raise fault("VM021", f'"{text}" has no port to connect to', "a server's port is not 0")
    return text


def check_socket_path(path: str) -> str:
    """`path`, which is absolute. Raises VM014 when it is too long for a socket."""
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_LIMIT:
        message = f"a socket cannot have a path of {size} bytes"
        help = f"{SOCKET_PATH_LIMIT} at most, in full: {path}"
        raise fault("VM014", message, help)
    return path


def where(listen: str) -> Iterator[tuple[str, int]]:
    """(Host, port) that listening on HOST:PORT takes: one for each family; none of a free port.

    >>> list(where("localhost:80"))
    [('127.0.0.1', 80), ('::1', 80)]
    """
    host, port = host_of(listen), int(listen.rpartition(":")[2])
    if port == 0:
        return
    if host.rstrip(".").lower() == "localhost":
        yield "127.0.0.1", port
        yield "::1", port
        return
    yield _canonical(host), port


def _canonical(host: str) -> str:
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, host))
        except OSError:
            continue
    try:
        return socket.inet_ntoa(socket.inet_aton(host))  # 127.1, 0x7f000001
    except OSError:
        return host.rstrip(".").lower()


def overlap(one: tuple[str, int], two: tuple[str, int]) -> bool:
    """Whether two cannot listen at the same time: the same place, or all addresses and one."""
    if one[1] != two[1]:
        return False
    hosts = one[0], two[0]
    if one[0] == two[0] or ALL in hosts:
        return True  # it takes IPv4's as well, where IPv6 is not told to be alone
    return ALL_IPV4 in hosts and not any(":" in host for host in hosts)


Address = Annotated[str, AfterValidator(check_address), text_like(HOST_PORT.pattern)]
ServerAddress = Annotated[str, AfterValidator(_connectable), text_like(HOST_PORT.pattern)]
SocketPath = Annotated[FilePath, AfterValidator(check_socket_path)]
