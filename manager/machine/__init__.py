# SPDX-License-Identifier: BSD-2-Clause
"""Graph -> running machine: assembly, the run loop, virtual time."""
