# SPDX-License-Identifier: BSD-2-Clause
"""Names that machine files use and that several parts of the program have to know."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""A machine's name; it becomes the name of a directory."""
NAME_HELP = "a name is at most 64 of a-z, 0-9 and -, and begins with a letter or a digit"

MEMBER = re.compile(rf"({NAME.pattern})/({NAME.pattern})")
"""The name of a machine of a lab: the lab's, and the machine's in it."""


def name_like(text: str) -> str:
    """A name for a machine that is as much like `text` as it can be.

    >>> name_like("My VM")
    'my-vm'
    """
    import unicodedata

    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-") or "machine"


CPU_MODELS = (
    "qemu64",
    "phenom",
    "core2duo",
    "kvm64",
    "qemu32",
    "kvm32",
    "coreduo",
    "486",
    "pentium",
    "pentium2",
    "pentium3",
    "athlon",
    "n270",
    "conroe",
    "penryn",
    "nehalem",
    "westmere",
    "sandybridge",
    "ivybridge",
    "haswell",
    "broadwell",
    "skylake-client",
    "skylake-server",
    "cascadelake-server",
    "cooperlake",
    "icelake-client",
    "icelake-server",
    "denverton",
    "snowridge",
    "knightsmill",
    "opteron-g1",
    "opteron-g2",
    "opteron-g3",
    "opteron-g4",
    "opteron-g5",
    "epyc",
    "dhyana",
    "epyc-rome",
)
"""The CPU models that Unicorn 2.1.4 offers, in its own order (UC_CPU_X86_*)."""
