# SPDX-License-Identifier: BSD-2-Clause
"""Guests of others: packages of Debian's, downloaded once and unpacked, not installed.

They are kept in .cache/debian/. Where there is no apt, or it cannot reach its archive, tests that
want one skip and say why.
"""

from __future__ import annotations

import fcntl
import platform
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from support.vmmgr import ROOT

INSTALLER = "usr/lib/debian-installer/images"
CACHE = ROOT / ".cache" / "debian"
META_PACKAGES = (
    "linux-image-cloud-amd64",
    "linux-image-amd64",
    "linux-image-686",
    "linux-image-686-pae",
    "xen-system-amd64",
    "gnumach-image-1-486",
)
"""Packages that only depend on the present version's, their first dependency."""
SANDBOX = ("-o", "APT::Sandbox::User=root")
"""Root's apt would download as a user who may not write here."""


@cache
def package(name: str, *, only: str = "", architecture: str = "") -> Path:
    """The folder of its files, as they would be under /. Skips when it cannot be had.

    SeaBIOS, for example, is package("seabios") / "usr/share/seabios/bios-256k.bin". `only` names a
    folder outside of which nothing is wanted, "boot" for a kernel; `architecture` one that is not
    the host's.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    place = CACHE / ".".join(filter(None, (name, architecture, only.replace("/", "-"))))
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=".fetch-") as folder:
                _fetch(name, only, architecture, Path(folder)).rename(place)
    return place


def installer(architecture: str) -> Path:
    """The folder with the kernel and initrd of Debian's installer, of the host's release."""
    release = platform.freedesktop_os_release().get("VERSION_ID", "12")
    name = f"debian-installer-{release}-netboot-{architecture}"
    path = f"{INSTALLER}/{release}/{architecture}/text/debian-installer/{architecture}"
    return package(name, only=path) / path


def _fetch(name: str, only: str, architecture: str, folder: Path) -> Path:
    """Download and unpack into a directory under `folder`; appears in the cache as a whole."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb", "tar"):
        if shutil.which(tool) is None:
            _give_up(name, f"{tool} is missing")
    options = (*SANDBOX, *(_lists_of(architecture) if architecture else ()))
    wanted = name
    if name in META_PACKAGES:
        depends = _run(name, "apt-cache", *options, "depends", name)
        found = re.search(r"Depends: (\S+-\d\S*)", depends)
        if found is None:
            _give_up(name, "apt does not know it; apt-get update may help")
        wanted = found[1]
    _run(name, "apt-get", "-q", *options, "download", wanted, cwd=folder)
    (archive,) = folder.glob("*.deb")
    content, files = folder / "content.tar", folder / "files"
    files.mkdir()
    with content.open("wb") as file:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], stdout=file, check=True)
    _run(name, "tar", "-x", "-f", str(content), "-C", str(files), f"./{only}")
    return files


@cache
def _lists_of(architecture: str) -> tuple[str, ...]:
    """What makes apt use package lists of another architecture, which are fetched once.

    The host's own lists and its list of architectures stay as they are.
    """
    lists = CACHE / f".lists-{architecture}"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "Dir::State::lists": lists,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Acquire::Languages": "none",
    }
    options = tuple(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))
    if not list(lists.glob("*_Packages*")):
        # A source that is not Debian's may not have the architecture; the download will tell.
        update = ["apt-get", "-q", *SANDBOX, *options, "update"]
        subprocess.run(update, capture_output=True, timeout=300, check=False)
    return options


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
