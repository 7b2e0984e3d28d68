# SPDX-License-Identifier: BSD-2-Clause
"""A run is the same on any host: here, with a libm for another processor.

glibc has several versions of its functions and chooses by what the processor can do. Told to forget
FMA and AVX2, it takes the ones of older processors, whose results differ in the last bit.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.vmmgr import ROOT

pytestmark = pytest.mark.guest

OLDER = "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4,-AVX2_Usable,-FMA_Usable"
HOSTS = {"as it is": {}, "without FMA and AVX2": {"GLIBC_TUNABLES": OLDER}}
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


@pytest.mark.parametrize("host", HOSTS)
def test_x87_functions_have_the_same_results(host: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), **HOSTS[host]}

    done = subprocess.run(
        [sys.executable, "-m", "support.x87_digest"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == X87
