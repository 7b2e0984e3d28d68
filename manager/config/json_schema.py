# SPDX-License-Identifier: BSD-2-Clause
"""The machine-file format as JSON Schema, draft-07, for editors: all in place, every key described.

It describes a file as it is written, so it knows `extends`, `vars`, `replace` and tables of the
user's own, and lets a key that another file may supply be absent.
"""

from __future__ import annotations

from typing import Any

from manager.config.backends import BACKENDS
from manager.config.lab_tables import SECTIONS, LabTable
from manager.config.networks import NETWORKS
from manager.config.schema import MachineTable, table_of
from manager.config.sections import FAIR
from manager.devices import registry
from manager.devices.node import DeviceNode

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
_SLOT = r"^(?:[0-9]|[12][0-9]|3[01])(?:\.[0-7])?$"
_FUNCTION = "^[0-7]$"
_OWN = "^x-"
_BARE_BACKENDS = ("stdio", "null", "pty")
_REPLACE = {
    "type": "boolean",
    "description": "Whether this table takes the place of the one in an extended file as a whole.",
    "examples": [True],
}

_OWN_DEVICE = {
    "type": "object",
    "description": "A device of your own; its class says what may stand here.",
    "properties": {
        "device": {
            "type": "string",
            "description": "A Python file, relative to this one, and the class in it.",
            "pattern": r"\.py:[A-Za-z_]\w*$",
            "examples": ["./my_card.py:MyCardNode"],
        }
    },
    "required": ["device"],
    "additionalProperties": True,
}


def machine_schema() -> Schema:
    """The schema as JSON values."""
    raw = MachineTable.model_json_schema(by_alias=True)
    definitions: Schema = raw.pop("$defs")
    schema: Schema = _tidy(raw, definitions)
    del schema["required"]  # another file may have it
    properties = schema["properties"]
    schema["description"] = "A machine file of vmmgr."
    properties["slots"] = _slots(properties["slots"])
    properties["lpc"] = _lpc(properties["lpc"])
    tables = [properties["boot"], *properties["lpc"]["properties"].values()]
    for table in tables:
        table["properties"]["replace"] = _REPLACE
    return {"$schema": DRAFT, "title": "vmmgr machine file", **_with_the_rest(schema)}


def lab_schema() -> Schema:
    """The schema of lab files as JSON values."""
    raw = LabTable.model_json_schema(by_alias=True)
    definitions: Schema = raw.pop("$defs")
    schema: Schema = _tidy(raw, definitions)
    schema["required"] = ["machines"]
    schema["description"] = "A lab file of vmmgr: machines, and the wires between them."
    for section, kind in SECTIONS.items():
        schema["properties"][section]["additionalProperties"]["description"] = kind.__doc__
    return {"$schema": DRAFT, "title": "vmmgr lab file", **_with_the_rest(schema)}


def _with_the_rest(schema: Schema) -> Schema:
    """The same with what any file may have and no model has."""
    schema["properties"]["extends"] = {
        "description": "Files to build on, relative to this one; what stands here wins.",
        "examples": [["base/pc.toml"]],
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    }
    schema["properties"]["vars"] = {
        "type": "object",
        "description": "Variables: ${name} in a string, or in another variable, stands for one; "
        "`--set name=value` changes it. ${env:NAME} is one of the environment.",
        "examples": [{"port": "4555"}],
        "additionalProperties": {"type": "string"},
    }
    schema["patternProperties"] = {_OWN: {"description": "A table of your own, not looked at."}}
    return schema


def _device(name: str, kind: type[DeviceNode]) -> Schema:
    """The schema of a device's table."""
    raw = table_of(kind).model_json_schema(by_alias=True)
    definitions: Schema = raw.pop("$defs", {})
    tidy: Schema = _tidy(raw, definitions)
    if "device" in tidy["properties"]:
        device = tidy["properties"]["device"]
        tidy["properties"]["device"] = {"const": name, **device}
    if kind.table() is None:
        tidy["description"] = kind.__doc__
    return tidy


def _lpc(lpc: Schema) -> Schema:
    devices = {}
    for name, kind in registry.names("lpc").items():
        described = {"description": kind.NAMES[name]} if name in kind.NAMES else {}
        devices[name] = {**_device(name, kind), **described}
    return {
        "additionalProperties": _OWN_DEVICE,
        "description": lpc["description"],
        "properties": devices,
        "type": "object",
    }


def _slots(slots: Schema) -> Schema:
    functions = [_device(name, kind) for name, kind in registry.names("slots").items()]
    functions.append(_OWN_DEVICE)
    nested = {_FUNCTION: {"description": "A function of this slot.", "oneOf": functions}}
    devices = []
    for function in functions:
        properties = {**function["properties"], "replace": _REPLACE}
        devices.append({**function, "properties": properties, "patternProperties": nested})
    only_functions = {
        "type": "object",
        "description": "The functions of a slot, without function 0.",
        "patternProperties": nested,
        "additionalProperties": False,
        "minProperties": 1,
    }
    slot = {"description": "A slot of PCI bus 0.", "anyOf": [*devices, only_functions]}
    return {
        "type": "object",
        "description": slots["description"],
        "examples": slots["examples"],
        "patternProperties": {_SLOT: slot},
        "additionalProperties": False,
    }


def _definition(name: str, definitions: Schema) -> Schema:
    tidy: Schema = _tidy(definitions[name], definitions)
    return tidy


def _tidy(value: Any, definitions: Schema) -> Any:
    """Inline the definitions; drop what TOML does not have, and what editors do not handle."""
    if isinstance(value, list):
        return [_tidy(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        around = {key: item for key, item in value.items() if key != "$ref"}
        target = definitions[value["$ref"].rpartition("/")[2]]
        return _tidy({**target, **around}, definitions)
    result: Schema = {}
    for key, item in value.items():
        if key == "properties":
            result[key] = {name: _property(name, part, definitions) for name, part in item.items()}
        elif key in ("examples", "default"):
            result[key] = item
        elif key not in ("title", "discriminator"):
            result[key] = _tidy(item, definitions)
    return result


def _property(name: str, value: Schema, definitions: Schema) -> Schema:
    tidy: Schema = _tidy(value, definitions)
    if tidy.get("default", 0) is None:
        del tidy["default"]
    choices = [choice for choice in tidy.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del tidy["anyOf"]
        tidy = {**choices[0], **tidy}
    if name == "backend":
        del tidy["oneOf"]
        options = [_definition(kind.__name__, definitions) for kind in BACKENDS.values()]
        tidy["anyOf"] = [{"type": "string", "enum": list(_BARE_BACKENDS)}, *options]
    if name == "network":
        del tidy["oneOf"]
        options = [_definition(kind.__name__, definitions) for kind in NETWORKS.values()]
        tidy["anyOf"] = [{"type": "string"}, *options]
    if name == "schedule":
        around = {key: tidy.pop(key) for key in ("description", "examples")}
        del tidy["default"]
        tidy = {**around, "default": FAIR, "anyOf": [{"const": FAIR}, tidy]}
    return tidy
