# SPDX-License-Identifier: BSD-2-Clause
"""Builds what is written in C; everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("manager/cpu/unicorn/native")

setup(
    ext_modules=[
        Extension(
            "manager.cpu.unicorn._native",
            sources=sorted(str(path) for path in NATIVE.glob("*.c")),
            depends=sorted(str(path) for path in NATIVE.glob("*.h")),
            include_dirs=[str(NATIVE)],
            extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror=implicit"],
            libraries=["dl"],
        ),
        Extension(
            "manager.snapshot._pages",
            sources=["manager/snapshot/pages.c"],
            extra_compile_args=["-std=gnu11", "-O3", "-Wall", "-Wextra"],
        ),
    ]
)
