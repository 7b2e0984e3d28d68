# SPDX-License-Identifier: BSD-2-Clause
"""The I/O APIC."""
