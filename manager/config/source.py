# SPDX-License-Identifier: BSD-2-Clause
"""Pieces of TOML and where they came from: files, and `--set` on the command line."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import tomli

from manager import files
from manager.config.diagnostics import Diagnostic, Span
from manager.config.scan import Entry, KeyPath, Region, scan
from manager.config.syntax import explain

Tree: TypeAlias = dict[str, Any]
"""A TOML table as tomli gives it."""
_DIGITS = re.compile(r"[0-9](?:_?[0-9]){4000,}")


@dataclass(frozen=True, eq=False)
class Source:
    """A text, and where its parts stand."""

    name: str
    """What people see: the path as it was given, or `--set`."""
    directory: Path
    """What relative paths in it are relative to."""
    text: str
    entries: Mapping[KeyPath, Entry] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file, as an absolute path."""
        return self.directory / Path(self.name).name

    def key_span(self, path: KeyPath, label: str = "") -> Span:
        """Where `path` is named; failing that, where the nearest table around it is."""
        return self._span(path, label, lambda entry: entry.key or entry.value)

    def value_span(self, path: KeyPath, label: str = "") -> Span:
        """Where the value of `path` stands; failing that, what is nearest."""
        return self._span(path, label, lambda entry: entry.value or entry.key)

    def _span(self, path: KeyPath, label: str, choose: Any) -> Span:
        while path and path not in self.entries:
            path = path[:-1]
        entry = self.entries.get(path)
        region = choose(entry) if entry is not None else None
        return self.span(region or Region(0, 0), label)

    def span(self, region: Region, label: str = "") -> Span:
        """A region cut down to its first line."""
        start = min(region.start, len(self.text))
        first = self.text.rfind("\n", 0, start) + 1
        line = self.text[first:].split("\n", 1)[0]
        column = start - first + 1
        length = max(1, min(region.end - start, len(line) - column + 1))
        return Span(self.name, self.text.count("\n", 0, start) + 1, column, length, line, label)


@dataclass
class Origins:
    """For each part of the merged tree: the source it came from, and its path there."""

    root: Source
    """The file that was asked for; it stands for what no source mentions."""
    places: dict[KeyPath, tuple[Source, KeyPath]] = field(default_factory=dict)

    def put(self, path: KeyPath, value: object, source: Source, at: KeyPath) -> None:
        """Record that `path`, and all that is in `value`, came from `source` at `at`."""
        self.places[path] = (source, at)
        if isinstance(value, dict):
            for key, item in value.items():
                self.put((*path, key), item, source, (*at, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.put((*path, index), item, source, (*at, index))

    def drop(self, path: KeyPath) -> None:
        """Forget `path` and all that is in it."""
        if path not in self.places:
            return  # then nothing that is in it can be known either
        for known in [known for known in self.places if known[: len(path)] == path]:
            del self.places[known]

    def source(self, path: KeyPath) -> Source:
        """The source that `path` came from."""
        return self._place(path)[0]

    def key_span(self, path: KeyPath, label: str = "") -> Span:
        """Where `path` is named."""
        source, at = self._place(path)
        return source.key_span(at, label)

    def value_span(self, path: KeyPath, label: str = "") -> Span:
        """Where the value of `path` stands."""
        source, at = self._place(path)
        return source.value_span(at, label)

    def _place(self, path: KeyPath) -> tuple[Source, KeyPath]:
        end = len(path)
        while end and path[:end] not in self.places:
            end -= 1
        source, at = self.places.get(path[:end], (self.root, ()))
        return source, (*at, *path[end:])


def read(path: Path, blame: Span | None = None) -> tuple[Source, Tree] | Diagnostic:
    """Read and parse a machine file.

    `blame` is what named it, an element of `extends`; None when the command line did.
    """
    name, directory = str(path), Path(os.path.abspath(path)).parent  # noqa: PTH100 - keeps links
    try:
        data = files.read(path, files.TEXT).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        reason = f"{name}: {error.strerror}"
        if blame is None:
            span = Span(name, 1, 1, 1, "")
            return Diagnostic("VM001", f"cannot read {reason}", span, help=_other_file(path))
        return Diagnostic(
            "VM004",
            f"cannot read {reason}",
            blame,
            help="paths in `extends` are relative to the file they stand in",
        )
    try:
        text = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode().replace("\r\n", "\n")
        bad = Source(name, directory, good)
        end = Region(len(good), len(good))
        return Diagnostic("VM002", "not UTF-8 text from here on", bad.span(end))
    source = Source(name, directory, text)
    try:
        tree = tomli.loads(text)
        source = replace(source, entries=scan(text))
    except tomli.TOMLDecodeError as error:
        return _syntax_error(source, str(error))
    except ValueError:  # an integer with more digits than Python reads
        match = _DIGITS.search(text)
        region = Region(match.start(), match.end()) if match else Region(0, 0)
        return _too_wide(source.span(region))
    except RecursionError:
        return Diagnostic("VM002", "arrays or tables are nested too deeply", source.key_span(()))
    wide = next(wide_integers(tree), None)
    return (source, tree) if wide is None else _too_wide(source.value_span(wide))


def wide_integers(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Where in a tree there are integers that TOML does not have: it has those of 64 bits."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from wide_integers(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from wide_integers(item, (*path, index))
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        yield path


def _too_wide(span: Span) -> Diagnostic:
    return Diagnostic("VM002", "an integer of more than 64 bits", span)


def _other_file(path: Path) -> str | None:
    """The help for a name, or a directory, given in place of a machine file."""
    if not path.name or path.suffix:
        return None
    suffixed = path.with_name(f"{path.name}.toml")
    if suffixed.is_file():
        return f"did you mean `{suffixed}`?"
    return "a machine file is wanted here, such as `machines/hello.toml`"


def _syntax_error(source: Source, report: str) -> Diagnostic:
    fault = explain(source.text, report)
    before = () if fault.before is None else (source.span(fault.before),)
    return Diagnostic("VM002", fault.message, source.span(fault.at), before, fault.help)
