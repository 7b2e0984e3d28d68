# SPDX-License-Identifier: BSD-2-Clause
"""Where a trace goes when the machine file does not say, and what strict-io leaves of a machine."""

from __future__ import annotations

from pathlib import Path

from support.vmmgr import ROOT, Vmmgr

HELLO = f'extends = "{ROOT}/machines/hello.toml"\nname = "traced"\n[debug]\n'


def machine_file(folder: Path, debug: str) -> Path:
    file = folder / "traced.toml"
    file.write_text(HELLO + debug)
    return file


def test_trace_goes_to_the_state_directory_unless_told_otherwise(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    vmmgr("up", machine_file(tmp_path, 'trace = ["irq"]'), "-d", "--wait-for", "> $")
    vmmgr("down", "traced")

    trace = (vmmgr.home / "state" / "traced" / "trace.log").read_text()
    assert "irq vector 20" in trace


def test_run_without_a_place_for_the_trace_says_so(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = machine_file(tmp_path, 'trace = ["irq"]')

    refused = vmmgr("run", file, "--until", "> $", status=2)
    vmmgr("run", file, "--until", "> $", "--set", f"debug.trace-file={tmp_path}/t.log")

    assert "--set debug.trace-file=FILE" in refused.stderr
    assert "irq vector 20" in (tmp_path / "t.log").read_text()


def test_end_by_strict_io_is_a_fault_and_shows_as_one(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "stray.bin").write_bytes(b"\xe4\x99\xeb\xfe")  # in al, 0x99; jmp $
    file = tmp_path / "stray.toml"
    file.write_text(
        'schema = 1\n[boot]\nimage = "stray.bin"\nload = 0x7c00\nentry = 0x7c00\nbits = 16\n'
        "[debug]\nstrict-io = true\n"
    )

    result = vmmgr("up", file, status=6)

    assert "port 0x99" in result.stderr
    assert "crashed" in vmmgr("status", "stray").stdout
