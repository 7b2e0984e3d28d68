# SPDX-License-Identifier: BSD-2-Clause
"""The lines after a guest's fault say what led to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.assembler import assemble
from support.vmmgr import Vmmgr

pytestmark = pytest.mark.guest

PC = """
schema = 1
name = "faulty"
[memory]
size = "8M"
[boot]
image = "guest.bin"
load = 0x100000
entry = 0x100000
bits = 32
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
"""
PAGING = """
        mov     dword ptr [0x2000], 0x83        # the first 4 MiB
        mov     eax, 0x2000
        mov     cr3, eax
        mov     eax, cr4
        or      eax, 0x10
        mov     cr4, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
"""
NO_IDT = """
        lidt    [no_idt]
"""
DATA = """
        .balign 4
no_idt: .word   0
        .long   0
"""


def guest(folder: Path, code: str, bits: int = 32) -> Path:
    (folder / "guest.bin").write_bytes(assemble(NO_IDT + code + DATA, 0x100000, bits))
    file = folder / "faulty.toml"
    file.write_text(PC)
    return file


def said(vmmgr: Vmmgr, file: Path, status: int = 6) -> list[str]:
    result = vmmgr("run", file, "--max-time", "1s", status=status)
    return [line.removeprefix("vmmgr: ") for line in result.stderr.splitlines()]


def test_a_page_fault_without_an_idt(vmmgr: Vmmgr, tmp_path: Path) -> None:
    code = PAGING + "        mov ecx, 7\nhere:   mov [0xdeadbeef], ecx\n        nop\n        hlt\n"

    lines = said(vmmgr, guest(tmp_path, code))

    assert lines[0].startswith("triple fault at 0010:")
    (place,) = {
        line.split(":")[0].strip() for line in lines if "dword ptr [0xdeadbeef], ecx" in line
    }
    assert lines[1] == (
        "it began with #PF, page fault, error code 0x2 (write by ring 0: no page), "
        f"address 0xdeadbeef, at 0010:{place}"
    )
    assert lines[2] == (
        "then #DF, double fault, error code 0x0: the one before could not be delivered"
    )
    assert lines[3].split()[:2] == [f"{place}:", "89"]
    assert [line.split()[-1] for line in lines[4:6]] == ["nop", "hlt"]
    assert len(lines) <= 3 + 10


def test_a_refused_msr_early(vmmgr: Vmmgr, tmp_path: Path) -> None:
    code = "        mov ecx, 0x12345\n        mov eax, 0x99\n        xor edx, edx\n        wrmsr\n"

    lines = said(vmmgr, guest(tmp_path, code))

    assert lines[1].startswith("it began with #GP, general protection, error code 0x0, at 0010:")
    place = lines[1].rsplit(":", 1)[1]
    assert f"the last MSR that was refused: WRMSR 0x12345 <- 0x99, at 0010:{place}" in lines
    assert any(line.split()[-1] == "wrmsr" for line in lines)


def test_a_port_that_no_device_has(vmmgr: Vmmgr, tmp_path: Path) -> None:
    code = """
        mov     dx, 0x1234
        in      al, dx
        mov     dx, 0x2345
        out     dx, al
        out     0x80, al
        ud2
    """

    lines = said(vmmgr, guest(tmp_path, code))

    assert "the last port that no device has: OUT to 0x2345" in lines
    assert any(line.startswith("it began with #UD, invalid opcode, at 0010:") for line in lines)


def test_the_first_of_three_faults_is_told(vmmgr: Vmmgr, tmp_path: Path) -> None:
    lines = said(vmmgr, guest(tmp_path, "        int 0x21\n"))

    assert lines[1].startswith("it began with INT 0x21, at 0010:")
    assert lines[2].startswith("then #GP, general protection, error code 0x10a (vector 0x21 of")
    assert lines[3].startswith("then #DF, double fault, error code 0x0")


def test_code_that_is_not_mapped(vmmgr: Vmmgr, tmp_path: Path) -> None:
    code = PAGING + "        mov eax, 0xc0000000\n        jmp eax\n"

    lines = said(vmmgr, guest(tmp_path, code))

    assert "error code 0x0 (fetch by ring 0: no page), address 0xc0000000" in lines[1]
    assert lines[3:] == ["no memory is mapped at 0xc0000000, where the next instruction is to be"]


def test_bytes_that_are_no_instruction_end_the_list(vmmgr: Vmmgr, tmp_path: Path) -> None:
    lines = said(vmmgr, guest(tmp_path, "        ud2\n        .byte 0x0f, 0x04, 0x1b, 0x5b\n"))

    assert lines[-1].endswith("(no instruction)")
    assert all(line.isprintable() for line in lines)


def test_an_end_that_is_no_fault_has_no_story(vmmgr: Vmmgr, tmp_path: Path) -> None:
    code = "        mov dx, 0x1234\n        in al, dx\n        cli\n        hlt\n"

    assert said(vmmgr, guest(tmp_path, code), status=0) == ["the guest halted with interrupts off"]


def test_status_and_its_json_have_the_story(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = guest(tmp_path, "        ud2\n")

    up = vmmgr("up", file, status=6).stderr
    shown = vmmgr("status", "faulty").stdout
    story = json.loads(vmmgr("status", "faulty", "--json").stdout)["story"]

    assert story[0].startswith("it began with #UD, invalid opcode, at 0010:")
    assert story[-1].split()[-1] != ""
    for line in story:
        assert f"vmmgr: {line}" in up
        assert f"  {line}" in shown


def test_a_machine_in_the_background_tells_its_story(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = guest(tmp_path, "        ud2\n")
    file.write_text(f'{PC}[ready]\nport = "com1"\nwait-for = "never"\ntimeout = "1m"\n')

    up = vmmgr("up", file, "-d", status=6).stderr
    shown = vmmgr("status", "faulty").stdout
    status = json.loads(vmmgr("status", "faulty", "--json").stdout)

    assert "faulty ended before it was ready: triple fault at 0010:" in up
    assert status["state"] == "crashed"
    assert status["story"][0].startswith("it began with #UD, invalid opcode, at 0010:")
    for line in status["story"]:
        assert f"faulty: {line}" in up
        assert f"  {line}" in shown


def test_what_a_record_says_of_a_fault_is_shown_as_signs(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("up", guest(tmp_path, "        ud2\n"), status=6)
    record = vmmgr.home / "state/faulty/machine.json"
    content = json.loads(record.read_text())
    content["story"] = ["it began\x1b[2J with\r nothing"]
    record.write_text(json.dumps(content))

    shown = vmmgr("status", "faulty").stdout

    assert "  it began\N{SYMBOL FOR ESCAPE}[2J with\N{SYMBOL FOR CARRIAGE RETURN} nothing" in shown
    assert "\x1b" not in shown
