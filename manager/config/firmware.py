# SPDX-License-Identifier: BSD-2-Clause
"""Firmware by name: where Debian, Fedora, Arch and others of their families put it.

Paths are those of the packages' own file lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Firmware:
    """One that machine files know by name. Each place is its code and, if any, its variables."""

    title: str
    packages: str
    places: tuple[tuple[str, str | None], ...]

    def find(self) -> tuple[Path, Path | None]:
        """Where it is; where Debian would have it when it is nowhere."""
        found = (place for place in self.places if all(Path(file).is_file() for file in _of(place)))
        code, variables = next(found, self.places[0])
        return Path(code), Path(variables) if variables is not None else None

    @property
    def help(self) -> str:
        """What to do when it is nowhere."""
        return f"install it ({self.packages}), or give the path of its file"


def _of(place: tuple[str, str | None]) -> list[str]:
    return [file for file in place if file is not None]


def _split(folder: str, code: str, variables: str) -> tuple[str, str]:
    return f"{folder}/{code}", f"{folder}/{variables}"


_SHARE = "/usr/share"
NAMED: Mapping[str, Firmware] = {
    "seabios": Firmware(
        "SeaBIOS",
        "Debian: apt install seabios; Fedora: dnf install seabios-bin; Arch: pacman -S seabios",
        (
            (f"{_SHARE}/seabios/bios-256k.bin", None),
            (f"{_SHARE}/qemu/bios-256k.bin", None),
        ),
    ),
    "ovmf": Firmware(
        "OVMF",
        "Debian: apt install ovmf; Fedora: dnf install edk2-ovmf; Arch: pacman -S edk2-ovmf",
        (
            _split(f"{_SHARE}/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
            _split(f"{_SHARE}/edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"),
            _split(f"{_SHARE}/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"),
            _split(f"{_SHARE}/edk2-ovmf/x64", "OVMF_CODE.fd", "OVMF_VARS.fd"),
            _split(f"{_SHARE}/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"),
        ),
    ),
}
"""By the name that `firmware` of `[boot]` may have."""


def find(firmware: str, variables: str | None = None) -> tuple[Path, Path | None]:
    """The files that `firmware` of `[boot]`, a name or a path, and `variables` stand for."""
    if (known := NAMED.get(firmware)) is not None:
        code, template = known.find()
        return code, Path(variables) if variables is not None else template
    return Path(firmware), Path(variables) if variables is not None else None
