# SPDX-License-Identifier: BSD-2-Clause
"""Wording of snapshot failures: file, offset, chunk, expected and got, who wrote it, what next."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manager.errors import HostError, SnapshotCorruptError

START_OVER = (
    "restore another snapshot, or boot afresh with `vmmgr up FILE --fresh`; "
    "the damage is in the file, not in the machine"
)


def corrupt(
    file: Path,
    fault: str,
    *,
    offset: int | None = None,
    chunk: str = "",
    writer: str = "",
    help: str = START_OVER,
) -> SnapshotCorruptError:
    """The error for something wrong in `file` at byte `offset`, in `chunk`."""
    place = str(file) if offset is None else f"{file} at byte {offset:#x}"
    if chunk:
        place += f", chunk {chunk}"
    by = f" (written by vmmgr {writer})" if writer else ""
    return SnapshotCorruptError(f"{place}: {fault}{by}", help=help)


@contextmanager
def host_failures(action: str, help: str) -> Iterator[None]:
    """Turn an OSError inside the block into a HostError: `action` is what could not be done."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            help = f"free some space; {help}"
        place = f" ({error.filename})" if error.filename else ""
        raise HostError(f"{action}: {error.strerror or error}{place}", help=help) from error
