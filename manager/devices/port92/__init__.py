# SPDX-License-Identifier: BSD-2-Clause
"""System control port A."""
