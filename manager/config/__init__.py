# SPDX-License-Identifier: BSD-2-Clause
"""From the text of a machine file to a checked model. Nothing here knows graphs or devices."""
