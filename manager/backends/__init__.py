# SPDX-License-Identifier: BSD-2-Clause
"""The host's side of a serial port."""
