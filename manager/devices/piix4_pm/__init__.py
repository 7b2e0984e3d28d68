# SPDX-License-Identifier: BSD-2-Clause
"""The power management function of a PIIX4."""
