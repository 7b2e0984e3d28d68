# SPDX-License-Identifier: BSD-2-Clause
"""`[vars]`, `${name}` and `${env:NAME}`: in strings, and in the values of variables.

What they put in has a budget for a whole machine file, so that variables which double each other
cost no more than others.
"""

from __future__ import annotations

import os
import re
from typing import Any

from manager.config.diagnostics import Diagnostic, Span
from manager.config.layers import Layers
from manager.config.scan import KeyPath
from manager.config.suggest import did_you_mean

BUDGET = 1 << 20
"""Characters that variables may put into one machine file."""
DEEPEST = 50
"""Variables that may stand in each other, one in the next."""

_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z0-9_-]+)\}|\$\{env:(?P<env>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{"
)


def expand(layers: Layers) -> None:
    """Take `[vars]` off the tree and put the values in, in strings only."""
    table = layers.tree.pop("vars", {})
    if not isinstance(table, dict):
        span = layers.origins.value_span(("vars",))
        layers.problems.append(Diagnostic("VM011", "`vars` is a table", span))
        table = {}
    expansion = _Expansion(layers, {name: _text(layers, name, table[name]) for name in table})
    for key, value in layers.tree.items():
        if not key.startswith("x-"):
            layers.tree[key] = expansion.of_value((key,), value)
    for name in table:
        expansion.of_variable(name)
    for name in table.keys() - expansion.used:
        place = layers.origins.key_span(("vars", name))
        help = f"write `${{{name}}}` in a string, or remove it"
        layers.problems.append(
            Diagnostic("VM109", f"nothing uses the variable `{name}`", place, help=help)
        )


def _text(layers: Layers, name: str, value: Any) -> str:
    """A variable's value as it is written; what is no string is told of."""
    if isinstance(value, str):
        return value
    text = str(value)
    help = f'write {name} = "{text}"' if isinstance(value, int | float) else None
    span = layers.origins.value_span(("vars", name))
    layers.problems.append(Diagnostic("VM011", "a variable is a string", span, help=help))
    return text


class _Expansion:
    """Puts values in, each variable's own worked out once."""

    def __init__(self, layers: Layers, values: dict[str, str]) -> None:
        self._layers = layers
        self._values = values
        self._done: dict[str, str] = {}
        self._chain: list[str] = []
        """The variables that are being worked out, one for the sake of the next."""
        self._left = BUDGET
        self._broken: set[str] = set()
        """Variables in whose own values something is wrong."""
        self.used: set[str] = set()
        """Variables that stand somewhere."""

    def of_value(self, path: KeyPath, value: Any) -> Any:
        """A value of the tree with all that is in it."""
        if isinstance(value, dict):
            return {key: self.of_value((*path, key), item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of_value((*path, index), item) for index, item in enumerate(value)]
        return self._of_text(path, value) if isinstance(value, str) else value

    def of_variable(self, name: str) -> str:
        """What a variable stands for in the end."""
        if name not in self._done:
            before = len(self._layers.problems)
            self._chain.append(name)
            self._done[name] = self._of_text(("vars", name), self._values[name])
            self._chain.pop()
            if len(self._layers.problems) > before:
                self._broken.add(name)
        return self._done[name]

    def _of_text(self, path: KeyPath, text: str) -> str:
        if "${" not in text:
            return text
        return _REFERENCE.sub(lambda match: self._of_reference(path, match), text)

    def _of_reference(self, path: KeyPath, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        found: str | Diagnostic
        if match["name"] is not None:
            found = self._variable(path, match["name"])
        elif match["env"] is not None:
            found = self._environment(path, match["env"])
        else:
            help = (
                "a name is letters, digits, - and _, or env: and the name of an environment "
                "variable; write `$${` for the characters themselves"
            )
            message = "`${` without a variable's name and `}`"
            found = Diagnostic("VM007", message, self._span(path), help=help)
        if isinstance(found, Diagnostic):
            self._layers.problems.append(found)
            return match[0]
        if match["name"] in self._broken:
            self._layers.excused.add(self._span(path))
        return found if self._afford(path, found) else ""

    def _variable(self, path: KeyPath, name: str) -> str | Diagnostic:
        self.used.add(name)
        if name not in self._values:
            near = did_you_mean(name, self._values)
            help = near or f"set it in `[vars]` or with `--set {name}=VALUE`"
            message = f"the variable `{name}` is not set"
            return Diagnostic("VM006", message, self._span(path), help=help)
        if name in self._chain:
            circle = " -> ".join((*self._chain[self._chain.index(name) :], name))
            message = f"variables stand for each other: {circle}"
            return Diagnostic("VM009", message, self._span(path), help="one of them must be text")
        if len(self._chain) >= DEEPEST:
            message = f"more than {DEEPEST} variables stand in each other"
            return Diagnostic("VM009", message, self._span(path))
        return self.of_variable(name)

    def _environment(self, path: KeyPath, name: str) -> str | Diagnostic:
        value = self._layers.environment[name] = os.environ.get(name)
        if value is None:
            message = f"the environment variable `{name}` is not set"
            help = f"set it, as in `{name}=VALUE vmmgr ...`"
            return Diagnostic("VM006", message, self._span(path), help=help)
        try:
            value.encode()
        except UnicodeEncodeError:
            message = f"the environment variable `{name}` is not UTF-8 text"
            return Diagnostic("VM006", message, self._span(path))
        return value

    def _afford(self, path: KeyPath, text: str) -> bool:
        before, self._left = self._left, self._left - len(text)
        if self._left < 0 <= before:
            message = f"variables put more than {BUDGET >> 20} MiB of text into this file"
            self._layers.problems.append(Diagnostic("VM009", message, self._span(path)))
        return self._left >= 0

    def _span(self, path: KeyPath) -> Span:
        return self._layers.origins.value_span(path)
