# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a console with ports."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from manager.config.backends import BACKEND, Backend
from manager.config.table import SlotTable, Table
from manager.config.values import fault, text_like

MOST_NAMED = 7
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        help = 'letters, digits, ".", "_" and "-", such as "org.qemu.guest_agent.0"'
        raise fault("VM014", f'"{text}" is not a name for a port', help)
    return text


PortName = Annotated[str, AfterValidator(_name), text_like(_NAME.pattern)]


class NamedPort(Table):
    """A port that the guest finds by its name."""

    backend: Backend = BACKEND


class VirtioConsoleSlot(SlotTable):
    """A console (hvc0 for Linux), and ports with names (/dev/virtio-ports/NAME)."""

    backend: Backend = BACKEND
    ports: Annotated[dict[PortName, NamedPort], Field(max_length=MOST_NAMED)] = Field(
        default_factory=dict,
        description=f"Ports with names, {MOST_NAMED} at most: a table for each, with a `backend`.",
        examples=[{"agent": {"backend": "pty"}}],
    )
