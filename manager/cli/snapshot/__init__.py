# SPDX-License-Identifier: BSD-2-Clause
"""What `vmmgr snapshot` does, a module for each kind of sub-verb."""
