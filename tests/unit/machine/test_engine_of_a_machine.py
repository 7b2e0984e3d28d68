# SPDX-License-Identifier: BSD-2-Clause
"""A machine runs on the engine that it is handed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_machine import MILLISECOND, hello

from manager.cpu.unicorn.engine import UnicornEngine
from manager.machine.machine import Machine

pytestmark = pytest.mark.guest


def test_a_machine_runs_on_the_engine_it_is_given(tmp_path: Path) -> None:
    graph = hello(tmp_path)
    usual = Machine.power_on(graph)
    given = UnicornEngine(graph.cpu_model, code_buffer=1 << 20)
    machine = Machine.power_on(graph, given)

    usual.run(100 * MILLISECOND)
    machine.run(100 * MILLISECOND)

    assert machine.engine is given
    assert machine.records() == usual.records()
