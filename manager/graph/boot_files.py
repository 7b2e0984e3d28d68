# SPDX-License-Identifier: BSD-2-Clause
"""The files that a machine boots from, each by what it is for."""

from __future__ import annotations

from pathlib import Path

from manager.config.modules import split_module
from manager.graph.nodes import Boot, FirmwareBoot, ImageBoot, KernelBoot


def boot_files(boot: Boot) -> dict[str, Path]:
    """Key of `[boot]` -> file: `kernel`, `initrd`, `modules.0`, `image`, `firmware`."""
    if isinstance(boot, ImageBoot):
        return {"image": boot.image}
    named = {"kernel": boot.kernel, "initrd": boot.initrd}
    files = {key: path for key, path in named.items() if path is not None}
    if isinstance(boot, FirmwareBoot):
        files["firmware"] = boot.firmware
    elif isinstance(boot, KernelBoot):
        for number, module in enumerate(boot.modules):
            files[f"modules.{number}"] = Path(split_module(module)[0])
    return files
