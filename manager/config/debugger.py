# SPDX-License-Identifier: BSD-2-Clause
"""The table `[gdb]`: where a debugger on the host's side connects."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from manager.config.addresses import HOST_PORT, LOOPBACK, check_address, check_socket_path, host_of
from manager.config.table import Table
from manager.config.values import fault, text_like


def _listen(text: str) -> str:
    if is_socket_path(text) and "\0" not in text:
        return check_socket_path(text)
    help = 'write "HOST:PORT", such as "127.0.0.1:1234", or a path with a slash, "./gdb.sock"'
    return check_address(text, help)


def is_socket_path(listen: str) -> bool:
    """Whether it is the path of a UNIX socket, not HOST:PORT."""
    return "/" in listen


def _stays_here(listen: str) -> bool:
    return is_socket_path(listen) or LOOPBACK.fullmatch(host_of(listen)) is not None


class GdbTable(Table):
    """Where gdb may connect to. A debugger can do anything to the machine."""

    listen: Annotated[str, AfterValidator(_listen), text_like(rf"{HOST_PORT.pattern}|.*/.*")] = (
        Field(
            description="HOST:PORT, or the path of a UNIX socket; a path has a slash in it.",
            examples=["127.0.0.1:1234", "./gdb.sock"],
        )
    )
    wait: bool = Field(
        default=False,
        description="Whether the machine executes nothing until a debugger says so.",
        examples=[True],
    )
    allow_remote: bool = Field(
        default=False,
        description="Whether `listen` may be an address that other hosts can reach.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _not_for_all(self) -> GdbTable:
        if not self.allow_remote and not _stays_here(self.listen):
            raise fault(
                "VM014",
                f'a debugger could connect to "{self.listen}" from other hosts',
                "listen on 127.0.0.1, or set `allow-remote = true`",
                ("listen",),
            )
        return self
