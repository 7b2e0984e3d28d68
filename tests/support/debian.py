# SPDX-License-Identifier: BSD-2-Clause
"""Guests of others: packages of Debian's, downloaded once and unpacked, not installed.

They are kept in .cache/debian/. Where there is no apt, or it cannot reach its archive, tests that
want one skip and say why.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from support.vmmgr import ROOT

CACHE = ROOT / ".cache" / "debian"
META_PACKAGES = ("linux-image-cloud-amd64",)
"""Packages that only depend on the present version's."""


@cache
def package(name: str) -> Path:
    """The folder of its files, as they would be under /. Skips when it cannot be had.

    SeaBIOS, for example, is package("seabios") / "usr/share/seabios/bios-256k.bin".
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    place = CACHE / name
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=".fetch-") as folder:
                _fetch(name, Path(folder)).rename(place)
    return place


def _fetch(name: str, folder: Path) -> Path:
    """Download and unpack into a directory under `folder`; appears in the cache as a whole."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            _give_up(name, f"{tool} is missing")
    wanted = name
    if name in META_PACKAGES:
        depends = _run(name, "apt-cache", "depends", name)
        found = re.search(r"Depends: (\S+-\d\S*)", depends)
        if found is None:
            _give_up(name, "apt does not know it; apt-get update may help")
        wanted = found[1]
    # Root's apt would download as a user who may not write here.
    _run(name, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", wanted, cwd=folder)
    (archive,) = folder.glob("*.deb")
    files = folder / "files"
    _run(name, "dpkg-deb", "-x", str(archive), str(files))
    return files


def _run(name: str, *command: str, cwd: Path | None = None) -> str:
    try:
        result = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
        )
    except subprocess.TimeoutExpired:
        _give_up(name, f"{command[0]} takes too long")
    if result.returncode:
        _give_up(name, f"{' '.join(command)}: {result.stderr.strip()}")
    return result.stdout


def _give_up(name: str, reason: str) -> NoReturn:
    pytest.skip(f"NO DEBIAN PACKAGE {name}: {reason}")
