# SPDX-License-Identifier: BSD-2-Clause
"""`python -m manager` is `vmmgr`."""

from manager.cli.main import entry

entry()
