# SPDX-License-Identifier: BSD-2-Clause
"""From the text of a machine file to a checked model. Graphs and devices are not known here."""
