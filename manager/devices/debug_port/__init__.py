# SPDX-License-Identifier: BSD-2-Clause
"""The firmware's debug port."""
