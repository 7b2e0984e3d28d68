# SPDX-License-Identifier: BSD-2-Clause
"""Programs of the host in a guest: with all shared libraries, at the places where they are here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path, PurePath

from support.modules import DIRECTORY, FILE, Entry


def with_libraries(program: str) -> list[Entry]:
    """A program on PATH and what it is linked with, as files of an initramfs."""
    found = shutil.which(program)
    assert found is not None, program
    said = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
    paths = [found, *re.findall(r"(/\S+) \(0x", said)]
    folders = {str(folder) for path in paths for folder in list(PurePath(path).parents)[:-1]}
    return [
        *(Entry(folder.lstrip("/"), DIRECTORY) for folder in sorted(folders)),
        *(Entry(path.lstrip("/"), FILE | 0o111, Path(path).read_bytes()) for path in paths),
    ]
