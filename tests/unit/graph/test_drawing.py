# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr graph` and `vmmgr diff` as a user runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.graph.build import load_graph
from manager.graph.identity import to_plain
from manager.state.last_run import LastRun, write_last_run

TEXT = """\
[boot]
kernel = "vmlinuz"
cmdline = "console=ttyS0"

[slots.0]
device = "hostbridge"

[slots.4]
device = "uart"
backend = "pty"

[slots.31]
device = "lpc"

[lpc.com1]
backend = "stdio"
pace = "baud"
"""
TREE = """\
└── slot 0: hostbridge  8086:1237, 0xcf8-0xcff
    └── PCI bus 0
        ├── slot 4: uart  1b36:0002, 0xc000-0xc007, INTA -> PIRQ A -> IRQ 10  => pty
        └── slot 31: lpc  8086:7000
            └── LPC bus
                └── com1: uart  0x3f8-0x3ff, IRQ 4, pace baud  => stdio
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path / "state"))
    Path("a.toml").write_text(TEXT)
    return tmp_path


class TestGraph:
    def test_tree_tells_which_uart_sits_behind_which_bus(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["graph", "a.toml"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("a  qemu64, 64 MiB\n├── board\n│   ├── pic  0x20-0x21")
        assert out.endswith(TREE)

    def test_mermaid_has_every_device_and_connects_it(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["graph", "a.toml", "--format", "mermaid"])
        first, *lines = capsys.readouterr().out.splitlines()
        assert first == "flowchart TD"
        boxes = {match[1] for line in lines if (match := re.match(r"    (\w+)[\[({]", line))}
        wires = [line.split() for line in lines if " --- " in line or " -.- " in line]
        assert all(start in boxes and end in boxes for start, _, end in wires)
        assert len(wires) == len(boxes) - 1
        assert ["n_slots_31_bus", "---", "n_lpc_com1"] in wires
        assert ["n_lpc_com1", "-.-", "n_lpc_com1_backend"] in wires

    def test_dot_is_a_graph_of_the_same_tree(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["graph", "a.toml", "--format", "dot", "--set", 'name="a"'])
        out = capsys.readouterr().out
        assert out.startswith('graph "a" {\n')
        assert out.endswith("}\n")
        assert '    "slots.0.bus" -- "slots.4";' in out
        assert '    "slots.4.backend" [label="pty", shape=ellipse];' in out
        assert out.count("[label=") == out.count(" -- ") + 1

    def test_json_is_the_whole_graph(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["graph", "a.toml", "--json"])
        shown = json.loads(capsys.readouterr().out)
        assert shown == {"schema": 1, "graph": to_plain(load_graph(Path("a.toml")))}

    def test_wrong_file_is_reported(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["graph", "no.toml"]) == 2
        assert "VM001" in capsys.readouterr().err


class TestDiff:
    def test_equal_machines_exit_with_0(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["diff", "a.toml", "a.toml"]) == 0
        assert capsys.readouterr().out == "no difference\n"

    def test_guest_and_wiring_are_told_apart(self, capsys: pytest.CaptureFixture[str]) -> None:
        changed = TEXT.replace("slots.4", "slots.5").replace('"stdio"', '"null"')
        Path("b.toml").write_text(f'name = "a"\n{changed}[lpc.com2]\n[memory]\nsize = "32M"\n')
        assert main(["diff", "a.toml", "b.toml"]) == 1
        assert capsys.readouterr().out == (
            "--- a.toml\n"
            "+++ b.toml\n"
            "what the guest sees:\n"
            "  ~ memory.size: 64 MiB -> 32 MiB\n"
            "  > slots.4 (uart) moved to slots.5\n"
            "  + lpc.com2 (uart)\n"
            "the host's wiring:\n"
            "  ~ backend.slots.4: pty -> nothing\n"
            "  ~ backend.com1: stdio -> null\n"
            "  ~ backend.slots.5: nothing -> pty\n"
            "  ~ backend.com2: nothing -> null\n"
        )

    def test_wiring_can_be_left_out(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("b.toml").write_text(TEXT.replace('"stdio"', '"null"'))
        assert main(["diff", "a.toml", "b.toml", "--guest"]) == 0
        assert capsys.readouterr().out == "no difference that the guest can see\n"

    def test_json_has_both_values(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("a2.toml").write_text('name = "a"\n' + TEXT.replace('pace = "baud"\n', ""))
        assert main(["diff", "a.toml", "a2.toml", "--json"]) == 1
        shown = json.loads(capsys.readouterr().out)
        assert (shown["schema"], shown["a"], shown["b"]) == (1, "a.toml", "a2.toml")
        assert shown["guest"] == [
            {"kind": "changed", "subject": "lpc.com1.properties", "a": {"pace": "baud"}, "b": None}
        ]
        assert shown["host"] == []

    def test_unknown_machine_exits_with_3(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["diff", "nobody", "a.toml"]) == 3
        assert "nobody" in capsys.readouterr().err

    def test_stopped_machine_has_nothing_to_compare(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        home = folder / "state" / "idle"
        home.mkdir(parents=True)
        record = LastRun("idle", str(folder / "a.toml"), phase="stopped")
        write_last_run(home / "machine.json", record)

        assert main(["diff", "idle", "a.toml"]) == 4
        assert "idle is stopped" in capsys.readouterr().err

    def test_directory_that_is_no_snapshot_exits_with_7(self, tmp_path: Path) -> None:
        assert main(["diff", str(tmp_path), "a.toml"]) == 7
