# SPDX-License-Identifier: BSD-2-Clause
"""ACPI tables that describe a machine's graph to its guest."""
