# SPDX-License-Identifier: BSD-2-Clause
"""Machines without a CPU."""

from support.scripted_machine import demo, fake, graph, machine_file, no_cpu, state_home

__all__ = ["demo", "fake", "graph", "machine_file", "no_cpu", "state_home"]
