# SPDX-License-Identifier: BSD-2-Clause
"""A folder of the host that the guest sees as files, as the machine file names it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from manager.config.table import Table
from manager.config.values import FilePath, fault
from manager.names import NAME, NAME_HELP, name_like


def _share_name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        help = f'call it "{name_like(text)}", say; {NAME_HELP}'
        raise fault("VM014", f'"{text}" is not a name for a share', help)
    return text


ShareName = Annotated[str, AfterValidator(_share_name)]


class ShareTable(Table):
    """A folder of the host, as it is when the machine boots. It is never written."""

    folder: FilePath = Field(description="The folder of the host.", examples=["src"])
    mode: Literal["read-only", "overlay"] = Field(
        default="read-only",
        description='"read-only": the guest cannot write. "overlay": what the guest writes goes to '
        "a layer of the machine's own.",
        examples=["overlay"],
    )
