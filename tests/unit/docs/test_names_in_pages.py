# SPDX-License-Identifier: BSD-2-Clause
"""What pages name exists: classes and their members, modules, files, C functions; and pages do."""

from __future__ import annotations

import ast
import contextlib
import importlib
import re
from collections import defaultdict
from functools import cache

import pytest
from support.vmmgr import ROOT

PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md", "benchmarks/*.md")
    for page in ROOT.glob(pattern)
)
TOURS = ("docs/contributing.md", "docs/engine.md")
"""Pages that lead through the source; they name functions of C and Python without a dot too."""
MEMBER = re.compile(r"`((?:[A-Z]\w*[a-z]\w*|manager)(?:\.[a-zA-Z_]\w*)+)(?:\(.*?\))?`")
FILE = re.compile(r"`(?!NAME)([\w/-]+\.(?:py|pyi|c|h|S|toml))`")
FUNCTION = re.compile(r"`(\w*[a-z0-9]_\w+|_\w+)(?:\(.*?\))?`")


def prose(page: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


@cache
def classes() -> dict[str, list[ast.ClassDef]]:
    """The classes in manager/, by name."""
    found: dict[str, list[ast.ClassDef]] = defaultdict(list)
    for path in (*ROOT.glob("manager/**/*.py"), *ROOT.glob("manager/**/*.pyi")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(node)
    return found


def has(name: str, member: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a class of that name, or one that it inherits from, has the member."""
    nodes = classes().get(name, ())
    bases = {ast.unparse(base).partition("[")[0] for node in nodes for base in node.bases}
    return any(member in names(node) for node in nodes) or any(
        has(base, member, seen | {name}) for base in bases - seen - {name}
    )


def names(node: ast.ClassDef) -> set[str]:
    """What a class's body and its methods define."""
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef):
            found.add(part.name)
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            found.add(part.id)
        elif isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
            found.add(part.attr)
    return found


def exists(name: str) -> bool:
    first, *rest = name.split(".")
    if first != "manager":
        return has(first, rest[0])
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
        return True
    with contextlib.suppress(ImportError):
        return hasattr(importlib.import_module(f"manager.{'.'.join(rest[:-1])}"), rest[-1])
    return False


@cache
def tree() -> str:
    """The paths of the project's files, a line each."""
    folders = ("manager", "machines", "examples", "tests", "docs", "benchmarks")
    files = (path for folder in folders for path in (ROOT / folder).rglob("*.*"))
    return "\n".join(path.as_posix() for path in files)


@cache
def source() -> str:
    """All of manager/ as text, with the port functions that a macro of C defines."""
    parts = [
        path.read_text(encoding="utf-8")
        for suffix in ("py", "pyi", "c", "h", "S")
        for path in ROOT.glob(f"manager/**/*.{suffix}")
    ]
    text = "\n".join(parts)
    macros = re.findall(r"(helper_\w+)##letter##(\w+)", text)
    return "\n".join([text, *(f"{begin}{x}{end}" for begin, end in macros for x in "bwl")])


@pytest.mark.parametrize("page", PAGES)
def test_names_with_a_dot_exist(page: str) -> None:
    missing = [name for name in MEMBER.findall(prose(page)) if not exists(name)]

    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_files_of_ours_exist(page: str) -> None:
    files = tree()
    missing = [
        file for file in FILE.findall(prose(page)) if not re.search(rf"(^|/){file}$", files, re.M)
    ]

    assert missing == []


@pytest.mark.parametrize("page", TOURS)
def test_functions_that_tours_name_are_in_the_source(page: str) -> None:
    text = source()
    missing = [
        name
        for name in FUNCTION.findall(prose(page))
        if re.search(rf"\b{name.removesuffix('N')}", text) is None
    ]

    assert missing == []


def test_pages_that_the_source_names_exist() -> None:
    named = set(re.findall(r"\bdocs/[\w/-]+\.md\b", source()))

    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []
