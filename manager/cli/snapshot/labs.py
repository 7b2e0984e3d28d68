# SPDX-License-Identifier: BSD-2-Clause
"""What `vmmgr snapshot` does with the snapshot of a lab, where a machine's is another thing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.output import print_json, size
from manager.cli.progress import Progress
from manager.errors import UsageError
from manager.state.lab import open_lab, verify_lab
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.lab.saved import LabSnapshot
    from manager.state.paths import MachinePaths


def show(args: argparse.Namespace) -> int:
    """Print what is in it beside its machines. Raises VmmgrError."""
    lab, tag = _lab(args.path)
    if args.config:
        raise UsageError(
            f"{lab.name} is a lab, whose file names those of its machines",
            help=f"`vmmgr snapshot show {lab.name}/MEMBER --config` prints one of these",
        )
    opened = open_lab(lab, tag)
    if args.json:
        print_json(as_json(lab, opened), indented=True)
    else:
        print("\n".join(map(shown, _lines(lab, opened))))
    return 0


def as_json(lab: MachinePaths, opened: LabSnapshot) -> dict[str, Any]:
    """All but the machines' states, which are shown by their names; bytes are hexadecimal."""
    from manager.cli.snapshot.show import jsonable

    record = opened.record
    return {
        "schema": 1,
        "path": str(opened.directory),
        "lab": lab.name,
        "virtual_time": record.now,
        "identity_hash": record.identity,
        "machines": [
            {
                "name": f"{lab.name}/{name}",
                "path": str(one.directory),
                "id": one.id.hex(),
                "virtual_time": one.header.virtual_time,
                "ram_bytes": one.ram_size,
                "ram_bytes_on_disk": one.ram_on_disk,
            }
            for name, one in opened.machines.items()
        ],
        "over": [
            {"name": f"{lab.name}/{name}", "kind": one.kind, "detail": one.detail}
            for name, one in record.over.items()
        ],
        "wires": jsonable(dict(record.wires)),
        "config": jsonable(dict(record.config)),
    }


def _lines(lab: MachinePaths, opened: LabSnapshot) -> Iterator[str]:
    record = opened.record
    yield f"snapshot  {opened.directory}"
    yield f"lab       {lab.name}"
    yield f"at        {record.now} ns"
    yield f"identity  {record.identity}"
    for name, one in opened.machines.items():
        ram = f"{size(one.ram_size)} of RAM, {size(one.ram_on_disk)} on disk"
        yield f"machine   {lab.name}/{name}, {ram}"
    for name, end in record.over.items():
        yield f"over      {lab.name}/{name}: {end.detail or end.kind}"
    for kind, words in (("links", "link"), ("cables", "cable")):
        wires = record.wires.get(kind)
        for name, state in (wires if isinstance(wires, dict) else {}).items():
            yield f"{words:<9} {name}, {size(_on_its_way(state))} on their way"
    yield f"          `vmmgr snapshot show {lab.name}/MEMBER` shows what is in a machine"


def _on_its_way(state: Any) -> int:
    """Bytes that are under way on a wire, what is kept with them included."""
    if isinstance(state, list):
        return sum(map(_on_its_way, state))
    if not isinstance(state, dict):
        return 0
    own = (state.get(key, b"") for key in ("flying", "arriving"))
    return sum(len(data) for data in own if isinstance(data, bytes)) + _on_its_way(
        state.get("ends")
    )


def verify(args: argparse.Namespace) -> int:
    """Check all of it. Raises SnapshotCorruptError."""
    lab, tag = _lab(args.path)
    with Progress("verifying") as progress:
        checked = verify_lab(lab, tag, progress.add)
    machines = list(checked.machines.values())
    files = sum(len(one.manifest.objects) + 1 for one in machines) + 1
    ram = sum(one.ram_size for one in machines)
    if args.json:
        names = [f"{lab.name}/{name}" for name in checked.machines]
        print_json({"ok": True, "files": files, "ram_bytes": ram, "machines": names})
    else:
        count = f"{len(machines)} machine{'' if len(machines) == 1 else 's'}"
        print(f"{checked.directory}: ok, {count}, {files} files, {size(ram)} of RAM")
    return 0


def export(lab: MachinePaths, tag: str, file: Path) -> None:
    """Write it to one file. Raises VmmgrError."""
    from manager.state.lab_moves import export_lab

    with Progress("exporting") as progress:
        export_lab(open_lab(lab, tag), file, progress.add)


def clone(args: argparse.Namespace, lab: MachinePaths, tag: str) -> Path:
    """Make a lab of another name of it; where its state is. Raises VmmgrError."""
    from manager.state.lab_moves import clone_lab
    from manager.state.last_run import copied, read_last_run, write_last_run
    from manager.state.paths import MachinePaths

    opened = open_lab(lab, tag)
    target = MachinePaths.of(args.name)
    path = clone_lab(opened, target)
    names = ["", *opened.machines]
    for name in names:
        one, other = (paths.member(name) if name else paths for paths in (lab, target))
        before = read_last_run(one.last_run)
        if before is not None:
            write_last_run(other.last_run, copied(before, other.name))
    return path


def diff(args: argparse.Namespace) -> int:
    """Tell two snapshots of labs apart. Raises VmmgrError."""
    from manager.cli.snapshot.diff import Comparison, compare, print_comparison
    from manager.cli.snapshot.refs import find_lab

    labs = [found for found in map(find_lab, (args.one, args.other)) if found is not None]
    if len(labs) < 2:
        raise UsageError(
            f"one of {args.one} and {args.other} is a lab, and the other is none",
            help="compare two labs, or LAB/MEMBER with a machine",
        )
    one, other = (open_lab(*lab) for lab in labs)
    found: dict[str, Comparison | str] = {}
    for name in dict.fromkeys([*one.machines, *other.machines]):
        before, after = one.machines.get(name), other.machines.get(name)
        if before is None or after is None:
            found[name] = f"only in {'A' if after is None else 'B'}"
        else:
            found[name] = compare(before, after)
    lab = list(_lab_differences(one, other))
    equal = not lab and all(isinstance(item, Comparison) and item.equal for item in found.values())
    if args.json:
        machines = {
            name: {"equal": False, "problem": item} if isinstance(item, str) else item.as_json()
            for name, item in found.items()
        }
        print_json({"equal": equal, "lab": lab, "machines": machines})
        return 0
    for line in lab:
        print(shown(f"lab: {line}"))
    for name, item in found.items():
        if isinstance(item, str):
            print(shown(f"{name}: {item}"))
        else:
            print_comparison(item, f"{name}: ")
    if equal:
        print("equal")
    return 0


def _lab_differences(one: LabSnapshot, other: LabSnapshot) -> Iterator[str]:
    before, after = one.record, other.record
    if before.now != after.now:
        yield f"virtual time: {before.now} ns -> {after.now} ns"
    if before.identity != after.identity:
        yield "it has other machines, links or cables"
    for kind in dict.fromkeys([*before.wires, *after.wires]):
        old, new = before.wires.get(kind), after.wires.get(kind)
        if not isinstance(old, dict) or not isinstance(new, dict):
            continue
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name):
                yield f"{kind.removesuffix('s')} {name}: another state"


VERBS = {"show": show, "verify": verify, "diff": diff}


def _lab(reference: str) -> tuple[MachinePaths, str]:
    from manager.cli.snapshot.refs import find_lab

    found = find_lab(reference)
    assert found is not None
    return found
