# SPDX-License-Identifier: BSD-2-Clause
"""Builds what is written in C; everything else is in pyproject.toml.

Without a C compiler an installation succeeds all the same: what runs no guest works then, and what
needs a native part says so.
"""

from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("manager/cpu/unicorn/native")
SANDBOX = Path("manager/sandbox/native")

setup(
    ext_modules=[
        Extension(
            "manager.cpu.unicorn._native",
            sources=sorted(str(path) for path in NATIVE.glob("*.c")),
            depends=sorted(str(path) for path in NATIVE.glob("*.h")),
            include_dirs=[str(NATIVE)],
            extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror=implicit"],
            libraries=["dl", "m"],
            optional=True,
        ),
        Extension(
            "manager.snapshot._pages",
            sources=["manager/snapshot/pages.c"],
            extra_compile_args=["-std=gnu11", "-O3", "-Wall", "-Wextra"],
            optional=True,
        ),
        Extension(
            "manager.sandbox._native",
            sources=sorted(str(path) for path in SANDBOX.glob("*.c")),
            depends=sorted(str(path) for path in SANDBOX.glob("*.h")),
            include_dirs=[str(SANDBOX)],
            extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra"],
            optional=True,
        ),
    ]
)
