# SPDX-License-Identifier: BSD-2-Clause
"""Who the user is to a registry: of the environment, or as docker and podman have logged in."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from pathlib import Path

from manager import files
from manager.stores.faults import unreachable

_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_PATIENCE = 30
"""Seconds that a credential helper gets."""


def of_host(host: str) -> tuple[str, str] | None:
    """(user, password) for HOST or HOST:PORT; None to come without a name.

    VMMGR_REGISTRY_USER and VMMGR_REGISTRY_PASSWORD are for any registry; else what
    $REGISTRY_AUTH_FILE, or config.json in $DOCKER_CONFIG or ~/.docker, says of this one. Raises
    HostError.
    """
    if user := os.environ.get("VMMGR_REGISTRY_USER"):
        return user, os.environ.get("VMMGR_REGISTRY_PASSWORD", "")
    file = _config_file()
    try:
        config = files.read_json(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise unreachable(str(file), f"cannot be read: {error}", "log in again") from None
    if not isinstance(config, dict):
        return None
    helpers = config.get("credHelpers")
    helper = helpers.get(host) if isinstance(helpers, dict) else None
    if isinstance(helper := helper or config.get("credsStore"), str):
        return _of_helper(helper, host)
    entries = config.get("auths")
    entry = entries.get(host) if isinstance(entries, dict) else None
    return _of_entry(entry) if isinstance(entry, dict) else None


def _config_file() -> Path:
    if own := os.environ.get("REGISTRY_AUTH_FILE"):
        return Path(own)
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def _of_entry(entry: dict[str, object]) -> tuple[str, str] | None:
    auth = entry.get("auth")
    if not isinstance(auth, str):
        return None
    try:
        user, colon, password = base64.b64decode(auth).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if colon else None


def _of_helper(helper: str, host: str) -> tuple[str, str] | None:
    """What docker-credential-HELPER says; it has nothing of many hosts, and then fails."""
    command = f"docker-credential-{helper}"
    if not _HELPER.fullmatch(helper):
        return None
    try:
        done = subprocess.run(
            [command, "get"],
            input=host.encode(),
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise unreachable(host, f"{command}: {error}", "log in again") from None
    if done.returncode:
        return None
    try:
        found = files.parse_json(done.stdout)
    except ValueError:
        return None
    user, secret = found.get("Username"), found.get("Secret")
    return (user, secret) if isinstance(user, str) and isinstance(secret, str) else None
