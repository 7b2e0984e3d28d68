# SPDX-License-Identifier: BSD-2-Clause
"""The tables of a lab file: its machines, and the wires between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from manager.config import units, values
from manager.config.lab_limits import BANDWIDTHS, BAUDS, LATENCIES, SEEDS
from manager.config.scan import KeyPath
from manager.config.source import Tree
from manager.config.table import Table
from manager.config.values import Duration, FilePath, LintCode, Name, fault
from manager.names import NAME, NAME_HELP

MOST_ON_A_WIRE = 16 << 20
"""Bytes that a link may have on its way from each card: bandwidth times latency."""
_RATE = r"[0-9]+(?:\.[0-9]+)?[KMG]?"
_SLOWEST, _FASTEST = BANDWIDTHS
_PORT = re.compile(r"com[1-4]|(?:slots|lpc)\.[a-z0-9.-]+")


def _rate(value: object) -> object:
    if type(value) is int:
        rate = value
    elif isinstance(value, str):
        try:
            rate = units.parse_rate(value)
        except ValueError as error:
            help = 'write a number and K, M or G bits a second, such as "100M"'
            raise fault("VM027", str(error), help) from None
    else:
        raise fault("VM027", "a bandwidth is a string or an integer", 'such as "100M"')
    if not _SLOWEST <= rate <= _FASTEST:
        allowed = f'"{units.format_rate(_SLOWEST)}" to "{units.format_rate(_FASTEST)}"'
        raise fault("VM014", "no link has this bandwidth", allowed)
    return rate


def _loss(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault("VM011", "a loss is a number from 0 to 1", "such as 0.01, one in a hundred")
    if not 0 <= value <= 1:
        help = f"{value / 100:g} is {value} in a hundred" if 1 < value <= 100 else ""
        raise fault("VM014", "a loss is from 0, of none, to 1, of all", help)
    return round(value * units.LOSS_UNIT)


def _member(text: str) -> str:
    if NAME.fullmatch(text) is None:
        raise fault("VM014", f'"{text}" is not a name', NAME_HELP)
    return text


def _end(text: str) -> str:
    machine, _, port = text.partition(".")
    if NAME.fullmatch(machine) is None or _PORT.fullmatch(port) is None:
        help = 'write "MACHINE.PORT", such as "client.com2", or "client.slots.4"'
        raise fault("VM028", f'"{text}" is not an end of a cable', help)
    return text


def _flat(value: object) -> object:
    """Tables in tables as dotted keys, and every value as `--set` has it."""
    if not isinstance(value, dict):
        return value
    found: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            inner = _flat(item)
            assert isinstance(inner, dict)
            found |= {f"{key}.{name}": text for name, text in inner.items()}
        elif isinstance(item, bool):
            found[key] = "true" if item else "false"
        elif isinstance(item, str | int):
            found[key] = str(item)
        else:
            help = 'write it as `--set` has it: "text"'
            raise fault("VM011", f"`{key}` is neither text nor a number", help)
    return found


_WIRE_LATENCY: Any = Field(
    default=100_000,
    ge=LATENCIES[0],
    le=LATENCIES[1],
    description="How long what is sent is on its way: 1us to 10s. Machines run in turns of the "
    "shortest latency, so a short one is slow to emulate.",
    examples=["100us"],
)
_NAMED = AfterValidator(_member)


class MemberTable(Table):
    """A machine of a lab."""

    file: FilePath = Field(description="Its machine file.", examples=["client.toml"])
    settings: Annotated[
        dict[str, str], BeforeValidator(_flat), WithJsonSchema({"type": "object"})
    ] = Field(
        default={},
        alias="set",
        description="Variables and keys of that file, as with `--set`.",
        examples=[{"memory.size": "128M"}],
    )


class WireTable(Table):
    """An Ethernet link between the machines whose cards name it: a switch with a cable to each."""

    latency: Duration = _WIRE_LATENCY
    bandwidth: Annotated[
        int,
        BeforeValidator(_rate),
        WithJsonSchema({"type": ["string", "integer"], "pattern": rf"^{_RATE}$|\$\{{"}),
    ] = Field(
        default=1_000_000_000,
        description="Bits a second, in each direction of each card: 1K to 100G, in powers of ten.",
        examples=["100M"],
    )
    loss: Annotated[
        int,
        BeforeValidator(_loss),
        WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
    ] = Field(
        default=0,
        description="The share of frames that do not arrive, 0 to 1, at each receiver for itself.",
        examples=[0.01],
    )
    seed: int = Field(
        default=1,
        ge=SEEDS[0],
        lt=SEEDS[1] + 1,
        description="Which frames are lost: the same for the same seed.",
        examples=[3],
    )
    capture: FilePath | None = Field(
        default=None,
        description="A file that gets all frames, in pcap's format and the machines' time.",
        examples=["lan.pcap"],
    )

    @model_validator(mode="after")
    def _holds_not_too_much(self) -> WireTable:
        on_the_way = self.bandwidth * self.latency // (8 * 10**9)
        if on_the_way > MOST_ON_A_WIRE:
            message = f"{units.show_size(on_the_way)} would be on the way at a time"
            help = f"{units.show_size(MOST_ON_A_WIRE)} at most: bandwidth times latency"
            raise fault("VM014", message, help, ("latency", "bandwidth"))
        return self


class CableTable(Table):
    """A null-modem cable between two serial ports of the lab."""

    ends: Annotated[
        tuple[Annotated[str, AfterValidator(_end)], Annotated[str, AfterValidator(_end)]],
        Field(strict=False),
        WithJsonSchema(
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
        ),
    ] = Field(
        description="The two ports, each as MACHINE.PORT.",
        examples=[["client.com2", "server.com1"]],
    )
    latency: Duration = _WIRE_LATENCY
    baud: int = Field(
        default=1_000_000,
        ge=BAUDS[0],
        le=BAUDS[1],
        description="Bits a second; a byte has ten. The ports' own `pace` may be slower.",
        examples=[115_200],
    )


class LabTable(Table):
    """A lab file, after `extends`, variables and `--set`."""

    format: Annotated[Literal[1], BeforeValidator(values.exactly)] = Field(
        default=1,
        alias="schema",
        description="The version of the machine-file format.",
        examples=[1],
    )
    name: Name = Field(
        description="The lab's name: a-z, 0-9 and -; the file's stem when it is not given.",
        examples=["lab"],
    )
    allow: Annotated[tuple[LintCode, ...], Field(strict=False)] = Field(
        default=(),
        description="Warnings about the lab not to report.",
        examples=[["VM092"]],
    )
    machines: dict[Annotated[str, _NAMED], MemberTable] = Field(
        description="The machines, by name.", examples=[{"client": {"file": "client.toml"}}]
    )
    links: dict[Annotated[str, _NAMED], WireTable] = Field(
        default={},
        description="Ethernet links, by the name that cards give as their `network`.",
        examples=[{"lan": {"latency": "100us"}}],
    )
    cables: dict[Annotated[str, _NAMED], CableTable] = Field(
        default={},
        description="Serial cables, by name.",
        examples=[{"null-modem": {"ends": ["client.com2", "server.com1"]}}],
    )

    @model_validator(mode="after")
    def _has_machines(self) -> LabTable:
        if not self.machines:
            raise fault("VM045", "the lab has no machine", "add `[machines.NAME]`", ("machines",))
        return self


SECTIONS: Mapping[str, type[Table]] = {
    "machines": MemberTable,
    "links": WireTable,
    "cables": CableTable,
}


def table_at(_tree: Tree, path: KeyPath) -> type[BaseModel] | None:
    """The model of the table at a path of a lab file."""
    match path:
        case ():
            return LabTable
        case (str() as section, _):
            return SECTIONS.get(section)
    return None
