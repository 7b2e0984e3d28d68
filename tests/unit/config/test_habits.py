# SPDX-License-Identifier: BSD-2-Clause
"""What people write who are used to something else gets help that fits it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.config.diagnostics import Diagnostic
from manager.config.load import inspect
from manager.graph.build import check
from manager.names import NAME, name_like

PC = """
schema = 1
boot = { image = "guest.bin", load = 0x7c00, entry = 0x7c00, bits = 16 }
slots.0.device = "hostbridge"
slots.31.device = "lpc"
"""
QUOTES, COMMENT = "straight quotation marks", "a comment begins with #"
TEXT = "text needs quotation marks"
HABITS = {
    "memory.size = “64M”": QUOTES,
    "memory.size = \N{LEFT SINGLE QUOTATION MARK}64M'": QUOTES,
    "memory.size = „64M“": QUOTES,
    "memory.size = «64M»": QUOTES,
    "memory.size = `64M`": QUOTES,
    'memory.size = "64M”': QUOTES,
    "// a comment": COMMENT,
    "/* a comment */": COMMENT,
    "; a comment": COMMENT,
    "-- a comment": COMMENT,
    'name = "x" // a comment': COMMENT,
    "name = 'x' -- a comment": COMMENT,
    "debug.strict-io = True": "write true",
    "debug.strict-io = FALSE": "write false",
    "debug.strict-io = yes": "write true",
    "debug = { strict-io = Off }": "write false",
    "name = None": "leave the key out",
    "name = null": "leave the key out",
    'boot.kernel = "C:\\Users\\vm"': "single quotation marks",
    'boot.kernel = "C:\\work\\vm"': "single quotation marks",
    'boot.kernel = "\\\\server\\vm"': "single quotation marks",
    "name: x": "write = between",
    'name = "x";': "write nothing after it",
    'name = "x",': "write nothing after it",
    "name == 1": "one = is enough",
    "memory.size = 64M": TEXT,
    "memory.size = large": TEXT,
    "boot.kernel = /boot/vmlinuz": TEXT,
    "boot.kernel = ./vmlinuz": TEXT,
    "boot.load = 010": "no zeros in front",
    "name = 'it's'": "take double ones",
    "[boot] kernel = 'x'": "a line of its own",
    '{ "name": "x" }': "vmmgr new",
    "<machine/>": "vmmgr new",
    "name\N{NO-BREAK SPACE}= 'x'": "write a blank",
    "name =\N{NO-BREAK SPACE}'x'": "write a blank",
    "name = \N{ZERO WIDTH SPACE}'x'": "write a blank",
    "größe = 1": "a key with other characters",
    "<<<<<<< HEAD": "a merge left its marks",
    "=======": "a merge left its marks",
}


def found(folder: Path, text: str, *overrides: str, name: str = "pc.toml") -> list[Diagnostic]:
    (folder / "guest.bin").write_bytes(b"\xf4")
    (folder / name).write_text(text)
    return list(check(folder / name, overrides).diagnostics)


@pytest.mark.parametrize("line", HABITS)
def test_help_fits_what_was_meant(tmp_path: Path, line: str) -> None:
    diagnostic, *more = found(tmp_path, f"schema = 1\n{line}\n")

    assert not more
    assert (diagnostic.code, diagnostic.primary.line) == ("VM002", 2)
    assert diagnostic.help is not None
    assert HABITS[line] in diagnostic.help


@given(st.text(alphabet="abz=.[]{}\"'\\#/;:-_ \t\n“”\N{NO-BREAK SPACE}TrueNon0x9,<", max_size=40))
def test_no_text_is_beyond_help(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text)
    inspect(file)


@pytest.mark.parametrize("table", ["boot", "slots.4", "lpc.com1", "lpc", "memory", "disks.a"])
@pytest.mark.parametrize("key", ['extends = "base.toml"', 'name = "x"', "schema = 1"])
def test_keys_of_the_file_stand_above_the_tables(tmp_path: Path, table: str, key: str) -> None:
    file = tmp_path / "pc.toml"
    device = 'device = "uart"' if table == "slots.4" else ""
    file.write_text(f"[{table}]\n{device}\n{key}\n")

    helps = {item.help for item in inspect(file).diagnostics}

    assert f"`{key.partition(' ')[0]}` stands above the first table" in helps


def test_a_path_with_escapes_is_told_so(tmp_path: Path) -> None:
    (diagnostic,) = found(tmp_path, PC.replace("guest.bin", "C:\\new\\table.bin"))

    assert diagnostic.code == "VM070"
    assert diagnostic.help is not None
    assert "begins an escape" in diagnostic.help


@pytest.mark.parametrize(
    ("stem", "offered"),
    [("My VM", "my-vm"), ("Übung_1", "ubung-1"), ("a.b", "a-b"), ("日本", "machine"), ("-x", "x")],
)
def test_a_stem_that_is_no_name_gets_one_like_it(tmp_path: Path, stem: str, offered: str) -> None:
    (diagnostic,) = found(tmp_path, PC, name=f"{stem}.toml")

    assert diagnostic.help is not None
    assert f'name = "{offered}"' in diagnostic.help
    assert not found(tmp_path, f'name = "{offered}"\n{PC}', name=f"{stem}.toml")


@given(st.text())
def test_what_is_offered_is_a_name(text: str) -> None:
    assert NAME.fullmatch(name_like(text))


INLINE = (
    PC + 'lpc.com1.backend = { type = "tcp", listen = "127.0.0.1:1" }\nlpc.com2.backend = "null"\n'
)


@pytest.mark.parametrize(
    ("settings", "backend"),
    [
        (["lpc.com1.backend.listen=127.0.0.1:5"], {"listen": "127.0.0.1:5"}),
        (["lpc.com1.backend.type=unix", "lpc.com1.backend.listen=/a"], {"listen": "/a"}),
        (["lpc.com1.backend.listen=/a", "lpc.com1.backend.type=unix"], {"listen": "/a"}),
        (["lpc.com1.backend={type='pipe'}", "lpc.com1.backend.path=/a"], {"path": "/a"}),
        (["lpc.com1.backend={type='file', path='/b'}"], {"path": "/b"}),
    ],
)
def test_set_changes_one_key_of_an_inline_table(
    tmp_path: Path, settings: list[str], backend: dict[str, str]
) -> None:
    (tmp_path / "guest.bin").write_bytes(b"\xf4")
    (tmp_path / "pc.toml").write_text(INLINE)

    graph = check(tmp_path / "pc.toml", settings).graph

    assert graph is not None
    com1 = graph.device("lpc.com1")
    assert com1 is not None
    assert com1.backend is not None
    assert com1.backend.options == backend


def test_set_points_at_the_setting_that_is_wrong(tmp_path: Path) -> None:
    right, wrong = "lpc.com1.backend.type=unix", "lpc.com1.backend.listen=a\0b"
    (diagnostic,) = found(tmp_path, INLINE, right, wrong)

    assert diagnostic.primary.text == wrong
