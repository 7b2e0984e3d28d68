# SPDX-License-Identifier: BSD-2-Clause
"""Disk images and the layers of blocks that a machine puts over them."""
