# SPDX-License-Identifier: BSD-2-Clause
"""Whether the files that a machine boots from are there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from manager import files
from manager.config import firmware
from manager.config.diagnostics import Diagnostic
from manager.config.load import LoadedModel
from manager.config.modules import split_module
from manager.config.scan import KeyPath
from manager.config.values import path_keys

_OTHER_PATH = "put the file there, or correct the path"
_ESCAPES = "in double quotation marks a backslash begins an escape; write \\\\, or take single ones"


def boot_files(loaded: LoadedModel) -> dict[KeyPath, Path]:
    """Each file that the machine boots from, by its place in the model."""
    boot = loaded.model.boot
    given = [(key, getattr(boot, key)) for key in path_keys(type(boot)) if key != "firmware"]
    if boot.firmware is not None:
        given.append(("firmware", str(firmware.find(boot.firmware)[0])))
    found: dict[KeyPath, Path] = {
        ("boot", key): Path(path) for key, path in given if isinstance(path, str)
    }
    for index, module in enumerate(boot.modules):
        found["boot", "modules", index] = Path(split_module(module)[0])
    return found


def missing_files(loaded: LoadedModel) -> list[Diagnostic]:
    """What is wrong with the files to boot from."""
    found = []
    for place, path in boot_files(loaded).items():
        code, help = "VM071", loaded.model.boot.help
        try:
            files.look(path)
            continue
        except (FileNotFoundError, NotADirectoryError):
            code, reason = "VM070", "no such file"
            named = firmware.NAMED.get(str(loaded.model.boot.firmware))
            if named is not None and place == ("boot", "firmware"):
                reason, help = f"{named.title} is not installed", named.help
            help = help or _OTHER_PATH
            if not str(path).isprintable():
                help = _ESCAPES
        except OSError as error:
            reason = str(error.strerror)
        span = loaded.origins.value_span(place)
        found.append(Diagnostic(code, f"{show_path(path)}: {reason}", span, help=help))
    return [*found, *_missing_disks(loaded)]


def _missing_disks(loaded: LoadedModel) -> Iterator[Diagnostic]:
    """What is wrong with files of disks and shares, as far as can be told without reading them."""
    for name, disk in loaded.model.disks.items():
        for key in ("image", "folder"):
            given = getattr(disk, key)
            if given is None:
                continue
            reason = _unfit_image(Path(given)) if key == "image" else _unfit_folder(Path(given))
            if reason is not None:
                span = loaded.origins.value_span(("disks", name, key))
                help = loaded.model.boot.help or ""
                yield Diagnostic("VM072", f"{show_path(Path(given))}: {reason}", span, help=help)
    for name, share in loaded.model.shares.items():
        if (reason := _unfit_folder(Path(share.folder))) is not None:
            span = loaded.origins.value_span(("shares", name, "folder"))
            yield Diagnostic("VM072", f"{show_path(Path(share.folder))}: {reason}", span)


def _unfit_image(path: Path) -> str | None:
    try:
        return None if files.look(path).st_size else "the image is empty"
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return str(error.strerror)


def _unfit_folder(path: Path) -> str | None:
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return "not a folder"
    except FileNotFoundError:
        return "no such folder"
    except OSError as error:
        return str(error.strerror)
    return None if os.access(path, os.R_OK) else "permission denied"


def show_path(path: Path) -> str:
    """A path for reading: relative when it is below the current directory."""
    full = Path(os.path.normpath(path))
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)
