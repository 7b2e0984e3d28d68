# SPDX-License-Identifier: BSD-2-Clause
"""A folder of the host as it was at one moment, and what a guest made of it, on a disk's blocks.

The format is that of a small file system. A folder is frozen into an image; what changes is written
to the same blocks, so layers, snapshots and rewinds of shares are those of disks.
"""
