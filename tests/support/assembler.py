# SPDX-License-Identifier: BSD-2-Clause
"""Assembling small guests with the system's own assembler."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path


@cache
def assemble(source: str, base: int, bits: int = 64) -> bytes:
    """The flat binary of Intel-syntax assembly, linked to run at `base`."""
    header = f".intel_syntax noprefix\n.code{bits}\n.globl _start\n_start:\n"
    with tempfile.TemporaryDirectory() as folder:
        text, object_, binary = (Path(folder) / name for name in ("a.s", "a.o", "a.bin"))
        text.write_text(header + source + "\n")
        subprocess.run(["as", "--64", "-o", object_, text], check=True)
        link = ["ld", "-m", "elf_x86_64", "--oformat=binary", "-Ttext", hex(base)]
        subprocess.run([*link, "-o", binary, object_], check=True)
        return binary.read_bytes()
