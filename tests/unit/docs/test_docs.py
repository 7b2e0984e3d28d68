# SPDX-License-Identifier: BSD-2-Clause
"""Links lead somewhere, code blocks are what they say they are, generated pages are current."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
import tomli
from support.tutorial import Block, blocks, steps

from manager.cli import manual
from manager.cli.main import VERBS
from manager.config.json_schema import lab_schema, machine_schema

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for folder in (".", "docs", "docs/decisions", "examples/*", "machines/*", "benchmarks")
    for page in ROOT.glob(f"{folder}/*.md")
)
LANGUAGES = {"asm", "c", "console", "diff", "json", "mermaid", "python", "sh", "text", "toml"}
LANGUAGES |= {"yaml", "ini", "gdb", ""}
LINK = re.compile(r"(?<!`)\[[^\]\[`]*(?:`[^`]*`[^\]\[`]*)*\]\(([^)\s]+)\)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str, *languages: str) -> list[Block]:
    return [block for block in blocks(text_of(page)) if block.language in languages]


def prose_of(page: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The names that a page's headings get, by GitHub's rule."""
    headings = re.findall(r"^#+ +(.*)$", prose_of(page.relative_to(ROOT).as_posix()), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    wrong = []
    for target in LINK.findall(prose_of(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        place = (ROOT / page).parent / path if path else ROOT / page
        if not place.exists() or (anchor and anchor not in anchors(place.resolve())):
            wrong.append(target)

    assert not wrong


@pytest.mark.parametrize("page", PAGES)
def test_code_blocks_are_of_a_known_language_and_well_formed(page: str) -> None:
    for block in blocks(text_of(page)):
        place = f"{page}:{block.line}"
        assert block.language in LANGUAGES, place
        match block.language:
            case "toml":
                tree = tomli.loads(block.text)
                if "schema" in tree:
                    schema = lab_schema() if "machines" in tree else machine_schema()
                    jsonschema.validate(tree, schema)
            case "json":
                assert all_json(block), place
            case "python":
                compile(dedented(block), place, "exec")
            case "sh":
                result = subprocess.run(
                    ["bash", "-n"], input=block.text, text=True, capture_output=True, check=False
                )
                assert result.returncode == 0, f"{place}: {result.stderr}"
            case "console":
                assert list(steps(block)), place


def all_json(block: Block) -> bool:
    """Whether a block is one JSON value, or one in each line."""
    try:
        json.loads(block.text)
    except ValueError:
        return all(json.loads(line) is not None for line in block.lines if line.strip())
    return True


def dedented(block: Block) -> str:
    """Python that may come from the inside of a loop or a function."""
    return "if True:\n" + block.text if block.text.startswith(" ") else block.text


@pytest.mark.parametrize("page", [page for page in PAGES if re.match(r"examples/\d", page)])
def test_tutorials_show_what_is_in_their_files(page: str) -> None:
    folder = (ROOT / page).parent
    files = [path.read_text() for path in folder.iterdir() if path.suffix in CODE]
    missing = [
        block.text
        for block in blocks_of(page, "asm", "c", "toml", "python", "sh")
        if not any(block.text in file for file in files)
    ]

    assert not missing


CODE = {".s", ".c", ".toml", ".py", ".sh", ".ld"}


@pytest.mark.parametrize("page", [page for page in PAGES if re.match(r"examples/\d", page)])
def test_tutorials_begin_with_what_you_get_and_end_with_something_to_try(page: str) -> None:
    headings = re.findall(r"^## (.*)$", prose_of(page), re.MULTILINE)

    assert re.search(r"^You will get: ", text_of(page), re.MULTILINE)
    assert headings[-1] == "Try"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """docs/generate.py."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current(generator: ModuleType) -> None:
    """To update them: `python3 docs/generate.py`."""
    stale = [
        name
        for name, text in generator.pages().items()
        if not (ROOT / "docs" / name).exists() or text_of(f"docs/{name}") != text
    ]

    assert not stale


def test_every_command_is_in_the_manual_with_an_example() -> None:
    grouped = manual.grouped(VERBS)

    assert manual.REST not in grouped, "give the new verbs a group and examples in cli/manual.py"
    assert [verb for verb in VERBS if not manual.EXAMPLES.get(verb)] == []


def test_examples_of_the_manual_are_accepted(generator: ModuleType) -> None:
    parsers = generator.parsers()
    refused = []
    for verb, lines in manual.EXAMPLES.items():
        for command, _ in lines if verb in VERBS else ():
            words = re.split(r" \| | >", command)
            (ours,) = [part for part in words if "vmmgr" in part]
            arguments = shlex.split(re.sub(r'.*?vmmgr |\)"$', "", ours, count=0))
            try:
                parsers[verb].parse_args(arguments[1:])
            except SystemExit:
                refused.append(command)

    assert refused == []


def test_exit_codes_agree_with_the_program_and_with_their_page() -> None:
    from manager.errors import ExitCode

    page = text_of("docs/exit-codes.md")
    assert all(f"\n| {code} |" in page for code in ExitCode)
