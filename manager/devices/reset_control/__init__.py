# SPDX-License-Identifier: BSD-2-Clause
"""The reset control register."""
