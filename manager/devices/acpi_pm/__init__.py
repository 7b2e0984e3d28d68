# SPDX-License-Identifier: BSD-2-Clause
"""ACPI's power management."""
