# SPDX-License-Identifier: BSD-2-Clause
"""Real machines in real processes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.linux import linux_images
from support.vmmgr import Vmmgr


@pytest.fixture
def vmmgr() -> Iterator[Vmmgr]:
    """The command, with a short path to its state; whatever still runs is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder:
        command = Vmmgr(Path(folder))
        yield command
        command.terminal("down", "--all").wait()


@pytest.fixture(scope="session")
def linux() -> None:
    """The images that machines/linux.toml boots."""
    linux_images()
