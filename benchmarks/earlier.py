# SPDX-License-Identifier: BSD-2-Clause
"""vmmgr against an earlier tree of it, in turns: what users wait for, and port I/O.

    python -m benchmarks.earlier TREE|REVISION [--rounds N] [--scale X] [--limit RATIO]

A revision of git is unpacked and its native parts are built, for the libraries that are there. Both
trees run in processes of their own, on the same machine files. Of each round the ratio between the
trees is taken, and of these the median; with --limit the exit code is 1 when one of them is above
it. `python -m benchmarks` takes the earlier tree from VMMGR_EARLIER.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import ours
from benchmarks.contest import Attempt, contest
from benchmarks.guests import END, HEARTBEAT, START, heartbeat, port_reads, port_writes
from benchmarks.port_io import LSR, THR
from benchmarks.process import CACHING, Child, output_of
from benchmarks.report import contests
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "earlier"
EARLIER = "vmmgr, earlier"
PEERS = (EARLIER,)
VARIABLE = "VMMGR_EARLIER"
ROOT = Path(__file__).parents[1]
HELLO = ROOT / "machines" / "hello.toml"
ACCESSES = 1_000_000
MIB = 64
RETRIES_OF_SHORT = 4
"""Repetitions of what takes a fraction of a second, for each round."""
Measured = Callable[["Tree"], float]


class Tree:
    """A tree of vmmgr, and a place for what its machines leave behind."""

    def __init__(self, root: Path, place: Path) -> None:
        self.root = root
        self.place = place
        self._environment = {
            "PYTHONPATH": str(root),
            "VMMGR_STATE_HOME": str(place / "state"),
            "XDG_RUNTIME_DIR": str(place / "run"),
        }
        (place / "run").mkdir(mode=0o700, parents=True)

    def command(self, *arguments: str | Path) -> list[str | Path]:
        """Where this is run does not matter: -P keeps the current directory out of sys.path."""
        return [sys.executable, "-P", "-m", "manager", *arguments]

    def run(self, *arguments: str | Path) -> str:
        """What it prints. Raises AbsentError when it fails."""
        return output_of(self.command(*arguments), self._environment)

    def child(self, *arguments: str | Path) -> Child:
        """A process to listen to."""
        return Child(self.command(*arguments), self._environment)

    def timed(self, *arguments: str | Path) -> float:
        """Milliseconds from the start of the process to its end. Raises AbsentError, as `run`."""
        began = time.perf_counter()
        self.run(*arguments)
        return (time.perf_counter() - began) * 1000


def measure(effort: Effort = FULL) -> list[Row]:
    """Five contests; without an earlier tree they say how to name one."""
    root = os.environ.get(VARIABLE)
    if not root:
        why = f"{VARIABLE} names no tree"
        return [
            Row("an earlier tree", contestant, "ms", absent=why) for contestant in (VMMGR, EARLIER)
        ]
    return against(Path(root), effort)


def against(root: Path, effort: Effort) -> list[Row]:
    """The present tree against the one in `root`, whose native parts are built."""
    ours.compile_modules()
    output_of([sys.executable, "-m", "compileall", "-q", root / "manager"])
    count = effort.of(ACCESSES)
    short = RETRIES_OF_SHORT * effort.rounds
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Path(folder)
        trees = {VMMGR: Tree(ROOT, place / "new"), EARLIER: Tree(root, place / "old")}
        living = ours.write_machine(place, heartbeat(MIB), memory=MIB, com1="stdio", name="living")

        def times(name: str, measured: Measured, rounds: int) -> list[Row]:
            attempts: dict[str, Attempt] = {
                contestant: partial(measured, tree) for contestant, tree in trees.items()
            }
            return contest(name, "ms", attempts, rounds)

        rows = times("--help", lambda tree: tree.timed("--help"), short)
        rows += times("validate hello.toml", lambda tree: tree.timed("validate", HELLO), short)
        rows += times("up -d hello.toml, until it is ready", _up, effort.rounds)
        rows += times(
            "resume in a new process, to its first output", partial(_resume, living), effort.rounds
        )
        for name, guest in (
            ("OUT to THR", port_writes(THR, count)),
            ("IN from LSR", port_reads(LSR, count)),
        ):
            file = ours.write_machine(place, guest, name=name.split()[0].lower(), marks="stdio")
            rows += times(f"{count} times {name}", partial(_worked, file), effort.rounds)
    return rows


def _up(tree: Tree) -> float:
    spent = tree.timed("up", "-d", HELLO)
    tree.run("down", "hello")
    return spent


def _resume(file: Path, tree: Tree) -> float:
    tree.run("up", file, "--detach", "--wait-for", f"\\x{HEARTBEAT[0]:02x}")
    tree.run("suspend", "bench")
    with tree.child("resume", file) as child:
        resumed = child.wait_for(HEARTBEAT) - child.began
        tree.run("down", "bench")
        child.wait_for_end()
    return resumed * 1000


def _worked(file: Path, tree: Tree) -> float:
    with tree.child("run", file) as child:
        began = child.wait_for(START)
        spent = child.wait_for(END) - began
        child.wait_for_end()
    return spent * 1000


# -- the command -------------------------------------------------------------------------------


def ratios(rows: Sequence[Row]) -> Iterator[tuple[str, float, float]]:
    """For each contest: the median of the rounds' ratios, and the ratio of the best times.

    Above 1 the earlier tree was faster.
    """
    for name, (new, old) in contests(rows):
        pairs = zip(new.values, old.values, strict=True)
        yield name, statistics.median(one / other for one, other in pairs), new.best / old.best


@contextmanager
def _unpacked(wanted: str) -> Iterator[Path]:
    """A tree: a folder, or a revision of git in one of its own. Raises AbsentError."""
    if Path(wanted).is_dir():
        yield Path(wanted).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        archive = Path(folder) / "tree.tar"
        output_of(["git", "-C", ROOT, "archive", "-o", archive, wanted])
        tree = Path(folder) / "tree"
        tree.mkdir()
        output_of(["tar", "-xf", archive, "-C", tree])
        build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        done = subprocess.run(build, cwd=tree, env={**os.environ, **CACHING}, check=False)
        if done.returncode:
            raise AbsentError(f"the native parts of {wanted} cannot be built")
        yield tree


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; see the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tree", metavar="TREE|REVISION")
    parser.add_argument("--rounds", type=int, default=FULL.rounds)
    parser.add_argument("--scale", type=float, default=FULL.scale)
    parser.add_argument("--limit", type=float, metavar="RATIO")
    args = parser.parse_args(argv)
    try:
        with _unpacked(args.tree) as tree:
            rows = against(tree, Effort(args.rounds, args.scale))
    except AbsentError as error:
        print(error, file=sys.stderr)
        return 2
    if absent := [row for row in rows if row.absent]:
        for row in absent:
            print(f"{row.contest}: {row.contestant}: {row.absent}", file=sys.stderr)
        return 2
    slower = False
    for name, median, best in ratios(rows):
        print(f"{name:48} {median:5.2f} times as long in the median, {best:5.2f} at best")
        slower |= args.limit is not None and median > args.limit
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
