# SPDX-License-Identifier: BSD-2-Clause
"""Machines of other programs: bhyve's command lines and files, QEMU's command lines."""
