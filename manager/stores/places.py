# SPDX-License-Identifier: BSD-2-Clause
"""What REMOTE on a command line means. Each kind of store is imported when it is asked for."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from manager.errors import UsageError
from manager.stores.remote import Remote

KINDS = "oci://HOST/REPOSITORY, file:///FOLDER, oci-layout:FOLDER, s3://BUCKET/PREFIX"
_REGISTRY = re.compile(r"//([A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)/(.+)")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.DOTALL)


def open_remote(place: str) -> Remote:
    """The store that `place` names; nothing is read yet.

    Raises UsageError for what is no place, HostError where a library is missing.
    """
    match = _SCHEME.fullmatch(place)
    if match is None:
        raise _no_place(place, f"such as {KINDS}")
    scheme, rest = match[1], match[2]
    if scheme == "oci-layout" or (scheme in ("file", "oci") and rest.startswith("///")):
        folder = rest.removeprefix("//") if scheme != "oci-layout" else rest
        return _layout(place, unquote(folder) if scheme == "file" else folder)
    if scheme in ("oci", "oci+http"):
        return _registry(place, rest, plain=scheme == "oci+http")
    return _objects(place, scheme, rest)


def _layout(place: str, folder: str) -> Remote:
    from manager.stores.layout import Layout

    if not folder or "\0" in folder:
        raise _no_place(place, "such as oci-layout:FOLDER")
    return Layout(place, Path(folder).absolute())


def _registry(place: str, rest: str, *, plain: bool) -> Remote:
    from manager.stores.registry import Registry

    match = _REGISTRY.fullmatch(rest)
    if match is None:
        raise _no_place(place, "such as oci://registry.example:5000/team/machines")
    return Registry(place, match[1], match[2], plain=plain)


def _objects(place: str, scheme: str, rest: str) -> Remote:
    from manager.stores.objects import Objects

    if scheme in ("http", "https", "file") or not rest.startswith("//"):
        raise _no_place(place, f"such as {KINDS}")
    return Objects(place)


def _no_place(place: str, help: str) -> UsageError:
    return UsageError(f"{place!r} names no store", help=help)
