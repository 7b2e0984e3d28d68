# SPDX-License-Identifier: BSD-2-Clause
"""What is in here is read by vmmgr, not by pytest."""

collect_ignore_glob = ["*"]
