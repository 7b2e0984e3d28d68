# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr validate`, `config` and `plan` as a user runs them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.assembler import link

from manager.cli.verbs import config, plan, validate
from manager.config.diagnostics import ConfigError

TEXT = """\
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16

[slots.0]
device = "hostbridge"

[slots.4]
device = "uart"
legacy = "com2"

[slots.5]
device = "uart"
backend = "pty"

[slots.31]
device = "lpc"

[lpc.com1]
backend = { type = "tcp", listen = "127.0.0.1:4555" }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text(TEXT)
    Path("guest.bin").write_bytes(b"\xf4")
    return tmp_path


def vmmgr(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers()
    for command in (validate, config, plan):
        command.register(verbs)
    args = parser.parse_args(arguments)
    code: int = args.run(args)
    return code


@pytest.mark.usefixtures("folder")
class TestCommands:
    def test_plan_shows_what_everybody_got(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert vmmgr("plan", "demo.toml") == 0
        out, err = capsys.readouterr()
        assert err.startswith("warning[VM090]")
        shown, hashes = out.split("\nidentity  ")
        assert len(hashes.split()[0]) == 64
        assert (
            shown
            == """\
machine   demo (demo.toml)
cpu       qemu64
memory    64 MiB
clock     paced, from 2024-01-01T00:00:00Z
boot      image guest.bin at 0x7c00, entered at 0x7c00, 16-bit

slot  device      id         class   bars           interrupt
0     hostbridge  8086:1237  060000  -              -
4     pci-uart    1b36:0002  070002  0x2f8-0x2ff    INTA -> IRQ 3
5     pci-uart    1b36:0002  070002  0xc000-0xc007  INTA -> PIRQ B -> IRQ 11
31    lpc         8086:7000  060100  -              -

ports          irq  owner           device
0x20-0x21      -    board.pic       pic
0x40-0x43      0    board.pit       pit
0x60           1    board.keyboard  keyboard
0x61           0    board.pit       pit
0x64           1    board.keyboard  keyboard
0x70-0x71      8    board.rtc       rtc
0x92           -    board.port92    port92
0xa0-0xa1      -    board.pic       pic
0x2f8-0x2ff    3    slots.4         pci-uart
0x3f8-0x3ff    4    lpc.com1        isa-uart
0x4d0-0x4d1    -    board.pic       pic
0x600-0x60f    9    board.acpi-pm   acpi-pm
0xcf8-0xcff    -    slots.0         hostbridge
0xc000-0xc007  11   slots.5         pci-uart

memory                   size       what
0x000000000-0x00009ffff  640 KiB    RAM
0x0000c0000-0x003ffffff  64768 KiB  RAM
0x0fec00000-0x0fec00fff  4 KiB      registers board.ioapic
0x0fee00000-0x0fee00fff  4 KiB      registers board.lapic

PIRQ routing  A -> IRQ 10, B -> IRQ 11, C -> IRQ 5, D -> IRQ 10

console  backend                    role
slots.4  null                       -
slots.5  pty                        -
com1     tcp listen 127.0.0.1:4555  -
"""
        )

    def test_plan_as_json_has_the_graph(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert vmmgr("plan", "demo.toml", "--json", "--set", "memory.size=1M") == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["schema"], shown["graph"]["memory_size"]) == (1, 1 << 20)

    def test_config_prints_a_machine_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert vmmgr("config", "demo.toml") == 0
        Path("again.toml").write_text(capsys.readouterr().out)
        assert vmmgr("config", "again.toml") == 0
        assert capsys.readouterr().out == Path("again.toml").read_text()

    def test_config_hashes_do_not_change_with_its_form(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        vmmgr("config", "demo.toml")
        Path("again.toml").write_text(capsys.readouterr().out)
        vmmgr("config", "demo.toml", "--hash")
        first = capsys.readouterr().out
        vmmgr("config", "again.toml", "--hash")
        assert capsys.readouterr().out == first
        assert [line.split()[0] for line in first.splitlines()] == ["identity", "full"]

    def test_config_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        vmmgr("config", "demo.toml", "--json")
        shown = json.loads(capsys.readouterr().out)
        assert shown["config"]["slots"]["4"]["legacy"] == "com2"
        assert len(shown["identity"]) == 64

    @pytest.mark.parametrize("verb", ["config", "plan"])
    def test_wrong_file_raises_the_report(self, verb: str) -> None:
        with pytest.raises(ConfigError, match="VM001"):
            vmmgr(verb, "no-such.toml")

    def test_validate_says_ok(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("demo.toml").write_text(TEXT.replace('legacy = "com2"\n', ""))
        assert vmmgr("validate", "demo.toml") == 0
        assert capsys.readouterr().out == "demo.toml: ok\n"

    def test_validate_goes_on_after_a_wrong_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert vmmgr("validate", "no-such.toml", "demo.toml") == 2
        out = capsys.readouterr().out
        assert "no-such.toml: 1 error\n" in out
        assert out.endswith("demo.toml: 1 warning\n")

    @pytest.mark.parametrize("option", [["--json"], ["--format", "json"]])
    def test_validate_as_json(self, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert vmmgr("validate", "demo.toml", *option) == 0
        (file,) = json.loads(capsys.readouterr().out)["files"]
        assert (file["ok"], [item["code"] for item in file["diagnostics"]]) == (True, ["VM090"])

    def test_validate_for_github(self, capsys: pytest.CaptureFixture[str]) -> None:
        vmmgr("validate", "demo.toml", "--format", "github")
        assert capsys.readouterr().out.startswith(
            "::warning file=demo.toml,line=12,endLine=12,col=10,endColumn=16,title=VM090::PCI-"
        )


def test_commands_load_neither_the_engine_nor_pydantic_before_they_run() -> None:
    code = (
        "import sys; from manager.cli.verbs import config, plan, validate;"
        "print([name for name in ('pydantic', 'unicorn', 'cbor2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_a_stored_graph_does_not_need_pydantic() -> None:
    code = "import sys; import manager.graph.identity; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


KERNEL = """
schema = 1
[boot]
kernel = "kernel.elf"
{protocol}
[slots.0]
device = "hostbridge"
"""
MULTIBOOT = ".long 0x1badb002, 3, 0xe4524ffb\n_start: hlt"


@pytest.mark.parametrize(
    ("source", "protocol", "entered"),
    [
        (MULTIBOOT, "", "entered by multiboot"),
        ("_start: hlt", "", "entered by linux32"),
        ("_start: hlt", 'protocol = "linux64"', "entered by linux64"),
        (None, "", "boot      kernel kernel.elf\n"),
    ],
)
def test_plan_shows_how_the_kernel_will_be_entered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str | None,
    protocol: str,
    entered: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text(KERNEL.format(protocol=protocol))
    if source is not None:
        Path("kernel.elf").write_bytes(link(source, 0x100000))

    assert vmmgr("plan", "demo.toml") == 0

    assert entered in capsys.readouterr().out


def test_plan_says_what_is_wrong_with_a_multiboot_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text(KERNEL.format(protocol=""))
    Path("kernel.elf").write_bytes(link(MULTIBOOT.replace("ffb", "ffc"), 0x100000))

    assert vmmgr("plan", "demo.toml") == 0

    assert "its Multiboot header at offset 0x74 has a wrong checksum" in capsys.readouterr().err
