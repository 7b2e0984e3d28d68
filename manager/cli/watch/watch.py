# SPDX-License-Identifier: BSD-2-Clause
"""Beside a console: whether the machine would boot as another one by now.

It would when the graph of its machine file, or the content of what it boots from, is another. While
the file is wrong, a boot file is missing, or the command that makes it runs or fails, it goes on.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from manager.cli.watch.file_watch import FileWatch
from manager.errors import VmmgrError
from manager.graph.boot_files import boot_files
from manager.machine.boot_images import of_file

if TYPE_CHECKING:
    from manager.cli.targets import Target
    from manager.cli.watch.rebuild import Rebuild
    from manager.graph.nodes import Graph

QUIET = 0.1
"""Seconds without a change after which what changed is looked at: builds and editors write
several files."""


class Watch:
    """Watches for one start of a machine."""

    def __init__(
        self, target: Target, files: FileWatch, rebuild: Rebuild | None, graph: Graph
    ) -> None:
        self._target = target
        self._files = files
        self._rebuild = rebuild
        self._graph = graph
        self._digests = _digests(graph)
        self._due = 0.0 if rebuild is not None and rebuild.is_wanted else None
        self._told = ""
        """What was said of a machine that cannot be booted as it is now."""
        self._selector: selectors.BaseSelector | None = None
        self._say: Callable[[str], None] = lambda text: None

    def begin(self, selector: selectors.BaseSelector, say: Callable[[str], None]) -> None:
        """Hear of changes."""
        self._selector, self._say = selector, say
        selector.register(self._files, selectors.EVENT_READ, lambda _: self._hear())

    def wait(self) -> float | None:
        """Seconds until what changed is to be looked at."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def look(self) -> bool:
        """Look at what changed, once it is quiet; whether the machine is to be booted anew."""
        rebuild = self._rebuild
        if self._due is None or time.monotonic() < self._due or (rebuild and rebuild.runs):
            return False
        self._due = None
        if rebuild is not None and rebuild.is_wanted:
            assert self._selector is not None
            self._say(f"rebuilding: {rebuild.command}")
            rebuild.begin(self._selector, self._rebuilt)
            return False
        return self._is_another()

    def end(self) -> None:
        """Hear no more."""
        assert self._selector is not None
        if self._rebuild is not None:
            self._rebuild.stop(self._selector)
            self._due = 0.0 if self._rebuild.is_wanted else self._due
        self._selector.unregister(self._files)

    def _hear(self) -> None:
        changed = self._files.changed()
        if changed and self._rebuild is not None:
            self._rebuild.heard(changed)
        if changed:
            self._due = time.monotonic() + QUIET

    def _rebuilt(self, fault: str | None) -> None:
        assert self._rebuild is not None
        took = self._rebuild.seconds()
        self._rebuild.finish(self._files.changed())
        if fault is not None:
            self._say(f"{fault}\n{self._graph.name} is left as it is")
            self._due = time.monotonic() if self._rebuild.is_wanted else None
        else:
            self._say(f"rebuilt in {took:.1f} s")
            self._due = time.monotonic()

    def _is_another(self) -> bool:
        try:
            graph = self._target.bootable()
            is_another = graph != self._graph or _digests(graph) != self._digests
        except VmmgrError as error:
            if str(error) != self._told:
                self._told = str(error)
                self._say(f"{error}\n{self._graph.name} is left as it is")
            return False
        if is_another:
            self._say("what it boots from has changed: booting it anew")
        return is_another


def watch_files(files: FileWatch, target: Target, graph: Graph) -> None:
    """Watch a machine file, what it extends, and what the machine boots from."""
    from manager.config.load import load

    for path in (*load(target.file, target.settings).files, *boot_files(graph.boot).values()):
        files.file(path)


def _digests(graph: Graph) -> dict[str, str]:
    """What it boots from, by content. Raises HostError."""
    return {key: of_file(path) for key, path in boot_files(graph.boot).items()}
