# SPDX-License-Identifier: BSD-2-Clause
"""Any Unicorn but the one we know is refused, with what is wrong and what to do; each in its own
process, because a library is loaded once.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from manager.cpu.unicorn import library

ROOT = Path(__file__).parents[3]
NATIVE = ROOT / "manager" / "cpu" / "unicorn" / "native"
LAYOUT = re.findall(r"^ {4}((?:ENV|CS|CLASS|DB)_\w+) = ", (NATIVE / "layout.h").read_text(), re.M)
LOAD = """
from manager.cpu.unicorn import library
from manager.errors import HostError
try:
    library.load()
except HostError as error:
    print(error)
"""


def refusal(prepare: str = "", path: Path = ROOT, *options: str) -> str:
    """What loading the engine says in a new process that has `path` first."""
    code = f"import sys; sys.path[:0] = [{str(path)!r}, {str(ROOT)!r}]\n{prepare}\n{LOAD}"
    result = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout


def package(folder: Path, content: bytes) -> Path:
    """A package `unicorn` with a library of that content."""
    (folder / "unicorn" / "lib").mkdir(parents=True)
    (folder / "unicorn" / "__init__.py").touch()
    (folder / "unicorn" / "lib" / "libunicorn.so.2").write_bytes(content)
    return folder


def stub(folder: Path, version: int) -> Path:
    """A library that says it is that version, and can do nothing else."""
    (folder / "stub.c").write_text(f"unsigned uc_version(void *a, void *b) {{ return {version}; }}")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "stub.so", "stub.c"], cwd=folder, check=True)
    return package(folder, (folder / "stub.so").read_bytes())


def test_the_stock_wheel_is_taken() -> None:
    assert refusal() == ""


def test_another_version(tmp_path: Path) -> None:
    said = refusal(path=stub(tmp_path, 0x020103FF))

    assert "it is Unicorn 2.1.3, and vmmgr knows 2.1.4 only" in said
    assert "unicorn==2.1.4" in said


def test_a_wheel_that_hides_its_functions(tmp_path: Path) -> None:
    assert "its library has no function uc_open" in refusal(path=stub(tmp_path, 0x020104FF))


def test_a_wheel_for_another_system(tmp_path: Path) -> None:
    (package(tmp_path, b"") / "unicorn" / "lib" / "libunicorn.so.2").unlink()

    assert "has no libunicorn.so.2" in refusal(path=tmp_path)


def test_a_library_that_is_none(tmp_path: Path) -> None:
    assert "cannot use the CPU engine" in refusal(path=package(tmp_path, b"nonsense"))


def test_no_wheel_at_all() -> None:
    assert "the CPU engine is missing" in refusal("", ROOT, "-S")


def test_unicorn_was_loaded_before() -> None:
    said = refusal(f"import ctypes; ctypes.CDLL({str(library.find())!r})")

    assert "the Unicorn library was loaded before vmmgr's native half" in said


def test_our_native_half_was_loaded_by_something_else() -> None:
    said = refusal("import manager.cpu.unicorn._native")

    assert "Unicorn does not call vmmgr's native half" in said


def test_a_library_that_is_laid_out_otherwise(tmp_path: Path) -> None:
    # A reset sets SMBASE: here it does so four bytes further on.
    stock = library.find().read_bytes()
    reset = bytes.fromhex("c783 f89e0000 00000300")
    assert stock.count(reset) == 1
    other = stock.replace(reset, bytes.fromhex("c783 fc9e0000 00000300"))

    said = refusal(path=package(tmp_path, other))

    assert "not laid out as the 2.1.4 that vmmgr knows: ENV_SMBASE is elsewhere" in said


@pytest.mark.parametrize("name", LAYOUT)
@pytest.mark.parametrize("shift", [-8, -4, 4, 8])
def test_each_field_is_missed_where_it_is_not(name: str, shift: int) -> None:
    native = library.load()

    assert native.misplaced() is None
    assert native.misplaced(name, shift) == name
