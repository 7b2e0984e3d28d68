# SPDX-License-Identifier: BSD-2-Clause
"""Results of runs, by what decided them (decided.py): what is known need not be run again.

An entry is a file: a checksum, then CBOR compressed by zstd. One that is damaged is not there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from manager import cbor, files
from manager.errors import HostError
from manager.lazy import dataclass
from manager.state.paths import state_home

MOST_OUTPUT = 16 << 20
"""Bytes that a guest may have printed; a run that printed more is not kept."""
LIMIT = 256 << 20
"""Bytes that all entries may take on disk; what was not used for longest goes first."""
_MOST = MOST_OUTPUT + (1 << 20)
_CHECKSUM = 32
_SUFFIX = ".result"


@dataclass(frozen=True, slots=True)
class KnownRun:
    """What came of a run."""

    status: int
    """The exit code."""
    said: tuple[str, ...]
    """How it ended, a line each."""
    output: bytes
    """What its port printed."""
    state: bytes
    """The digest of the machine as it was then: RAM and all records."""
    seconds: float
    """Of the host's time."""
    made_at: float
    """Seconds since 1970."""

    def differs_from(self, other: KnownRun) -> str:
        """What is not the same in `other`, which the same decided; empty if all is."""
        parts = {
            "the exit code": self.status == other.status,
            "what the guest printed": self.output == other.output,
            "how it ended": self.said == other.said,
            "the machine's last state": self.state == other.state,
        }
        return ", ".join(part for part, same in parts.items() if not same)


class Results:
    """The entries in one directory."""

    def __init__(self, root: Path | None = None, limit: int = LIMIT) -> None:
        self.root = state_home() / ".results" if root is None else root
        self._limit = limit

    def find(self, key: str) -> KnownRun | None:
        """The entry of that key, which counts as used now."""
        path = self._path(key)
        try:
            known = _unpacked(files.read_own(path, _MOST))
            os.utime(path)
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return known

    def add(self, key: str, known: KnownRun) -> bool:
        """Keep one, unless it is too large. Raises HostError."""
        if len(known.output) > MOST_OUTPUT:
            return False
        path = self._path(key)
        try:
            files.make_private(self.root)
            files.replace(path, _packed(known))
        except OSError as error:
            raise HostError(f"{path}: cannot write: {error.strerror}") from None
        self._shrink()
        return True

    def drop(self, key: str) -> None:
        """Forget one."""
        with suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        return self.root / f"{key}{_SUFFIX}"

    def _shrink(self) -> None:
        found = []
        with suppress(OSError):
            for path in self.root.glob(f"*{_SUFFIX}"):
                about = path.stat()
                found.append((-about.st_mtime_ns, about.st_blocks * 512, path))
        used = 0
        for _, size, path in sorted(found):
            used += size
            if used > self._limit:
                with suppress(OSError):
                    path.unlink()


def _packed(known: KnownRun) -> bytes:
    import zstandard
    from blake3 import blake3

    plain: Any = {
        "schema": 1,
        "status": known.status,
        "said": list(known.said),
        "output": known.output,
        "state": known.state,
        "microseconds": round(known.seconds * 1e6),
        "made_at": round(known.made_at),
    }
    data = zstandard.compress(cbor.encode(plain))
    return blake3(data).digest() + data


def _unpacked(content: bytes) -> KnownRun:
    """Raises ValueError, LookupError, TypeError for what `_packed` does not make."""
    import zstandard
    from blake3 import blake3

    data = content[_CHECKSUM:]
    if blake3(data).digest() != content[:_CHECKSUM]:
        raise ValueError("damaged")
    try:
        plain: Any = cbor.decode(zstandard.ZstdDecompressor().decompress(data))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    if plain["schema"] != 1:
        raise ValueError("of another version")
    return KnownRun(
        status=int(plain["status"]),
        said=tuple(map(str, plain["said"])),
        output=bytes(plain["output"]),
        state=bytes(plain["state"]),
        seconds=plain["microseconds"] / 1e6,
        made_at=float(plain["made_at"]),
    )
