# SPDX-License-Identifier: BSD-2-Clause
"""The local APIC."""
