# SPDX-License-Identifier: BSD-2-Clause
"""The device graph: who sits on which bus and owns which port, line, BAR. Pure; no host access."""
