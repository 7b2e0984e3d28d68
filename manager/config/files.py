# SPDX-License-Identifier: BSD-2-Clause
"""Whether the files that a machine boots from are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from manager.config.diagnostics import Diagnostic
from manager.config.load import LoadedModel
from manager.config.modules import split_module
from manager.config.scan import KeyPath
from manager.config.values import path_keys


def boot_files(loaded: LoadedModel) -> dict[KeyPath, Path]:
    """Each file that the machine boots from, by its place in the model."""
    boot = loaded.model.boot
    given = ((key, getattr(boot, key)) for key in path_keys(type(boot)))
    files: dict[KeyPath, Path] = {
        ("boot", key): Path(path) for key, path in given if isinstance(path, str)
    }
    for index, module in enumerate(boot.modules):
        files["boot", "modules", index] = Path(split_module(module)[0])
    return files


def missing_files(loaded: LoadedModel) -> list[Diagnostic]:
    """What is wrong with the files to boot from."""
    found = []
    for place, path in boot_files(loaded).items():
        code, reason = "VM071", None
        if not path.exists():
            code, reason = "VM070", "no such file"
        elif not path.is_file():
            reason = "not a file"
        elif not os.access(path, os.R_OK):
            reason = "permission denied"
        if reason is not None:
            help = loaded.model.boot.help
            if help is None and code == "VM070":
                help = "put the file there, or correct the path"
            span = loaded.origins.value_span(place)
            found.append(Diagnostic(code, f"{show_path(path)}: {reason}", span, help=help))
    return [*found, *_missing_disks(loaded)]


def _missing_disks(loaded: LoadedModel) -> Iterator[Diagnostic]:
    """What is wrong with the files of disks, as far as can be told without reading them."""
    for name, disk in loaded.model.disks.items():
        for key in ("image", "folder"):
            given = getattr(disk, key)
            if given is None:
                continue
            path = Path(given)
            is_kind = path.is_file() if key == "image" else path.is_dir()
            if not path.exists():
                reason = f"no such {'file' if key == 'image' else 'folder'}"
            elif not is_kind:
                reason = "not a file" if key == "image" else "not a folder"
            elif not os.access(path, os.R_OK):
                reason = "permission denied"
            elif key == "image" and path.stat().st_size == 0:
                reason = "the image is empty"
            else:
                continue
            span = loaded.origins.value_span(("disks", name, key))
            yield Diagnostic("VM072", f"{show_path(path)}: {reason}", span)


def show_path(path: Path) -> str:
    """A path for reading: relative when it is below the current directory."""
    full = Path(os.path.normpath(path))
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)
