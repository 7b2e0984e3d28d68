# SPDX-License-Identifier: BSD-2-Clause
"""Whatever a machine's texts are: exports are run by a shell as written, imports hold no more."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import tomli
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from manager.config.diagnostics import ConfigError
from manager.config.emit import to_toml
from manager.errors import UsageError
from manager.graph.build import check, load_graph
from manager.graph.nodes import Graph, KernelBoot
from manager.interop import bhyve_config, to_bhyve, to_qemu
from manager.interop.from_bhyve import import_argv, import_config
from manager.text.quoting import quoted

EVIL = "a'\"; touch owned; $(touch owned) `touch owned`\ntouch owned\n# %(x) \\"
TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
    st.text("'\"\\$`#%(){};&|<>\n\r\t \x1b=,*?~!", max_size=20),
)
MACHINE = """
schema = 1
name = "demo"
[boot]
kernel = "/k"
cmdline = {cmdline}
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = {{ type = "file", path = {path} }}
[slots.31]
device = "lpc"
[lpc.com1]
backend = "stdio"
[ready]
port = "com1"
wait-for = {pattern}
"""
NEITHER_RUNS_NOR_KNOWS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def machine(folder: Path, cmdline: str, path: str, pattern: str) -> Graph | None:
    """The machine with these texts; None when there can be no such machine."""

    def text(value: str) -> str:
        return quoted(value, "toml")

    file = folder / "demo.toml"
    file.write_text(
        MACHINE.format(cmdline=text(cmdline), path=text(f"/{path}"), pattern=text(pattern))
    )
    try:
        return load_graph(file)
    except ConfigError:
        return None


def run_by_a_shell(text: str, program: str, folder: Path) -> list[str]:
    """The words that the program gets; nothing else may run, or be written."""
    recorder = folder / "bin" / program
    recorder.parent.mkdir(exist_ok=True)
    recorder.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    recorder.chmod(0o755)
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    found = subprocess.run(
        ["/bin/sh", "-c", text],
        env={"PATH": str(recorder.parent)},
        cwd=empty,
        capture_output=True,
        check=True,
    )
    assert list(empty.iterdir()) == []
    assert found.stderr == b""
    return found.stdout.decode().split("\0")[:-1]


def test_evil_texts_make_a_machine(tmp_path: Path) -> None:
    assert machine(tmp_path, EVIL, EVIL, "x\ntouch owned") is not None


@given(cmdline=TEXTS, path=TEXTS, pattern=TEXTS)
@example(cmdline=EVIL, path=EVIL, pattern="x\ntouch owned")
@settings(max_examples=25, suppress_health_check=NEITHER_RUNS_NOR_KNOWS)
def test_exports_are_one_command(cmdline: str, path: str, pattern: str, tmp_path: Path) -> None:
    graph = machine(tmp_path, cmdline, path, pattern)
    if graph is None:
        return

    qemu = to_qemu.export(graph)
    words = run_by_a_shell(qemu.text, "qemu-system-x86_64", tmp_path)
    assert isinstance(graph.boot, KernelBoot)
    told = graph.boot.cmdline
    assert not told or told in words or any(told in line for line in qemu.lost)

    bhyve = to_bhyve.export_argv(graph)
    assert run_by_a_shell(bhyve.text, "bhyve", tmp_path)[-1] == "demo"

    config = bhyve_config.parse(to_bhyve.export_config(graph).text, "x")
    assert set(config) <= {
        "name", "cpus", "memory.size", "acpi_tables", "rtc.use_localtime",
        "pci.0.0.0.device", "pci.0.4.0.device", "pci.0.31.0.device", "lpc.com1.path",
    }  # fmt: skip


@given(name=TEXTS, value=TEXTS, com=TEXTS, vm=TEXTS)
@example(name="x.y", value="1\n[gdb]\nlisten = '127.0.0.1:1'\n", com="stdio", vm="v")
@example(name="x", value="1", com='tcp=x"\n[gdb]\n', vm='v"\n[gdb]')
@settings(max_examples=50, suppress_health_check=NEITHER_RUNS_NOR_KNOWS)
def test_imports_have_no_other_tables(name: str, value: str, com: str, vm: str) -> None:
    settings_ = {
        "name": vm, name: value, "pci.0.31.0.device": "lpc", "lpc.com1.path": com,
        "pci.0.4.0.device": "uart", "pci.0.4.0.path": value, "pci.0.5.0.device": value,
        "lpc.bootrom": vm, "pci.0.6.0.device": "uart", f"pci.0.6.0.{name}": value,
    }  # fmt: skip
    lines = [f"{key}={item}" for key, item in settings_.items()]
    try:
        text = import_config("\n".join(lines), "x").text
    except UsageError:
        return

    assert set(tomli.loads(text)) <= {
        "schema",
        "name",
        "memory",
        "boot",
        "slots",
        "lpc",
        "debug",
        "cpu",
    }


@given(value=TEXTS)
@example(value="1\n[gdb]\nlisten = '127.0.0.1:1'\n")
@settings(max_examples=50)
def test_a_setting_on_the_command_line_makes_no_table(value: str) -> None:
    line = shlex.join(["bhyve", "-o", f"x.y={value}", "-s", "31,lpc", "-l", f"com1,{value}", "vm"])
    try:
        text = import_argv(line).text
    except UsageError:
        return

    assert "gdb" not in tomli.loads(text)


@pytest.mark.parametrize("digits", ["9" * 5000, "٣", "²"])
@pytest.mark.parametrize("line", ["-c {}", "-m {}", "-s {},uart", "-s 0:{}:0,uart"])
def test_numbers_that_are_none(digits: str, line: str) -> None:
    try:
        text = import_argv(f"bhyve {line.format(digits)} vm").text
    except UsageError:
        return

    tomli.loads(text)


def test_the_canonical_text_has_the_same_texts(tmp_path: Path) -> None:
    graph = machine(tmp_path, "a \U0001f600 ${x} \x7f \"b\" 'c'", "p\n#x", "y")
    assert graph is not None
    loaded = check(tmp_path / "demo.toml").loaded
    assert loaded is not None

    (tmp_path / "again.toml").write_text(to_toml(loaded.model))

    again = load_graph(tmp_path / "again.toml")
    assert again.boot == graph.boot
    assert again.device("slots.4") == graph.device("slots.4")
