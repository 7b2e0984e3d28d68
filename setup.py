# SPDX-License-Identifier: BSD-2-Clause
"""Builds what is written in C; everything else is in pyproject.toml.

The C keeps to Python's stable ABI of 3.11, so one wheel is for that version and all later ones.
Without a C compiler an installation succeeds all the same: what runs no guest works then, and what
needs a native part says so. With VMMGR_PURE=1 in the environment none is built, for a wheel that
goes anywhere.
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("manager/cpu/unicorn/native")
SANDBOX = Path("manager/sandbox/native")


class BuildNative(build_ext):
    """Leaves nothing in the tree that Python would load instead of what was built."""

    def copy_extensions_to_source(self) -> None:
        """Put them beside their sources, in place of those built for one version of Python."""
        super().copy_extensions_to_source()
        for extension in self.extensions:
            place = Path(*extension.name.split("."))
            for other in place.parent.glob(f"{place.name}.cpython-*.so"):
                other.unlink()


def native(name: str, sources: list[Path], *flags: str) -> Extension:
    """One extension module of C, with the headers beside it."""
    return Extension(
        name,
        sources=sorted(map(str, sources)),
        depends=sorted(str(header) for header in sources[0].parent.glob("*.h")),
        extra_compile_args=[*flags, "-Wall", "-Wextra", "-Werror=implicit"],
        libraries=["dl", "m"],
        define_macros=[("Py_LIMITED_API", "0x030B0000")],
        py_limited_api=True,
        optional=True,
    )


EXTENSIONS = [
    native("manager.cpu.unicorn._native", [*NATIVE.glob("*.c")], "-std=c11", "-O2"),
    native("manager.snapshot._pages", [Path("manager/snapshot/pages.c")], "-std=gnu11", "-O3"),
    native("manager.sandbox._native", [*SANDBOX.glob("*.c")], "-std=gnu11", "-O2"),
]
PURE = os.environ.get("VMMGR_PURE") == "1"

setup(
    cmdclass={"build_ext": BuildNative},
    ext_modules=[] if PURE else EXTENSIONS,
    options={} if PURE else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
