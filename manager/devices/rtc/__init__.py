# SPDX-License-Identifier: BSD-2-Clause
"""The real-time clock."""
