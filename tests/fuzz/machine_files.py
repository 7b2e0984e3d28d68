# SPDX-License-Identifier: BSD-2-Clause
"""Random mutations of valid machine files: a located report or success, never a traceback.

    python -m tests.fuzz.machine_files [--mutations N] [--seed S]

The same seed gives the same mutations. What breaks is kept as a file and named.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from manager.config.diagnostics import Diagnostic, render
from manager.graph.build import check

ROOT = Path(__file__).parents[2]
SEEDS = ("machines/*.toml", "manager/config/templates/*.toml", "tests/cases/diagnostics/*/*.toml")
TOKENS = (
    "[", "]", "[[", "]]", "{", "}", '"', '"""', "'", "'''", "=", ".", ",", "#", "\\", "\n", "\r\n",
    "\t", "\0", "\x7f", "é", "\ufeff", "${", "${port}", "$${", "true", "false", "0", "-1", "31",
    "32", "0xf4", "0xffffffffffffffff", "1e400", "nan", "inf", "07:32:00", "2024-01-01",
    "9999-12-31T23:59:59Z", "2024-01-01T00:00:00+23:59", '"256M"', '"stdio"', '"pty"', '"uart"',
    '"lpc"', '"tcp"', '"("', '"com1"', "[slots.4]", "[slots.4.1]", '[slots."4.1"]', "[slots]",
    "[lpc.com1]", "[lpc]", "[vars]", "[boot]", "[ready]", "[debug]", "[x-own]", "[[slots.4]]",
    "replace = true", 'extends = "pc.toml"', 'extends = "demo.toml"', "schema = 2", "schema = 1",
    'device = "uart"', 'legacy = "com1"', "backend = { type = 1 }", 'allow = ["VM101"]',
    'backend = { type = "unix", listen = "\\u0000" }', 'trace = ["ports", "x"]', "pace = 3",
    'wait-for = "[[a]"', 'wait-for = "a{99999999999}"', 'wait-for = "(?i"', 'fail-on = "a**"',
)  # fmt: skip


def seed_texts() -> list[str]:
    """Machine files to mutate, the shipped ones and those of the diagnostic cases."""
    paths = sorted(path for pattern in SEEDS for path in ROOT.glob(pattern))
    return [path.read_text() for path in paths]


def mutated(text: str, texts: Sequence[str], chance: random.Random) -> str:
    """A variation of `text`, by one to four small changes."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        text = chance.choice(_MUTATIONS)(text, texts, chance)
    return text


Mutation = Callable[[str, Sequence[str], random.Random], str]


def _insert(text: str, _: Sequence[str], chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(TOKENS) + text[at:]


def _cut(text: str, _: Sequence[str], chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + text[at + chance.choice((1, 1, 2, 5, 20)) :]


def _new_value(text: str, _: Sequence[str], chance: random.Random) -> str:
    lines = text.split("\n")
    keyed = [number for number, line in enumerate(lines) if "=" in line]
    if keyed:
        number = chance.choice(keyed)
        lines[number] = f"{lines[number].partition('=')[0]}= {chance.choice(TOKENS)}"
    return "\n".join(lines)


def _line(text: str, texts: Sequence[str], chance: random.Random) -> str:
    """Drop, repeat, move or borrow a line."""
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(chance.randrange(len(lines)), lines[at])
        case 2:
            lines.insert(chance.randrange(len(lines)), lines.pop(at))
        case _:
            lines.insert(at, chance.choice(chance.choice(texts).split("\n")))
    return "\n".join(lines)


def _splice(text: str, texts: Sequence[str], chance: random.Random) -> str:
    other = chance.choice(texts)
    return text[: chance.randint(0, len(text))] + other[chance.randint(0, len(other)) :]


def _char(text: str, _: Sequence[str], chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return (
        text[:at]
        + chr(chance.choice((chance.randrange(128), chance.randrange(0xD800))))
        + (text[at + 1 :])
    )


_MUTATIONS: tuple[Mutation, ...] = (
    _insert, _cut, _new_value, _new_value, _line, _line, _splice, _char,
)  # fmt: skip


def faults(path: Path, checked_text: str) -> Iterator[str]:
    """What is wrong with the report on a file; nothing when all is well."""
    checked = check(path, require_files=False)
    errors = [item for item in checked.diagnostics if item.severity == "error"]
    if (checked.graph is None) != bool(errors):
        yield f"graph: {checked.graph is not None}, errors: {len(errors)}"
    report = render(checked.diagnostics)
    lines = checked_text.replace("\r\n", "\n").split("\n")
    for item in checked.diagnostics:
        if f"[{item.code}]" not in report:
            yield f"{item.code} is not in the report"
        yield from _misplaced(item, path, lines)


def _misplaced(item: Diagnostic, path: Path, lines: Sequence[str]) -> Iterator[str]:
    for span in (item.primary, *item.secondary):
        if span.file != str(path):
            continue
        inside = 1 <= span.line <= len(lines) and 1 <= span.column <= len(span.text) + 1
        if not inside or span.length < 1 or lines[span.line - 1] != span.text:
            yield f"{item.code} is said to be at {span.line}:{span.column}"


def run(mutations: int, seed: int, folder: Path) -> Path | None:
    """Try so many mutations; the file that broke something, or None."""
    chance = random.Random(seed)
    texts = seed_texts()
    # What the cases extend is in their parent directory.
    (folder / "pc.toml").write_text((ROOT / "tests/cases/diagnostics/pc.toml").read_text())
    inner = folder / "case"
    inner.mkdir(exist_ok=True)
    (inner / "pc.toml").write_text("")
    path = inner / "demo.toml"
    for number in range(mutations):
        text = mutated(chance.choice(texts), texts, chance)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            found = list(faults(path, text))
        except Exception:
            found = [traceback.format_exc()]
        if found:
            print(f"mutation {number} of seed {seed}: {found[0]}", file=sys.stderr)
            return path
    return None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Mutate machine files and check the reports.")
    parser.add_argument("--mutations", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    start = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="vmmgr-fuzz-"))
    broken = run(args.mutations, args.seed, folder)
    took = time.monotonic() - start
    if broken is None:
        print(f"{args.mutations} mutations, all reported or accepted, in {took:.0f} s")
        return 0
    print(f"kept: {broken}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
