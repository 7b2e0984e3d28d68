# SPDX-License-Identifier: BSD-2-Clause
"""Whatever valid TOML says, it is a machine or a list of located diagnostics, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from manager.config.diagnostics import render
from manager.graph.build import check

VALUES = st.sampled_from(
    ["1", "-1", "true", "1.5", "nan", "2024-01-01", "07:32:00", '""', '"uart"', '"lpc"', '"stdio"',
     '"tcp"', '"${"', '"com1"', '"("', "[]", "[1]", "[{}]", "{}", "{type = 1}", "{type = []}",
     '{type = "tcp", tcp = 1}', '{type = "unix", listen = 1}', "{device = {}}", '{device = "uart"}',
     '{device = "lpc", lpc = 1}', "{replace = 1}", "{replace = true}", '"64M"', '["a", "b"]',
     '"\\u0000"', '{type = "file", path = "\\u0000"}']
)  # fmt: skip
KEYS = st.sampled_from(
    ["schema", "name", "extends", "vars", "vars.a", "cpu", "cpu.model", "memory", "memory.size",
     "clock", "clock.epoch", "clock.mode", "boot", "boot.kernel", "boot.image", "boot.load",
     "boot.modules", "boot.help", "slots", "slots.0", "slots.4", "slots.4.1", "slots.'4.1'",
     "slots.4.device", "slots.4.backend", "slots.4.1.device", "slots.99", "slots.x", "lpc",
     "lpc.com1", "lpc.com1.backend", "lpc.com1.backend.type", "lpc.debug-exit", "ready",
     "lpc.debug-exit.port", "ready.port", "ready.wait-for", "ready.timeout", "x-a", "unknown.a",
     "replace"]
)  # fmt: skip
SETTINGS = st.lists(st.tuples(KEYS, VALUES), max_size=5)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SETTINGS, SETTINGS, SETTINGS)
@example([], [("slots", "1")], [("slots.4.device", "1")])
@example([], [], [("slots.0", '{device = "lpc", lpc = 1, type = 1}')])
@example([("boot.modules", '["\\u0000"]')], [], [])
def test_nothing_crashes(
    write: Callable[[str, Any], Path], base: Any, file: Any, overrides: Any
) -> None:
    write("base.toml", base)
    path = write("demo.toml", [("extends", '"base.toml"'), *file])

    checked = check(path, [f"{key}={value}" for key, value in overrides])

    assert (checked.graph is None) == any(d.severity == "error" for d in checked.diagnostics)
    assert render(checked.diagnostics) or checked.graph is not None


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    def write(name: str, settings: Any) -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{key} = {value}\n" for key, value in settings))
        return path

    return write
