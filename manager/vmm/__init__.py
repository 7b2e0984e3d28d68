# SPDX-License-Identifier: BSD-2-Clause
"""The process that owns a machine: event loop, ports on the host, control socket, gdb."""
