# SPDX-License-Identifier: BSD-2-Clause
"""What the guest can see of a machine, and the two hashes.

A snapshot fits a machine file when their identities are equal. Names, backends, paths, the clock's
mode and `ready` concern the host and are not part of it.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from manager import cbor
from manager.config.modules import join_module, split_module
from manager.devices.node import DeviceNode
from manager.graph.differences import Difference, differences
from manager.graph.nodes import (
    Boot,
    FirmwareBoot,
    Graph,
    ImageBoot,
    KernelBoot,
)
from manager.graph.plain import from_plain, plain_value, to_plain

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from manager.bus.record import Plain
    from manager.graph.lab import Lab

__all__ = [
    "Difference",
    "differences",
    "from_plain",
    "full_hash",
    "identity",
    "identity_hash",
    "lab_identity_hash",
    "lab_wires",
    "to_plain",
]

ARCHITECTURE = "x86_64-pc"
Part = TypeVar("Part", bound="DataclassInstance")


def identity(graph: Graph) -> dict[str, Plain]:
    """Everything that the guest can see."""
    return {
        "architecture": ARCHITECTURE,
        "cpu": {"model": graph.cpu_model, **_cpus(graph)},
        "memory": {"size": graph.memory_size},
        "clock": {"epoch": graph.epoch},
        "boot": _boot(graph.boot),
        **_debug(graph),
        **_disks(graph),
        "devices": {node.id: _device(node) for node in graph.devices},
    }


def _cpus(graph: Graph) -> dict[str, Plain]:
    """Several CPUs, and a schedule by seed; the defaults have no name, so that old hashes stay."""
    found: dict[str, Plain] = {}
    if graph.cpu_count > 1:
        found |= {"count": graph.cpu_count, "quantum": graph.cpu_quantum}
    if graph.cpu_seed is not None:
        found["schedule"] = plain_value(graph.cpu_seed)
    return found


def _debug(graph: Graph) -> dict[str, Plain]:
    """What of it the guest can see; the defaults have no name, so that old hashes stay."""
    told: dict[str, Plain] = {}
    if graph.debug.strict_io:
        told["strict_io"] = True
    if graph.debug.on_triple_fault != "stop":
        told["on_triple_fault"] = graph.debug.on_triple_fault
    return {"debug": told} if told else {}


def _disks(graph: Graph) -> dict[str, Plain]:
    """What the guest sees of the disks but for their content, which a snapshot compares itself."""
    told: dict[str, Plain] = {
        disk.name: {"read_only": disk.mode == "read-only", "size": disk.size}
        for disk in graph.disks
    }
    return {"disks": told} if told else {}


def _boot(boot: Boot) -> dict[str, Plain]:
    """How the machine starts; the content of the files is not part of a graph."""
    if isinstance(boot, KernelBoot):
        protocol: dict[str, Plain] = {"protocol": boot.protocol} if boot.protocol else {}
        return {
            "kind": "kernel",
            "cmdline": boot.cmdline,
            "initrd": boot.initrd is not None,
            "modules": [_module(module) for module in boot.modules],
            **protocol,
        }
    if isinstance(boot, ImageBoot):
        return {"kind": "image", "load": boot.load, "entry": boot.entry, "bits": boot.bits}
    order: dict[str, Plain] = {"order": list(boot.order)} if boot.order else {}
    return {"kind": "firmware", **_firmware_kernel(boot), **order}


def _firmware_kernel(boot: FirmwareBoot) -> dict[str, Plain]:
    """What firmware is told to boot, if anything."""
    if boot.kernel is None:
        return {}
    return {"kernel": True, "cmdline": boot.cmdline, "initrd": boot.initrd is not None}


def _module(module: str) -> str:
    """A multiboot module without its directory."""
    path, arguments = split_module(module)
    return join_module(Path(path).name, arguments)


def _device(node: DeviceNode) -> dict[str, Plain]:
    """A device's facts; those it does not have are left out, so new kinds change no old hash."""
    facts: dict[str, Plain] = {
        "type": node.type,
        "parent": node.parent,
        "address": str(node.address) if node.address is not None else None,
        "ports": plain_value(node.ports),
        "memory": plain_value(node.memory),
        "irq": node.irq,
        "pin": node.pin or None,
        "pirq": node.pirq,
        "pci": plain_value(node.pci),
        "bars": plain_value(node.bars),
        "memory_bars": plain_value(node.memory_bars),
        "properties": plain_value(node.properties),
    }
    absent: tuple[Plain, ...] = (None, [], {})
    return {name: fact for name, fact in facts.items() if fact not in absent}


def identity_hash(graph: Graph) -> str:
    """BLAKE3 of the identity, in hex."""
    return _hash(identity(graph))


def lab_wires(lab: Lab) -> dict[str, Plain]:
    """What the guests of a lab can see of the wires between them."""
    return {
        "links": {
            link.name: {
                "ends": [str(end) for end in link.ends],
                "latency": link.latency,
                "bandwidth": link.bandwidth,
                "loss": link.loss,
                "seed": link.seed,
            }
            for link in lab.links.values()
        },
        "cables": {
            cable.name: {
                "ends": [str(end) for end in cable.ends],
                "latency": cable.latency,
                "baud": cable.baud,
            }
            for cable in lab.cables.values()
        },
    }


def lab_identity_hash(lab: Lab) -> str:
    """BLAKE3 of what the guests of a lab can see: each of its machines, and the wires."""
    machines: dict[str, Plain] = {name: identity_hash(graph) for name, graph in lab.members.items()}
    return _hash({"architecture": "lab", "machines": machines, **lab_wires(lab)})


def full_hash(graph: Graph) -> str:
    """BLAKE3 of the whole graph, in hex.

    Paths count from the directory of the machine file, so that a project may be moved.
    """
    plain: dict[str, Any] = dict(to_plain(_relative(graph)))
    del plain["source"]
    for node, device in zip(graph.devices, plain["devices"], strict=True):
        if node.file is not None:
            device["file"] = str(_near(node.file, graph.source.parent))
    return _hash(plain)


def _relative(graph: Graph) -> Graph:
    here = graph.source.parent
    gdb = graph.gdb
    if gdb is not None and gdb.is_path:
        gdb = replace(gdb, listen=f"./{_near(gdb.listen, here)}")
    return replace(
        graph,
        boot=_boot_near(graph.boot, here),
        disks=tuple(_paths_near(disk, here) for disk in graph.disks),
        devices=tuple(_device_near(node, here) for node in graph.devices),
        gdb=gdb,
        debug=_paths_near(graph.debug, here),
        sandbox=replace(
            graph.sandbox,
            read=tuple(_near(path, here) for path in graph.sandbox.read),
            write=tuple(_near(path, here) for path in graph.sandbox.write),
        ),
    )


def _boot_near(boot: Boot, here: Path) -> Boot:
    boot = _paths_near(boot, here)
    if isinstance(boot, KernelBoot):
        modules = (split_module(module) for module in boot.modules)
        named = tuple(join_module(_near(path, here), rest) for path, rest in modules)
        return replace(boot, modules=named)
    return boot


def _device_near(node: DeviceNode, here: Path) -> DeviceNode:
    near: dict[str, Any] = {
        name: _paths_near(resource, here) for name, resource in node.host_resources.items()
    }
    return replace(node, **near) if near else node


def _paths_near(part: Part, here: Path) -> Part:
    """A part of a graph with every path in it relative to `here`."""
    paths = {
        item.name: _near(value, here)
        for item in fields(part)
        if isinstance(value := getattr(part, item.name), Path)
    }
    return replace(part, **paths) if paths else part


def _near(path: Path | str, here: Path) -> Path:
    return Path(os.path.relpath(path, here))


def _hash(value: Plain) -> str:
    import blake3

    return blake3.blake3(cbor.encode(value)).hexdigest()
