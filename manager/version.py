# SPDX-License-Identifier: BSD-2-Clause
"""The version, for all who write it down."""

from pathlib import Path

__version__ = "0.1.0"


def of_code() -> str:
    """Stands for the very code that runs: a machine may do otherwise after a change of it."""
    package = Path(__file__).parent
    newest = 0
    for part in ("machine", "devices", "cpu", "boot", "bus"):
        for path in (package / part).rglob("*"):
            if path.suffix in (".py", ".so"):
                newest = max(newest, path.stat().st_mtime_ns)
    return f"{__version__} {newest}"
