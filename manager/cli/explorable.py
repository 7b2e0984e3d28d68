# SPDX-License-Identifier: BSD-2-Clause
"""What `explore` tries seeds with: a machine, or a lab of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.script import check_screen, steps_of
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.boot.symbols import Symbols
    from manager.graph.nodes import Graph
    from manager.machine.trial import Trial

SymbolsOf = Callable[[str], "Symbols | None"]
"""The symbols of a machine, by its name in a lab; the name of a machine that is alone is empty."""


class OfMachine:
    """A machine whose schedule has a seed, whatever its file says. Raises VmmgrError."""

    def __init__(self, args: argparse.Namespace) -> None:
        from manager.cli.arguments import load
        from manager.cli.explored import symbols_of

        settings = [*args.settings, *self.settings(args.seeds[0].start)]
        graph = load(args.file, settings, require_files=True)
        assert graph.cpu_seed is not None
        self.any_seed = replace(graph, cpu_seed=replace(graph.cpu_seed, seed=0))
        self.machines = [graph]
        self.trial = _trial(args, graph)
        self.parts: dict[str, str] = {}
        self.start, self.begin = _start(args, graph)
        symbols = symbols_of(args.symbols, graph)
        self.symbols: SymbolsOf = lambda machine: symbols

    @staticmethod
    def settings(seed: int) -> list[str]:
        """What `--set` is told for one seed."""
        return [f"cpu.schedule.seed={seed}"]


class OfLab:
    """A lab, with a seed for each link that loses frames and each seeded schedule.

    Raises VmmgrError.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        from manager.cli import lab_ends
        from manager.cli.arguments import load_lab
        from manager.cli.explored import symbols_of
        from manager.lab import seeds

        self._lab = lab = load_lab(args.file, args.settings, require_files=True)
        if not seeds.seeds(lab, 0):
            raise UsageError(
                f"{args.file}: no seed decides anything in this lab",
                help="give a link a `loss`, or a machine `[cpu] schedule = { seed = 1 }`",
            )
        if args.seeds[-1].stop - 1 > seeds.LAST:
            raise UsageError("--seeds: those of a lab are 0 to 2^63 - 1")
        self.any_seed = seeds.reseeded(lab, 0)
        self.machines = list(lab.members.values())
        self.trial = lab_ends.trial_of(lab, args)
        self.start: Path | None = None
        self.begin = b""
        self.parts: dict[str, str] = {}
        if args.start is not None:
            from manager.lab.run import LabRun
            from manager.lab.saved import RECORD

            snapshot, store = lab_ends.start_of(args.start)
            LabRun.restore(lab, snapshot, reschedule=True).free()  # what does not fit is told now
            self.start = snapshot.directory.absolute()
            self.begin = (snapshot.directory / RECORD).read_bytes()
            self.parts = {name: str(store.member(name).absolute()) for name in snapshot.machines}
        first = self.machines[0]
        symbols_of(args.symbols, first)  # a wrong file is told before anything runs
        self.symbols: SymbolsOf = lambda machine: symbols_of(
            args.symbols, lab.members.get(machine, first)
        )

    def settings(self, seed: int) -> list[str]:
        """What `--set` is told for one seed."""
        from manager.lab import seeds

        return [f"{key}={value}" for key, value in seeds.seeds(self._lab, seed).items()]


def _trial(args: argparse.Namespace, graph: Graph) -> Trial:
    from manager.cli.proofs import port_of
    from manager.machine.expectation import Press, UntilScreen
    from manager.machine.trial import Trial

    steps = steps_of(args)
    check_screen(steps, graph)
    on_port = any(not isinstance(step, Press | UntilScreen) for step in steps)
    needs_port = on_port or args.fail_on is not None or args.port is not None
    port = port_of(graph, args.port) if needs_port else ""
    return Trial(steps, args.fail_on, args.max_time, port)


def _start(args: argparse.Namespace, graph: Graph) -> tuple[Path | None, bytes]:
    """The snapshot's directory and id, if one is named and fits. Raises VmmgrError."""
    if args.start is None:
        return None, b""
    from manager.cli.snapshot.refs import find_snapshot
    from manager.machine.match import check
    from manager.snapshot.read import open_snapshot

    opened = open_snapshot(find_snapshot(args.start))
    check(graph, opened, any_schedule=True)
    return opened.directory.absolute(), opened.id


Explorable = OfMachine | OfLab


def journal_path(explored: Explorable) -> Path:
    """Where the results of this exploration are kept: the same for any seeds."""
    from blake3 import blake3

    from manager.graph.identity import full_hash, lab_wires
    from manager.graph.lab import Lab
    from manager.machine.boot_images import BootImages
    from manager.state.paths import state_home
    from manager.version import of_code

    start, subject = explored.start, explored.any_seed
    images = [
        sorted(BootImages.of(graph).digests().items()) if start is None else []
        for graph in explored.machines
    ]
    hashes: object = (
        ([full_hash(graph) for graph in subject.members.values()], lab_wires(subject))
        if isinstance(subject, Lab)
        else full_hash(subject)
    )
    what = repr((hashes, images, explored.trial.to_plain(), explored.begin, of_code()))
    return state_home() / ".explore" / f"{blake3(what.encode()).hexdigest(16)}.jsonl"
