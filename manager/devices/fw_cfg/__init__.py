# SPDX-License-Identifier: BSD-2-Clause
"""The firmware configuration device."""
