# SPDX-License-Identifier: BSD-2-Clause
"""The process that owns a lab: all its machines, in quanta of virtual time."""
