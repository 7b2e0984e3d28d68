# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot show --config`: a machine file that fits a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from manager.cli.graphs import of_snapshot
from manager.devices.claims import VARIABLES_DISK
from manager.devices.node import DeviceNode
from manager.devices.registry import short_name
from manager.errors import SnapshotCorruptError
from manager.graph.nodes import DiskSource, FirmwareBoot, Graph, ImageBoot, KernelBoot
from manager.text.quoting import UnquotableError, quoted

if TYPE_CHECKING:
    from manager.snapshot.read import Snapshot


def machine_file(opened: Snapshot) -> str:
    """TOML whose identity is that of the snapshot. Raises SnapshotCorruptError."""
    try:
        return "\n".join(_lines(of_snapshot(opened))) + "\n"
    except UnquotableError as error:
        raise SnapshotCorruptError(
            f"{opened.file}: its machine cannot be written: {error}"
        ) from None


def _cpu(graph: Graph) -> dict[str, Any]:
    found: dict[str, Any] = {"model": graph.cpu_model}
    if graph.cpu_count > 1:
        found |= {"count": graph.cpu_count, "quantum": f"{graph.cpu_quantum}ns"}
    if (seed := graph.cpu_seed) is not None:
        jitter = f"{seed.jitter_ns}ns"
        found["schedule"] = {"seed": seed.seed, "jitter": jitter, "tear": seed.tear}
    return found


def _lines(graph: Graph) -> Iterator[str]:
    yield "schema = 1"
    yield _pair("name", graph.name)
    yield from _table("cpu", _cpu(graph))
    yield from _table("memory", {"size": graph.memory_size})
    epoch = datetime.fromtimestamp(graph.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield from _table("clock", {"mode": graph.clock_mode})
    yield f"epoch = {epoch}"
    yield from _table("boot", _boot(graph.boot))
    debug: dict[str, Any] = {}
    if graph.debug.strict_io:
        debug["strict-io"] = True
    if graph.debug.on_triple_fault != "stop":
        debug["on-triple-fault"] = graph.debug.on_triple_fault
    if graph.debug.on_reset != "reset":
        debug["on-reset"] = graph.debug.on_reset
    if debug:
        yield from _table("debug", debug)
    for disk in graph.disks:
        if disk.is_share:
            share = {"folder": disk.folder, "mode": disk.mode}
            yield from _table(_key_path(disk.name), share)
        elif disk.name != VARIABLES_DISK or disk.size is None:  # that one is there by itself
            yield from _table(f"disks.{_key(disk.name)}", _disk(disk))
    for node in graph.devices:
        if not node.id.startswith("board."):
            yield from _table(_path(node), _device(node))


def _disk(disk: DiskSource) -> dict[str, Any]:
    return {
        "image": disk.image,
        "folder": disk.folder,
        "format": disk.format,
        "size": disk.size,
        "mode": disk.mode,
        "on-full": disk.on_full,
    }


def _boot(boot: KernelBoot | ImageBoot | FirmwareBoot) -> dict[str, Any]:
    if isinstance(boot, ImageBoot):
        return {
            "image": boot.image,
            "load": boot.load,
            "entry": boot.entry,
            "bits": boot.bits,
        }
    keys: dict[str, Any] = {"kernel": boot.kernel, "initrd": boot.initrd}
    if isinstance(boot, KernelBoot):
        keys |= {"modules": list(boot.modules), "protocol": boot.protocol}
    else:
        order = list(boot.order)
        keys = {"firmware": boot.firmware, "variables": boot.variables, "boot-order": order} | keys
    return {**keys, "cmdline": boot.cmdline}


def _path(node: DeviceNode) -> str:
    return _key_path(node.id)


def _key_path(id: str) -> str:
    head, _, rest = id.partition(".")
    return f"{_key(head)}.{_key(rest)}" if rest else _key(head)


def _device(node: DeviceNode) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if node.file is not None:
        keys["device"] = f"{node.file}:{node.type.rpartition(':')[2]}"
    elif node.id.startswith("slots.") or node.CODE:
        keys["device"] = short_name(node.type)
    if node.backend is not None:
        keys["backend"] = node.backend.as_key()
    return keys | node.keys()


def _table(path: str, keys: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"[{path}]"
    for key, value in keys.items():
        if value not in (None, "", []):
            yield _pair(key, value)


def _pair(key: str, value: Any) -> str:
    return f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return quoted(key, "toml-key")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pair(key, item) for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return quoted(str(value), "toml")
