# SPDX-License-Identifier: BSD-2-Clause
"""vmmgr: a declarative virtual machine manager on the Unicorn CPU engine."""

__version__ = "0.1.0.dev0"
