# SPDX-License-Identifier: BSD-2-Clause
"""CPU models by name: the number that Unicorn 2.1.4 gives each (uc_cpu_x86 in x86.h)."""

from __future__ import annotations

MODELS = {
    name: number
    for number, name in enumerate(
        (
            "qemu64", "phenom", "core2duo", "kvm64", "qemu32", "kvm32", "coreduo", "486",
            "pentium", "pentium2", "pentium3", "athlon", "n270", "conroe", "penryn", "nehalem",
            "westmere", "sandybridge", "ivybridge", "haswell", "broadwell", "skylake-client",
            "skylake-server", "cascadelake-server", "cooperlake", "icelake-client",
            "icelake-server", "denverton", "snowridge", "knightsmill", "opteron-g1",
            "opteron-g2", "opteron-g3", "opteron-g4", "opteron-g5", "epyc", "dhyana", "epyc-rome",
        )
    )
}  # fmt: skip
