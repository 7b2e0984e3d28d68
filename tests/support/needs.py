# SPDX-License-Identifier: BSD-2-Clause
"""Skips: those that a package would avoid, and those that nothing on this host avoids.

With VMMGR_NO_SKIP=1, which CI sets, tests/conftest.py makes failures of the former.
"""

from __future__ import annotations

import shutil
from typing import NoReturn

import pytest

from support.vmmgr import ROOT

IMPOSSIBLE = "not possible here: "
"""How the reason of a skip begins that no package avoids."""
PACKAGES: dict[str, str] = dict(
    line.split()
    for line in (ROOT / ".ci" / "tools").read_text().splitlines()
    if not line.startswith("#")
)
"""Debian's package for each program; CI installs them all."""


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip where one of these programs of .ci/tools is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    packages = sorted({PACKAGES[tool] for tool in tools})
    return pytest.mark.skipif(
        bool(missing), reason=f"no {', '.join(missing)}: apt-get install {' '.join(packages)}"
    )


def impossible(reason: str) -> NoReturn:
    """Skip because of what the host's kernel can or allows."""
    pytest.skip(IMPOSSIBLE + reason)
