# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot`: save, list, look into, compare, check, move and remove snapshots.

A snapshot is named by its directory, or as NAME (the suspended state of a machine or lab) or
NAME:TAG. One of a lab is taken as one, but for what is about the inside of a machine.
Looking into one needs neither the machine file nor the CPU engine.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

_WHICH = "NAME, NAME:TAG or a snapshot's directory"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `snapshot` and its verbs to the command line."""
    parser = subparsers.add_parser(
        "snapshot",
        description="A SNAPSHOT is NAME, the suspended state of a machine or lab; NAME:TAG, one "
        "that was saved; LAB/MEMBER or LAB/MEMBER:TAG, the part of one machine; or the path of a "
        "directory, with a slash. flatten, rebase and disk take no lab.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    save = _verb(verbs, "save", "store", "save a machine, which may run, under a tag")
    save.add_argument("name", metavar="NAME")
    save.add_argument("tag", nargs="?", metavar="TAG", help="default: save-1, save-2, ...")
    for name, summary in (("ls", "list snapshots"), ("tree", "the same as `ls --tree`")):
        listing = _verb(verbs, name, "list", summary)
        listing.add_argument("name", nargs="?", metavar="NAME", help="default: every machine")
        listing.add_argument("--tree", action="store_true", help="each below its parent")
    restore = _verb(verbs, "restore", "store", "make a saved state the suspended one")
    remove = _verb(verbs, "rm", "store", "remove a snapshot")
    for verb in (restore, remove):
        verb.add_argument("name", metavar="NAME")
        verb.add_argument("tag", metavar="TAG")
    clone = _verb(verbs, "clone", "store", "copy a suspended machine or lab, sharing its RAM")
    clone.add_argument("snapshot", metavar="SNAPSHOT", help=_WHICH)
    clone.add_argument("name", metavar="NEW-NAME")
    gc = _verb(verbs, "gc", "store", "remove what interrupted commands left behind")
    gc.add_argument("name", nargs="?", metavar="NAME", help="default: every machine")

    show = _verb(verbs, "show", "show", "print what a snapshot holds, field by field")
    show.add_argument("--config", action="store_true", help="print a machine file that fits it")
    verify = _verb(verbs, "verify", "files", "check every byte of it, RAM included")
    export = _verb(verbs, "export", "files", "write it to one compressed file")
    flatten = _verb(verbs, "flatten", "files", "store its RAM without a delta")
    rebase = _verb(verbs, "rebase", "files", "share the RAM of another snapshot")
    for verb in (show, verify, export, flatten, rebase):
        verb.add_argument("path", metavar="SNAPSHOT", help=_WHICH)
    disk = _verb(verbs, "disk", "disk", "write a disk as it was to an image of its own")
    disk.add_argument("path", metavar="SNAPSHOT", help=_WHICH)
    disk.add_argument("disk", metavar="DISK", help="its name in `[disks]`")
    disk.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    export.add_argument("file", nargs="?", metavar="FILE", help="default: NAME.vmms.tar.zst")
    rebase.add_argument("onto", metavar="ONTO", help=_WHICH)
    for verb in (flatten, rebase):
        verb.add_argument("--output", metavar="DIRECTORY", help="write there, not in its place")
    load = _verb(verbs, "import", "files", "take in a file that export wrote")
    load.add_argument("file", metavar="FILE")
    load.add_argument("name", metavar="NAME", help="the machine or lab to give it to")
    load.add_argument("tag", nargs="?", metavar="TAG", help="default: the suspended state")
    convert = _verb(verbs, "convert", "files", "turn a directory into a file, or back")
    convert.add_argument("path", metavar="FROM")
    convert.add_argument("output", metavar="TO")
    diff = _verb(verbs, "diff", "diff", "tell two snapshots apart")
    diff.add_argument("one", metavar="A", help=_WHICH)
    diff.add_argument("other", metavar="B", help=_WHICH)


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, module: str, help: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=help)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run, module=module)
    return parser


def run(args: argparse.Namespace) -> int:
    """Carry out one verb. Raises VmmgrError."""
    name = "labs" if _is_for_labs(args) else args.module
    module = importlib.import_module(f"manager.cli.snapshot.{name}")
    status: int = module.VERBS[args.verb](args)
    return status


def _is_for_labs(args: argparse.Namespace) -> bool:
    """Whether it is about the snapshot of a lab, where that is another thing than a machine's."""
    if args.verb == "diff":
        named = [args.one, args.other]
    elif args.verb in ("show", "verify"):
        named = [args.path]
    else:
        return False
    from manager.cli.snapshot.refs import find_lab

    return any(find_lab(name) for name in named)
