# SPDX-License-Identifier: BSD-2-Clause
"""The debug-exit port."""
