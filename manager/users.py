# SPDX-License-Identifier: BSD-2-Clause
"""Whose files and processes are to be trusted: this user's own, and root's.

`su` and `sudo -E` leave another user's directories in the environment. A process that listens there
can be anyone's, and what it is sent it can read.
"""

from __future__ import annotations

import os
import stat


def is_trusted(uid: int) -> bool:
    """Whether files and processes of this user may be relied on."""
    return uid in (os.geteuid(), 0)


def named(uid: int) -> str:
    """A user for a message: the name, if there is one, and the number."""
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except (KeyError, OverflowError):
        return f"user {uid}"


def directory_fault(found: os.stat_result) -> str:
    """Why what is in a directory may be another user's work, or an empty string.

    A sticky directory, such as /tmp, does not count: there each user's files are safe.
    """
    if not stat.S_ISDIR(found.st_mode):
        return "is no directory"
    if not is_trusted(found.st_uid):
        return f"belongs to {named(found.st_uid)}"
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        return "can be written to by every user"
    return ""
