# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr step-back`; see manager/cli/verbs/rewind.py."""

from manager.cli.verbs.rewind import register_step_back as register
from manager.cli.verbs.rewind import run

__all__ = ["register", "run"]
