# SPDX-License-Identifier: BSD-2-Clause
"""The process that owns a machine, its socket, its state directory, and the client."""
