# SPDX-License-Identifier: BSD-2-Clause
"""A share of a machine that runs, through its control socket: docs/control-protocol.md."""

from __future__ import annotations

import base64
import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from manager.errors import HostError, VmmgrError
from manager.storage.share.changes import DIRECTORY, DROP, FILE, LINK, Change
from manager.storage.share.copy import Entry, below
from manager.storage.share.layout import failure

if TYPE_CHECKING:
    from manager.client.client import Client

TOGETHER = 200 << 10
"""Bytes of JSON, at most and generously reckoned, in which changes are sent together."""
_AGAIN = 0.002
"""Seconds after which the guest may have taken what was on its way."""
_KINDS = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "link": stat.S_IFLNK}


class RunningShare:
    """Source and Sink of manager.storage.share.copy. Raises VmmgrError as the machine answers."""

    def __init__(self, client: Client, share: str) -> None:
        self._client = client
        self._share = share
        self._seen: dict[bytes, Entry] = {}
        """What came with a directory's names and was not asked for yet."""
        self._content: dict[bytes, bytes] = {}
        self._changes: list[dict[str, Any]] = []
        self._size = 0
        self._puts = 0
        self._begun: bytes | None = None
        """The file of which there are some pieces."""

    # -- from it ----------------------------------------------------------------------------

    def look(self, path: bytes) -> Entry:
        """What is at a path."""
        if (seen := self._seen.pop(path, None)) is not None:
            return seen
        return _entry(self._ask("share-look", path))

    def names(self, path: bytes) -> Iterator[bytes]:
        """The names in a directory."""
        at, version = 0, None
        while at is not None:
            answer = self._ask("share-list", path, at)
            version = self._unchanged(path, version, answer)
            at = answer["next"]
            for told in answer["entries"]:
                name = _bytes(told["name"])
                here = below(path, name)
                self._seen[here] = _entry(told)
                if "base64" in told:
                    self._content[here] = base64.b64decode(told["base64"])
                yield name

    def pieces(self, path: bytes) -> Iterator[bytes]:
        """The content of a file, all of it as it was at one time."""
        if (known := self._content.pop(path, None)) is not None:
            yield known
            return
        at, size, version = 0, 1, None
        while at < size:
            answer = self._ask("share-read", path, at)
            version = self._unchanged(path, version, answer)
            size = answer["size"]
            piece = base64.b64decode(answer["base64"])
            if not piece and at < size:
                raise failure(errno.EIO)
            at += len(piece)
            yield piece

    def _ask(self, command: str, path: bytes, at: int = 0) -> dict[str, Any]:
        more = {"from": at} if at else {}
        return self._client.execute(command, share=self._share, path=_text(path), **more)

    def _unchanged(self, path: bytes, version: str | None, answer: dict[str, Any]) -> str:
        if version not in (None, answer["version"]):
            raise HostError(
                f"{os.fsdecode(path) or '/'} changed while it was copied",
                help="copy it again, or let the machine stand still meanwhile: "
                "`vmmgr ctl NAME pause`, then `vmmgr ctl NAME continue`",
            )
        found: str = answer["version"]
        return found

    # -- to it ------------------------------------------------------------------------------

    def put(self, change: Change, mtime: int) -> None:
        """Make a change, with others that follow; what is new has the guest's time."""
        names = len(change.path) + (len(change.content) if change.kind == LINK else 0)
        size = 100 + 6 * names + 2 * (len(change.content) if change.kind == FILE else 0)
        if self._size + size > TOGETHER:
            self._send()
        self._puts += 1
        self._changes.append(_plain(change))
        self._size += size
        if change.kind == FILE:
            self._begun = None if change.is_last else change.path

    def finish(self) -> None:
        """Wait until all has reached the guest, if there is anything."""
        if not self._puts:
            return
        self._send()
        while self._write([])["pending"]:
            time.sleep(_AGAIN)
        self._write([])  # what came of the last

    def abandon(self) -> None:
        """Have the pieces of a file dropped that will not be whole."""
        if self._begun is not None:
            with suppress(VmmgrError):  # what came of those before is known, or there is no guest
                self._write([])
            with suppress(VmmgrError):
                self._write([_plain(Change(DROP, self._begun))])

    def _send(self) -> None:
        while self._changes and not self._write(self._changes)["accepted"]:
            time.sleep(_AGAIN)
        self._changes, self._size = [], 0

    def _write(self, changes: list[dict[str, Any]]) -> dict[str, Any]:
        return self._client.execute("share-write", share=self._share, changes=changes)


def _entry(told: dict[str, Any]) -> Entry:
    kind = _KINDS.get(told["kind"], 0)
    return Entry(kind | told["mode"], told["size"], _bytes(told.get("target", "")))


def _plain(change: Change) -> dict[str, Any]:
    path = _text(change.path)
    if change.kind == DIRECTORY:
        return {"directory": path, "mode": change.mode}
    if change.kind == LINK:
        return {"link": path, "to": _text(change.content)}
    if change.kind == DROP:
        return {"drop": path}
    encoded = base64.b64encode(change.content).decode()
    piece = {"file": path, "mode": change.mode, "at": change.offset, "base64": encoded}
    return piece if change.is_last else {**piece, "last": False}


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
