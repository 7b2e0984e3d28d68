# SPDX-License-Identifier: BSD-2-Clause
"""Programs of the host that make and read images: found, run, and their failures explained."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from manager.errors import HostError

PACKAGES: Mapping[str, str] = {
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "xorriso": "xorriso",
}
"""Each program, and the package of Debian that has it."""

_MORE_PLACES = "/usr/sbin:/sbin"
"""Where programs for administrators are, which the PATH of others may lack."""


def run(
    program: str,
    arguments: Sequence[str | os.PathLike[str]],
    *,
    why: str,
    environment: Mapping[str, str] | None = None,
    complaints: bool = False,
) -> bytes:
    """Run a program of `PACKAGES` and return what it printed, with `complaints` its stderr too.

    Its locale is C, and it never asks. `why` says what it is needed for. Raises HostError when it
    is not there, or fails.
    """
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_MORE_PLACES}")
    if path is None:
        raise HostError(
            f"{why} needs the program {program}, which is not installed",
            help=f"install it (Debian: apt install {PACKAGES[program]})",
        )
    done = subprocess.run(
        [path, *(os.fspath(item) for item in arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if complaints else subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C", **(environment or {})},
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout or b"").decode(errors="replace").strip().splitlines()
        raise HostError(f"{why}: {program} failed: {said[-1] if said else done.returncode}")
    return done.stdout
