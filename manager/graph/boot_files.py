# SPDX-License-Identifier: BSD-2-Clause
"""The files that a machine boots from, each by what it is for."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from manager.config.modules import split_module
from manager.graph.nodes import Boot, KernelBoot


def boot_files(boot: Boot) -> dict[str, Path]:
    """Key of `[boot]` -> file: `kernel`, `initrd`, `modules.0`, `image`, `firmware`."""
    keys = (item.name for item in fields(boot))
    files = {key: value for key in keys if isinstance(value := getattr(boot, key), Path)}
    if isinstance(boot, KernelBoot):
        for number, module in enumerate(boot.modules):
            files[f"modules.{number}"] = Path(split_module(module)[0])
    return files
