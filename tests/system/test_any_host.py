# SPDX-License-Identifier: BSD-2-Clause
"""A run is the same on any host: here, on one that is made to look like others.

glibc has several versions of its functions and chooses by what the processor can do. Told to forget
FMA and AVX2, it takes the ones of older processors, whose results differ in the last bit. What else
differs between hosts is listed in docs/engine.md.

A few guests run always; with `VMMGR_THOROUGH=1` more than twenty.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.vmmgr import ROOT

THOROUGH = os.environ.get("VMMGR_THOROUGH") == "1"
pytestmark = pytest.mark.guest

OLDER = "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4,-AVX2_Usable,-FMA_Usable"
LIBMS = {"as it is": {}, "without FMA and AVX2": {"GLIBC_TUNABLES": OLDER}}
ELSEWHERE = {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"}
HOSTS: dict[str, tuple[list[str], dict[str, str]]] = {
    "one core": (["--cores", "1"], {}),
    "two cores, without FMA and AVX2": (["--cores", "2"], {"GLIBC_TUNABLES": OLDER}),
    "one core, without FMA and AVX2, elsewhere": (
        ["--cores", "1"],
        {"GLIBC_TUNABLES": OLDER, **ELSEWHERE},
    ),
    "an old processor that rounds up": (["--old-processor", "--rounding", "up"], {}),
}
"""Options of support/final_hashes.py, and variables of the environment."""
GUESTS = [
    "hello", "x87-32-qemu64", "x87-64-qemu64", "fpu-32-qemu64", "blocks-32-qemu64",
    "blocks-64-qemu64", "operands-64-haswell", "interrupts-64-qemu64",
]  # fmt: skip
MORE_GUESTS = [
    "fpu-64-qemu64", "exceptions-32-qemu64", "exceptions-64-haswell", "interrupts-32-qemu64",
    "debug-32-qemu64", "debug-64-qemu64", "tasks-32-qemu64", "v86-32-qemu64",
    "fastcalls-64-core2duo", "registers-64-haswell", "paging-32-qemu64",
    "paging-64-skylake-client", "realmode-16-qemu64", "halts-64-qemu64", "segments-32-qemu64",
    "differences-64-qemu64",
]  # fmt: skip
X87 = """\
fsin 0d958a1e812dd6a3
fcos 4291f885d6433bf0
fsincos b1b32192a3617162
fptan 2cfbc878d5de2300
fpatan e6577b56ca3fe4cc
f2xm1 5ccd89056c979efe
fyl2x 403e49ff113ca435
fyl2xp1 5929c0fcf74669c5
fprem fa4c13c3099231b2
fprem1 09b64a718d17b824
"""


def printed(module: str, options: list[str], environment: dict[str, str]) -> str:
    """What a program of tests/support prints on that host."""
    return subprocess.run(
        [sys.executable, "-m", f"support.{module}", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("libm", LIBMS)
def test_x87_functions_have_the_same_results(libm: str) -> None:
    assert printed("x87_digest", [], LIBMS[libm]) == X87


@pytest.fixture(scope="module")
def guests() -> list[str]:
    return GUESTS + MORE_GUESTS if THOROUGH else GUESTS


@pytest.fixture(scope="module")
def hashes(guests: list[str]) -> str:
    """What they end as here."""
    return printed("final_hashes", guests, {})


@pytest.mark.parametrize("host", HOSTS)
def test_guests_end_the_same(host: str, guests: list[str], hashes: str) -> None:
    options, environment = HOSTS[host]

    assert printed("final_hashes", [*options, *guests], environment) == hashes
    assert len(hashes.splitlines()) == len(guests)
