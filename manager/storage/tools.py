# SPDX-License-Identifier: BSD-2-Clause
"""Programs of the host that make and read images: found, run, and their failures explained."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from manager.errors import HostError
from manager.lazy import dataclass

PACKAGES: Mapping[str, str] = {
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "xorriso": "xorriso",
}
"""Each program, and the package of Debian that has it."""

_MORE_PLACES = "/usr/sbin:/sbin"
"""Where programs for administrators are, which the PATH of others may lack."""


_ENCLOSED = (
    "the process of a running machine starts no programs, unless its file says "
    "`[sandbox] enabled = false`"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """For a program that reads what a guest wrote."""

    seconds: int
    memory: int
    """Bytes of address space."""
    output: int
    """Bytes that it prints."""


def run(
    program: str,
    arguments: Sequence[str | os.PathLike[str]],
    *,
    why: str,
    environment: Mapping[str, str] | None = None,
    complaints: bool = False,
    limits: Limits | None = None,
    fine: Collection[int] = (0,),
) -> bytes:
    """Run a program of `PACKAGES` and return what it printed, with `complaints` its stderr too.

    Its locale is C, and it never asks. `why` says what it is needed for, `fine` which exit codes
    are no failure. Raises HostError when it is not there, fails, or goes over its `limits`.
    """
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_MORE_PLACES}")
    if path is None:
        raise HostError(
            f"{why} needs the program {program}, which is not installed",
            help=f"install it (Debian: apt install {PACKAGES[program]})",
        )
    try:
        process = subprocess.Popen(
            [path, *(os.fspath(item) for item in arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if complaints or limits else subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
        )
    except OSError as error:
        raise HostError(
            f"{why} needs the program {program}, which cannot be run: {error.strerror}",
            help=_ENCLOSED if isinstance(error, PermissionError) else None,
        ) from error
    with process:
        if limits is None:
            said, complaint = process.communicate()
        else:
            said, complaint = _limited(process, limits), b""
    if process.returncode not in fine:
        lines = (complaint or said or b"").decode(errors="replace").strip().splitlines()
        raise HostError(f"{why}: {program} failed: {lines[-1] if lines else process.returncode}")
    return said


def _limited(process: subprocess.Popen[bytes], limits: Limits) -> bytes:
    """What it prints; it is killed when that, or its memory or time, gets too much."""
    for kind, most in ((resource.RLIMIT_AS, limits.memory), (resource.RLIMIT_CPU, limits.seconds)):
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(process.pid, kind, (most, most))
    assert process.stdout is not None
    said: bytes = process.stdout.read(limits.output + 1)
    if len(said) > limits.output:
        process.kill()
    return said
