# SPDX-License-Identifier: BSD-2-Clause
"""Writes the pages that repeat what the program knows: run `python3 docs/generate.py`.

    docs/commands.md    every command, its options, an example      from the argparse parsers
    docs/man/vmmgr.1    the same as a manual page
    docs/machine-file.md    every key of a machine file             from the JSON schema
    docs/machine.schema.json, docs/lab.schema.json    that schema, and the one of lab files
    docs/diagnostics.md    every diagnostic code                    from manager/config/codes.py

tests/unit/docs holds that they are current.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import manager
from manager.cli import manual
from manager.cli.main import VERBS
from manager.cli.manual import sentence
from manager.config.codes import TITLES, is_warning
from manager.config.json_schema import lab_schema, machine_schema
from manager.config.units import format_rate
from manager.errors import ExitCode

DOCS = Path(__file__).parent
# REUSE-IgnoreStart
NOTICE = "<!-- SPDX-License-Identifier: BSD-2-Clause -->\n"
ROFF_NOTICE = '.\\" SPDX-License-Identifier: BSD-2-Clause'
# REUSE-IgnoreEnd
MADE = "<!-- Written by docs/generate.py. -->\n"


def pages() -> dict[str, str]:
    """Path below docs/ -> what it should contain."""
    return {
        "commands.md": commands(),
        "man/vmmgr.1": man(),
        "machine-file.md": machine_file(),
        "diagnostics.md": diagnostics(),
        "machine.schema.json": json.dumps(machine_schema(), indent=2) + "\n",
        "lab.schema.json": json.dumps(lab_schema(), indent=2) + "\n",
    }


# ---- commands ----


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every verb's parser, `snapshot save` and its like too, in the order of the manual."""
    found = {}
    for verbs in manual.grouped(VERBS).values():
        for verb in verbs:
            subparsers = argparse.ArgumentParser(prog="vmmgr").add_subparsers()
            importlib.import_module(f"manager.cli.verbs.{VERBS[verb][0]}").register(subparsers)
            parser = subparsers.choices[verb]
            found[verb] = parser
            for action in parser._actions:
                if isinstance(action, argparse._SubParsersAction):
                    summaries = {choice.dest: choice.help for choice in action._choices_actions}
                    for name, child in action.choices.items():
                        child.description = child.description or sentence(summaries[name] or "")
                        found[f"{verb} {name}"] = child
    return found


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """How each argument is written, and what it is for."""
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        if action.help == argparse.SUPPRESS:
            continue
        value = action.metavar or ("{" + ",".join(action.choices) + "}" if action.choices else "")
        value = value if isinstance(value, str) else " ".join(value)
        if action.option_strings:
            takes = f" {value or action.dest.upper()}" if action.nargs != 0 else ""
            yield ", ".join(action.option_strings) + takes, (action.help or "").replace("%%", "%")
        elif action.help:
            yield value or action.dest, action.help.replace("%%", "%")


def usage(parser: argparse.ArgumentParser) -> str:
    """`vmmgr VERB`, its options in brief, and its arguments."""
    words = [parser.prog]
    options = [action for action in parser._actions if action.option_strings]
    words += ["[OPTIONS]"] if len(options) > 1 else []
    for action in parser._actions:
        if action.option_strings or action.help == argparse.SUPPRESS:
            continue
        name = str(action.metavar or action.dest)
        match action.nargs:
            case "+":
                words.append(f"{name}...")
            case "*":
                words.append(f"[{name}...]")
            case "?":
                words.append(f"[{name}]")
            case argparse.PARSER:
                words.append(f"{name} ...")
            case _:
                words.append(name)
    return " ".join(words)


def described(verb: str, parser: argparse.ArgumentParser) -> str:
    """A paragraph about a verb."""
    return " ".join((parser.description or sentence(VERBS[verb][1])).split())


def commands() -> str:
    """docs/commands.md."""
    found = parsers()
    lines = [NOTICE + MADE, "# Commands", "", " ".join(manual.NAMES.split()), ""]
    lines += [" ".join(manual.OPTIONS.split()), ""]
    lines += ["`vmmgr --help` lists them, `vmmgr VERB --help` says what is here.", ""]
    for title, verbs in manual.grouped(VERBS).items():
        links = ", ".join(f"[{verb}](#vmmgr-{verb})" for verb in verbs)
        lines += [f"**{title}:** {links}  "]
    lines += ["", "See also [exit codes](#exit-codes) and [environment](#environment).", ""]
    for verb, parser in found.items():
        nested = " " in verb
        lines += [f"{'###' if nested else '##'} vmmgr {verb}", "```text", usage(parser), "```"]
        lines += [described(verb, parser), ""]
        rows = [f"- `{name}`" + (f": {text}" if text else "") for name, text in arguments(parser)]
        lines += [*rows, ""] if rows else []
        for command, purpose in manual.EXAMPLES.get(verb, ()):
            lines += [f"{sentence(purpose)[:-1]}:", "```sh", command, "```"]
    lines += ["", "## Exit codes", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {code.meaning} |" for code in ExitCode]
    lines += ["", "`run` with a debug-exit port ends with the guest's status instead."]
    lines += ["", "## Environment", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in manual.ENVIRONMENT.items()]
    return tidy(lines)


def man() -> str:
    """docs/man/vmmgr.1."""
    lines = [ROFF_NOTICE, '.\\" Written by docs/generate.py.']
    lines += [f'.TH VMMGR 1 "" "vmmgr {manager.__version__}"', ".SH NAME"]
    lines += [r"vmmgr \- run virtual machines that TOML files declare", ".SH SYNOPSIS"]
    lines += [r"\fBvmmgr\fR [\-h] [\-\-version] [\-q | \-v] \fIVERB\fR ...", ".SH DESCRIPTION"]
    lines += [roff(" ".join(manual.NAMES.split())), ".PP", roff(" ".join(manual.OPTIONS.split()))]
    lines += [".SH COMMANDS"]
    for verb, parser in parsers().items():
        lines += [".SS", roff(usage(parser)), roff(described(verb, parser))]
        for name, text in arguments(parser):
            lines += [".TP", rf"\fB{roff(name)}\fR", roff(text or "(see above)")]
        for command, purpose in manual.EXAMPLES.get(verb, ()):
            lines += [".PP", roff(sentence(purpose)[:-1] + ":"), ".PP", ".nf", ".RS"]
            lines += [roff(command), ".RE", ".fi"]
    lines += [".SH EXIT STATUS"]
    for code in ExitCode:
        lines += [".TP", rf"\fB{code}\fR", roff(code.meaning)]
    lines += [".SH ENVIRONMENT"]
    for name, text in manual.ENVIRONMENT.items():
        lines += [".TP", rf"\fB{roff(name)}\fR", roff(text)]
    return "\n".join(lines) + "\n"


def roff(text: str) -> str:
    """Text as a man page needs it."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti")
    return re.sub(r"^(['.])", r"\\&\1", text)


# ---- the machine file ----


def machine_file() -> str:
    """docs/machine-file.md."""
    schema = machine_schema()
    introduction = (DOCS / "parts" / "machine-file.md").read_text(encoding="utf-8")
    lines = [NOTICE + MADE, introduction.removeprefix(NOTICE)]
    properties = schema["properties"]
    lines += ["## At the top of the file", *table(properties, lambda p: p.get("type") != "object")]
    for name, section in properties.items():
        if section.get("type") != "object" or name == "slots" or "properties" not in section:
            continue
        lines += ["", f"## `[{name}]`", section["description"], ""]
        if name == "lpc":
            lines += lpc(section["properties"])
            continue
        lines += table(section["properties"])
    slots = properties["slots"]["patternProperties"]
    (slot,) = slots.values()
    lines += ["", "## `[slots.N]`", properties["slots"]["description"], ""]
    for device in slot["anyOf"]:
        if "device" not in device.get("properties", {}):
            continue
        names = device["properties"]["device"]
        kind = names["const"] if "const" in names else names["examples"][0]
        lines += ["", f"### `device = {json.dumps(kind)}`", device["description"], ""]
        lines += table({k: p for k, p in device["properties"].items() if k != "device"})
    lines += ["", "## Backends", "The host's side of a serial port, as the value of `backend`."]
    lines += ['Those without options may be written as a name: `backend = "pty"`.', ""]
    uart = next(d for d in slot["anyOf"] if "backend" in d.get("properties", {}))
    for backend in uart["properties"]["backend"]["anyOf"]:
        if backend.get("type") != "object":
            continue
        kind = backend["properties"]["type"]["const"]
        lines += ["", f"### `type = {json.dumps(kind)}`", backend["description"], ""]
        lines += table({k: p for k, p in backend["properties"].items() if k != "type"})
    lines += ["", "## `[vars]`", properties["vars"]["description"]]
    lines += ["", "## `[x-...]`"]
    lines += ["Tables whose names begin with `x-` are your own; vmmgr does not read them."]
    return tidy([*lines, *lab_file()])


def lab_file() -> Iterator[str]:
    """What lab files have in place of the tables above."""
    yield from ("", "## Lab files")
    yield "A file with `[machines]` is a [lab](labs.md). Its top has `schema`, `name`, `allow`, as"
    yield "in a machine file; then come these tables."
    for section, tables in lab_schema()["properties"].items():
        if isinstance(each := tables.get("additionalProperties"), dict) and "properties" in each:
            yield from ("", f"### `[{section}.NAME]`", each["description"], "")
            yield from table(each["properties"])


def lpc(devices: dict[str, Any]) -> list[str]:
    """The devices behind the LPC bridge. COM ports differ only in their place."""
    lines = ["", "### `[lpc.com1]` to `[lpc.com4]`"]
    ports = {name: device for name, device in devices.items() if name.startswith("com")}
    lines += [f"- `{name}`: {device['description']}" for name, device in ports.items()]
    lines += ["", *table(ports["com1"]["properties"])]
    for name, device in devices.items():
        if name not in ports:
            lines += ["", f"### `[lpc.{name}]`", device["description"], ""]
            lines += table(device["properties"])
    return lines


def diagnostics() -> str:
    """docs/diagnostics.md."""
    lines = [NOTICE + MADE, "# Diagnostics", ""]
    lines += ["What vmmgr says about a machine file has a code, which keeps its meaning for ever."]
    lines += ["`vmmgr explain CODE` prints the page behind a link.", ""]
    lines += ["| code | | meaning |", "|---|---|---|"]
    for code, title in TITLES.items():
        severity = "warning" if is_warning(code) else "error"
        lines.append(f"| [{code}](../manager/config/pages/{code}.md) | {severity} | {title} |")
    lines += ["", 'Turn a warning that is not wanted off with `allow = ["VM101"]` in the file.']
    return tidy(lines)


def table(properties: dict[str, Any], wanted: Any = lambda _: True) -> list[str]:
    """Rows of key, kind, default, meaning."""
    rows = []
    for name, schema in properties.items():
        if not wanted(schema) or name == "replace":
            continue
        default = ""
        if schema.get("default") is not None:
            default = f"`{written(name, schema['default'])}`"
        examples = schema.get("examples", ())[:1]
        example = "".join(f"`{name} = {written(name, value)}`" for value in examples)
        text = schema.get("description", "").replace("|", "\\|")
        rows.append(f"| `{name}` | {kind(schema)} | {default} | {text} {example} |")
    return ["| key | kind | default | meaning |", "|---|---|---|---|", *rows] if rows else []


def kind(schema: dict[str, Any]) -> str:
    """What a value may be, in few words."""
    if "const" in schema:
        return f"`{toml(schema['const'])}`"
    if "enum" in schema:
        values = schema["enum"]
        shown = ", ".join(f"`{value}`" for value in values[:8])
        return shown + (f" and {len(values) - 8} more" if len(values) > 8 else "")
    if "anyOf" in schema:
        kinds = list(dict.fromkeys(kind(choice) for choice in schema["anyOf"]))
        if "a table" in kinds:
            return "a backend"
        return " or ".join(kinds)
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    if isinstance(schema.get("type"), list):
        return " or ".join(kind({"type": one}) for one in schema["type"])
    names = {"object": "a table", "integer": "number", "string": "text", "boolean": "true or false"}
    return names.get(schema.get("type", ""), schema.get("type", "any"))


def written(key: str, value: Any) -> str:
    """The value of a key in the unit that people write it in."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value if key == "epoch" else toml(value)
    match key:
        case "load" | "entry" | "port":
            return f"{value:#x}"
        case "size":
            return f'"{value >> 20}M"'
        case "timeout" | "rewind":
            return f'"{value // 10**9}s"'
        case "quantum" | "latency":
            return f'"{value // 1000}us"'
        case "bandwidth":
            return f'"{format_rate(value)}"'
        case "epoch":
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return toml(value)


def toml(value: Any) -> str:
    """A value as a machine file has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def tidy(lines: list[str]) -> str:
    """One text, with no more than one empty line in a row."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")
