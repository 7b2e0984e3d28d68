# SPDX-License-Identifier: BSD-2-Clause
"""A machine file, what it extends and what `--set` changes, merged into one tree.

Tables merge key by key and the file that extends wins, except that a slot is given once: a
second `[slots.N]` is an error unless it says `replace = true`. The same key in `[boot]` or in an
`[lpc.*]` table drops what the extended files had there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from manager.config.diagnostics import Diagnostic, Span
from manager.config.scan import KeyPath
from manager.config.source import Origins, Source, Tree, read

SCHEMA = 1
"""The version of the machine-file format that this vmmgr writes and the newest it reads."""

_SLOT = re.compile(r"(0|[1-9][0-9]?)(?:\.([0-7]))?")
_SLOTS = 32


class Layers:
    """Collects sources, lowest first, into `tree`, and records where parts came from."""

    def __init__(self, root: Source) -> None:
        self.tree: Tree = {}
        self.origins = Origins(root)
        self.problems: list[Diagnostic] = []
        self._leaf: KeyPath | None = None
        self.excused: set[Span] = set()
        """Values that are wrong because of what stands elsewhere, where it was told of."""
        self.environment: dict[str, str | None] = {}
        """What was read of the environment."""

    def add(self, source: Source, tree: Tree, *, override: KeyPath | None = None) -> None:
        """Lay one source over what is there.

        An `override` is a tree with a value at that path alone. It may change slots without
        `replace`, and any key of a table in a table.
        """
        self._leaf = override
        for key, value in tree.items():
            if key == "slots" and isinstance(value, dict):
                self._claim(("slots",), source, ("slots",))
                for name, table, at in self._slots(source, value):
                    self._add_slot(name, table, source, at)
            elif key == "lpc" and isinstance(value, dict):
                self._claim(("lpc",), source, ("lpc",))
                for name, table in value.items():
                    self._merge(("lpc", name), table, source, ("lpc", name))
            else:
                self._merge((key,), value, source, (key,))

    def _claim(self, path: KeyPath, source: Source, at: KeyPath) -> None:
        self.origins.places.setdefault(path, (source, at))
        if not isinstance(self.tree.setdefault(str(path[0]), {}), dict):
            self.tree[str(path[0])] = {}

    def _slots(self, source: Source, tables: Tree) -> Iterator[tuple[str, Any, KeyPath]]:
        """Each slot as (name, table, path in the source), `[slots.4.1]` as "4.1"."""
        for name, table in tables.items():
            at: KeyPath = ("slots", name)
            match = _SLOT.fullmatch(name)
            if match is None or int(match[1]) >= _SLOTS:
                self._bad_slot(source, at, name)
                continue
            slot = match[1] if match[2] in (None, "0") else name
            own, functions = table, {}
            if isinstance(table, dict) and match[2] is None:
                functions = {key: item for key, item in table.items() if key.isdigit()}
                own = {key: item for key, item in table.items() if not key.isdigit()}
            if own or not functions:
                yield slot, own, at
            for key, item in functions.items():
                if len(key) == 1 and key in "01234567":
                    yield slot if key == "0" else f"{slot}.{key}", item, (*at, key)
                else:
                    self._bad_slot(source, (*at, key), f"{name}.{key}")

    def _bad_slot(self, source: Source, at: KeyPath, name: str) -> None:
        self.problems.append(
            Diagnostic(
                "VM018",
                f'"{name}" is not a slot',
                source.key_span(at),
                help='a slot is 0 to 31; "4.1" is slot 4, function 1; functions are 0 to 7',
            )
        )

    def _add_slot(self, name: str, table: Any, source: Source, at: KeyPath) -> None:
        path: KeyPath = ("slots", name)
        override = self._leaf is not None
        taken = name in self.tree["slots"]
        replaces = isinstance(table, dict) and table.get("replace") is True
        if taken and not override and not replaces:
            below = self.origins.source(path)
            how = "... and here" if below is source else "... and here, through `extends`"
            slot, _, function = name.partition(".")
            which = f"slot {slot}, function {function}," if function else f"slot {slot}"
            self.problems.append(
                Diagnostic(
                    "VM012",
                    f"{which} is used twice",
                    source.key_span(at, "here ..."),
                    (self.origins.key_span(path, how),),
                    help="give one of them another slot, or set `replace = true`",
                )
            )
        if taken and not override:
            self._discard(path)
        self._merge(path, table, source, at)

    def _merge(self, path: KeyPath, value: Any, source: Source, at: KeyPath) -> None:
        if isinstance(value, dict) and (path[0] in ("slots", "lpc") or path == ("boot",)):
            value = self._without_replace(path, value, source, at)
        parent = self._parent(path)
        old = parent.get(path[-1])
        if isinstance(value, dict) and isinstance(old, dict):
            for key, item in value.items():
                self._lay((*path, key), item, source, (*at, key))
        else:
            self._put(path, value, source, at)

    def _lay(self, path: KeyPath, value: Any, source: Source, at: KeyPath) -> None:
        """Put a value in a table; of what overrides one key, the way to that key is kept."""
        old = self._parent(path).get(path[-1])
        on_the_way = self._leaf is not None and at != self._leaf
        if on_the_way and isinstance(value, dict) and isinstance(old, dict):
            for key, item in value.items():
                self._lay((*path, key), item, source, (*at, key))
        else:
            self._put(path, value, source, at)

    def _without_replace(self, path: KeyPath, table: Tree, source: Source, at: KeyPath) -> Tree:
        replaces = table.get("replace", False)
        if not isinstance(replaces, bool):
            self.problems.append(
                Diagnostic(
                    "VM011",
                    "`replace` is true or false",
                    source.value_span((*at, "replace")),
                )
            )
        elif replaces:
            self._discard(path)
        return {key: item for key, item in table.items() if key != "replace"}

    def _put(self, path: KeyPath, value: Any, source: Source, at: KeyPath) -> None:
        self._discard(path)
        self._parent(path)[path[-1]] = value
        self.origins.put(path, value, source, at)

    def _discard(self, path: KeyPath) -> None:
        self._parent(path).pop(path[-1], None)
        self.origins.drop(path)

    def _parent(self, path: KeyPath) -> Any:
        table: Any = self.tree
        for key in path[:-1]:
            table = table[key]
        return table


def read_layers(path: Path, problems: list[Diagnostic]) -> list[tuple[Source, Tree]]:
    """The file at `path` and all that it extends, lowest first, each file once.

    What cannot be read is added to `problems` and left out.
    """
    found: list[tuple[Source, Tree]] = []
    done: set[str] = set()

    def visit(file: Path, chain: tuple[str, ...], blame: Any) -> None:
        real = os.path.realpath(file)
        if real in chain:
            circle = " -> ".join(os.path.relpath(item, chain[0] + "/..") for item in (*chain, real))
            help = "one of these files must stop extending the next"
            problems.append(Diagnostic("VM005", f"a circle: {circle}", blame, help=help))
            return
        if real in done:
            return
        done.add(real)
        outcome = read(file, blame)
        if isinstance(outcome, Diagnostic):
            problems.append(outcome)
            return
        source, tree = outcome
        if (newer := _newer(source, tree)) is not None:
            problems.append(newer)
            return
        for at, name in _extended(source, tree, problems):
            base = Path(os.path.normpath(file.parent / name))
            visit(base, (*chain, real), source.value_span(at))
        found.append((source, tree))

    visit(path, (), None)
    return found


def _newer(source: Source, tree: Tree) -> Diagnostic | None:
    version = tree.get("schema", SCHEMA)
    if type(version) is not int or version <= SCHEMA:
        return None
    return Diagnostic(
        "VM003",
        f"the file has format version {version}; this vmmgr reads up to {SCHEMA}",
        source.value_span(("schema",)),
        help="use a newer vmmgr",
    )


def _extended(
    source: Source, tree: Tree, problems: list[Diagnostic]
) -> Sequence[tuple[KeyPath, str]]:
    value = tree.pop("extends", [])
    if isinstance(value, str) and "\0" not in value:
        return [(("extends",), value)]
    if isinstance(value, list) and all(isinstance(i, str) and "\0" not in i for i in value):
        return [(("extends", index), item) for index, item in enumerate(value)]
    span = source.value_span(("extends",))
    problems.append(Diagnostic("VM011", "`extends` is a path or an array of paths", span))
    return []
