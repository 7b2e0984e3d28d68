# SPDX-License-Identifier: BSD-2-Clause
"""How long `vmmgr validate` takes for a large machine file, beyond Python's own start.

    python -m benchmarks.validate [--runs N] [--limit MS]

The file has 1,000 lines and 200 devices. The best of N runs are compared, as whatever else the host
does only adds; with --limit the exit code is 1 when the difference is above that many milliseconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.row import FULL, VMMGR, Effort, Row

NAME = "validate"
PEERS = ("python -c pass",)
DEVICES = 200
_UARTS = DEVICES - 3  # a host bridge, an LPC bridge and COM1 are there as well


def large_machine() -> str:
    """A valid machine file of 1,000 lines with 200 devices."""
    lines = list(_lines())
    lines += [f"# {number}" for number in range(len(lines), 1000)]
    return "\n".join(lines) + "\n"


def _lines() -> Iterator[str]:
    yield from ("schema = 1", "", "[boot]", 'firmware = "rom.bin"', "")
    yield from ("[slots.0]", 'device = "hostbridge"', "", "[slots.31]", 'device = "lpc"', "")
    yield from ("[lpc.com1]", 'backend = "stdio"')
    for number in range(_UARTS):
        slot, function = 2 + number // 8, number % 8
        yield from ("", f"[slots.{slot}.{function}]", 'device = "uart"')
        yield f'backend = {{ type = "unix", listen = "port-{number}.sock" }}'


def seconds(command: Sequence[str], folder: str) -> float:
    """The wall time of one run."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _pairs(runs: int) -> list[tuple[float, float]]:
    """Seconds of bare Python and of `validate`, taking turns."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "large.toml").write_text(large_machine())
        Path(folder, "rom.bin").write_bytes(bytes(65536))
        bare = [sys.executable, "-c", "pass"]
        validate = [sys.executable, "-m", "manager", "validate", "large.toml"]
        return [(seconds(bare, folder), seconds(validate, folder)) for _ in range(runs)]


def measure(effort: Effort = FULL) -> list[Row]:
    """A file of 1,000 lines against the floor that Python's own start is."""
    bare, whole = zip(*_pairs(3 * effort.rounds), strict=True)
    contest = "validate a file of 1,000 lines and 200 devices"
    return [
        Row(contest, VMMGR, "ms", tuple(1000 * value for value in whole)),
        Row(
            contest, PEERS[0], "ms", tuple(1000 * value for value in bare),
            note="the floor: Python's own start",
        ),
    ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--limit", type=float, help="milliseconds")
    args = parser.parse_args(argv)
    pairs = _pairs(args.runs)
    start = min(pair[0] for pair in pairs) * 1000
    whole = min(pair[1] for pair in pairs) * 1000
    print(f"python {start:.0f} ms, validate {whole:.0f} ms, difference {whole - start:.0f} ms")
    return 1 if args.limit is not None and whole - start > args.limit else 0


if __name__ == "__main__":
    sys.exit(main())
