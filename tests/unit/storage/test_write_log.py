# SPDX-License-Identifier: BSD-2-Clause
"""The files of what is written to a disk."""

from __future__ import annotations

from pathlib import Path

from manager.storage.base import BLOCK, Zeros
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog


def test_two_shares_of_a_machine_have_logs_of_their_own(tmp_path: Path) -> None:
    one, two = (Disk(Zeros(BLOCK), WriteLog.at(tmp_path / f"shares.{name}")) for name in "ab")
    one.write(0, b"1" * BLOCK)
    two.write(0, b"2" * BLOCK)
    one.close()
    two.close()

    again = Disk(Zeros(BLOCK), WriteLog.at(tmp_path / "shares.a"), recover=True)
    assert again.read(0, BLOCK) == b"1" * BLOCK
    again.close()
