# SPDX-License-Identifier: BSD-2-Clause
"""What devices with a PS/2 plug have in common."""
