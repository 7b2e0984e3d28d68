# SPDX-License-Identifier: BSD-2-Clause
"""What is on disks, as far as it is needed to say which files differ between two of them."""
