# SPDX-License-Identifier: BSD-2-Clause
"""The guest that we ship as a binary is the one that we ship as source."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.needs import needs

HELLO = Path(__file__).parents[2] / "machines" / "hello"

needs_binutils = needs("make", "gcc", "ld", "objcopy")


@needs_binutils
def test_building_the_source_gives_the_committed_binary(tmp_path: Path):
    build = ["make", "--silent", "-C", str(HELLO), f"OUT={tmp_path}"]

    result = subprocess.run(build, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert (tmp_path / "hello.bin").read_bytes() == (HELLO / "hello.bin").read_bytes(), (
        "run `make -C machines/hello` and commit hello.bin"
    )


def test_it_starts_with_cli_and_leaves_room_for_its_own_memory():
    image = (HELLO / "hello.bin").read_bytes()

    assert image[0] == 0xFA  # CLI: there are no handlers yet
    assert 0x7C00 + len(image) <= 0x9000  # where hello.ld puts what it writes to
