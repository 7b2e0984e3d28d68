# SPDX-License-Identifier: BSD-2-Clause
"""From a lab file to a lab: its machines' graphs, who is on which link, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from manager.config.diagnostics import Diagnostic, errors, in_order
from manager.config.files import show_path
from manager.config.lab_tables import LabTable
from manager.config.labs import LoadedLab, inspect_lab
from manager.config.load import LoadedModel
from manager.graph import lab_rules
from manager.graph.build import Checked, accepted, check
from manager.graph.lab import CableSpec, End, Lab, LinkSpec
from manager.graph.lab_plain import cards_on
from manager.graph.nodes import Graph


@dataclass(frozen=True)
class CheckedLab:
    """A lab file after every check. There is no lab when there are errors."""

    lab: Lab | None
    loaded: LoadedLab | None
    machines: Mapping[str, LoadedModel]
    """What was read of each machine whose file is right."""
    diagnostics: tuple[Diagnostic, ...]
    """Errors and warnings, of the machines' files too, by place."""

    @property
    def usable(self) -> bool:
        """Whether there is no error."""
        return self.lab is not None


def check_lab(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    require_files: bool = True,
    judge: Callable[[Checked], Checked] = lambda checked: checked,
) -> CheckedLab:
    """Read, build and check a lab file and all it names; errors are returned, not raised.

    `judge` may find more that is wrong with a machine.
    """
    reading = inspect_lab(path, overrides)
    loaded = reading.loaded
    if loaded is None:
        return CheckedLab(None, None, {}, in_order(reading.diagnostics))
    found = list(reading.diagnostics)
    machines: dict[str, tuple[LoadedModel, Graph]] = {}
    for name, table in sorted(loaded.model.machines.items()):
        file = Path(show_path(Path(table.file)))
        checked = judge(check(file, loaded.settings[name], require_files=require_files))
        found += [_blamed(item, file, loaded, name) for item in checked.diagnostics]
        if checked.graph is not None and checked.loaded is not None:
            graph = replace(checked.graph, name=f"{loaded.model.name}/{name}")
            machines[name] = checked.loaded, graph
    models = {name: model for name, (model, _) in machines.items()}
    found += lab_rules.check(loaded, machines)
    wrong = errors(found)
    if wrong:
        return CheckedLab(None, loaded, models, in_order(wrong))
    found += (
        item for item in lab_rules.lint(loaded, machines) if item.code not in loaded.model.allow
    )
    graphs = {name: graph for name, (_, graph) in machines.items()}
    lab = assemble(loaded.model, loaded.source, graphs)
    return CheckedLab(lab, loaded, models, in_order(found))


def _blamed(item: Diagnostic, file: Path, loaded: LoadedLab, name: str) -> Diagnostic:
    """What is wrong with a machine; of a file that cannot be read the lab file is to blame."""
    if item.code != "VM001" or item.primary.file != str(file):
        return item
    span = loaded.origins.value_span(("machines", name, "file"))
    help = "the file of a machine is relative to the file that names it"
    return Diagnostic("VM034", item.message, span, help=help)


def load_lab(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    on_warning: Callable[[Diagnostic], None] | None = None,
    require_files: bool = False,
) -> Lab:
    """The lab of a file. Raises ConfigError, with every error found."""
    checked = check_lab(path, overrides, require_files=require_files)
    return accepted(checked.lab, checked.diagnostics, on_warning)


def assemble(model: LabTable, source: Path, machines: Mapping[str, Graph]) -> Lab:
    """The lab of a model without errors; `machines` are by name."""
    links = {
        name: LinkSpec(
            name,
            cards_on(machines, name),
            table.latency,
            table.bandwidth,
            table.loss,
            table.seed,
            Path(table.capture) if table.capture is not None else None,
        )
        for name, table in sorted(model.links.items())
    }
    cables = {}
    for name, cable in sorted(model.cables.items()):
        one, two = (_end(machines, text) for text in cable.ends)
        cables[name] = CableSpec(name, (one, two), cable.latency, cable.baud)
    return Lab(model.name, source, machines, links, cables)


def _end(machines: Mapping[str, Graph], text: str) -> End:
    name, _, port = text.partition(".")
    node = lab_rules.serial_port(machines[name], port)
    assert node is not None
    return End(name, node.id)
