# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr step-back`; see manager/cli/rewind.py."""

from manager.cli.rewind import register_step_back as register
from manager.cli.rewind import run

__all__ = ["register", "run"]
