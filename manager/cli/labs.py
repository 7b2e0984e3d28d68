# SPDX-License-Identifier: BSD-2-Clause
"""What the verbs do with a lab, where it is not what they do with a machine."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.audience import Background, Foreground, error_of, tell
from manager.cli.clients import ask
from manager.cli.lab_files import load
from manager.cli.loudness import detail
from manager.cli.origins import origin, require_name, unmade
from manager.cli.output import print_json
from manager.client.left import farewell
from manager.client.reports import follow
from manager.errors import HostError, UsageError, WrongStateError
from manager.state.paths import MachinePaths
from manager.state.situation import Situation, look
from manager.text.columns import columns
from manager.text.shown import shown
from manager.vmm.launch import LabLaunch

if TYPE_CHECKING:
    import argparse

    from manager.cli.targets import Target
    from manager.graph.lab import Lab

_ALONE = ("wait_for", "fail_on", "timeout", "watch", "raw")
"""Options of `up` that are about the one console of a machine."""


def up(args: argparse.Namespace, target: Target, *, alone: bool) -> int:
    """Boot a lab, or resume it when it is suspended; returns the exit code."""
    from manager.cli.launching import foretell

    if not alone:
        raise UsageError(f"{target.file} is a lab", help="start each lab by a command of its own")
    _check(args)
    lab = load(target.file, target.settings)
    situation = look(MachinePaths.of(lab.name))
    if situation.holds_something:
        situation.require_of(lab.source)
    resume = situation.saved is not None and not args.fresh
    if situation.state == "running":
        if args.fresh:
            raise WrongStateError(
                f"{lab.name} is already running", help=f"end it with `vmmgr down {lab.name}`"
            )
        from manager.cli.joining import say_what_changed
        from manager.cli.lab_graphs import changed_since

        print(f"{lab.name} is already running", file=sys.stderr)
        say_what_changed(
            lab.source,
            situation,
            partial(changed_since, lab),
            f"`vmmgr down {lab.name}` and `vmmgr up` boot it",
        )
        return 0
    if args.dry_run:
        what = f"would {'resume' if resume else 'boot'} the lab {lab.name}"
        print(f"{what}: {', '.join(lab.members)}")
        return 0
    foretell(args, situation, resume=resume, fresh=args.fresh)
    launch = LabLaunch(
        lab,
        settings=target.settings,
        resume=resume,
        fresh=args.fresh,
        detached=args.detach,
        on_term=args.on_term,
        waits=args.detach and not resume and any(one.ready for one in lab.members.values()),
    )
    return start(launch, "resumed" if resume else "is up", as_json=args.json)


def resume(args: argparse.Namespace, situation: Situation) -> int:
    """Go on with a suspended lab; returns the exit code."""
    from manager.state.lab import verify_lab

    situation.require_saved()
    record, file = situation.last_run, origin(situation, args.name)
    if args.verify:
        verify_lab(situation.paths)
    settings: list[str] = [*record.given] if record is not None else []
    if file is not None and file.exists():
        lab = load(file, settings)
    else:
        settings = [f"name={situation.name}"]
        lab = _as_saved(situation, file)
    require_name(situation, file, lab.name)
    launch = LabLaunch(
        lab,
        settings=settings,
        resume=True,
        detached=args.detach,
        paused=args.paused,
        on_term=args.on_term,
    )
    return start(launch, "resumed", as_json=False)


def _as_saved(situation: Situation, file: Path | None) -> Lab:
    """A lab whose file is not here: it came from another host, or is gone."""
    from manager.graph.lab_plain import from_plain
    from manager.graph.plain import GraphFormatError
    from manager.state.lab import open_lab

    try:
        lab = from_plain(open_lab(situation.paths).record.config, situation.name)
    except GraphFormatError as error:
        why = f"its saved configuration cannot be read: {error}"
        raise unmade(situation, file, why) from None
    links = dict(lab.links)
    for name, link in links.items():
        if link.capture is not None and not link.capture.parent.is_dir():
            tell(f"{lab.name}: link {name} is not captured: there is no {link.capture.parent}")
            links[name] = replace(link, capture=None)
    return replace(lab, links=links)


def start(launch: LabLaunch, verb: str, *, as_json: bool) -> int:
    """Bring a lab up, and be with it as asked; returns the exit code."""
    from manager.state.paths import private_directory
    from manager.vmm.background import detach
    from manager.vmm.lab.bring_up import own_lab

    name = launch.lab.name
    if not launch.detached:
        first = next(iter(launch.lab.members))
        tell(f"vmmgr: `vmmgr console {name}/{first}` is a console; Ctrl-C twice ends the lab")
        outcome = own_lab(launch, Foreground(name))
        text = outcome.closing(farewell(name, outcome.kind, outcome.detail))
        tell(f"vmmgr: {text}", is_error=bool(outcome.status))
        return outcome.status
    paths = MachinePaths.of(name)
    private_directory(paths.directory.parent)
    paths.make()
    detail(f"starting {name} in a process of its own; its messages go to {paths.owner_log}")
    reports = detach(
        lambda reporter: own_lab(launch, Background(reporter, waited_for=launch.waits)),
        paths.owner_log,
    )
    status, is_up, settled = 0, False, False
    for event in follow(reports):
        if "error" in event:
            raise error_of(event)
        is_up = is_up or "up" in event
        if (ready := event.get("ready")) is not None:
            settled = True
            tell(f"{name} {verb} and is ready: {ready['detail']}")
        elif (unready := event.get("unready")) is not None:
            settled = True
            status = int(unready["status"])
            tell(f"{name}: {unready['detail']}", is_error=True)
        if as_json:
            for kind, content in event.items():
                print_json({"event": kind, "name": name, **content})
    if not is_up or (launch.waits and not settled):
        raise HostError(f"{name}: its process died while starting", help=f"see {paths.owner_log}")
    if not settled:
        tell(f"{name} {verb}")
    return status


def _check(args: argparse.Namespace) -> None:
    for option in _ALONE:
        if getattr(args, option, None):
            name = option.replace("_", "-")
            raise UsageError(
                f"--{name} is for a machine, and a lab has several",
                help="`[ready]` in each machine's file says when it is ready",
            )
    if args.json and not args.detach:
        raise UsageError("--json needs -d")


def show(situation: Situation, *, as_json: bool) -> int:
    """Print all that is known of a lab."""
    status = _describe(situation)
    if as_json:
        print_json(status)
    else:
        print("\n".join(map(shown, columns(_rows(status)))))
    return 0


def _describe(situation: Situation) -> dict[str, Any]:
    """What is known; what does not apply is None."""
    record = situation.last_run
    live = (ask(situation) if situation.state == "running" else None) or {}
    saved = situation.saved
    return {
        "name": situation.name,
        "state": situation.state,
        "note": situation.note,
        "activity": live.get("state"),
        "pid": live.get("pid"),
        "virtual_time_ns": live.get("virtual-time"),
        "quantum_ns": live.get("quantum"),
        "uptime_s": live.get("uptime"),
        "clock": live.get("clock"),
        "ready": live.get("ready"),
        "file": record.file if record is not None else None,
        "machines": [
            {"name": one.name, "state": one.state, "note": one.note}
            for one in map(look, situation.paths.members())
        ],
        "links": live.get("links", []),
        "cables": live.get("cables", []),
        "sandbox": live.get("sandbox", []),
        "identity": record.identity if record is not None else None,
        "snapshot": str(saved.path) if saved is not None else None,
        "snapshot_at": saved.at if saved is not None else None,
    }


def _rows(status: dict[str, Any]) -> list[tuple[str, str]]:
    state = status["activity"] or status["state"]
    time, quantum = status["virtual_time_ns"], status["quantum_ns"]
    rows = [
        ("name", status["name"]),
        ("state", f"{state}; {status['note']}" if status["note"] else state),
        ("ready", {True: "yes", False: "no", None: None}[status["ready"]]),
        ("pid", status["pid"]),
        ("virtual time", None if time is None else f"{time / 1e9:.6f} s"),
        ("quantum", None if quantum is None else f"{quantum / 1e3:g} us"),
        ("clock", status["clock"]),
        ("file", status["file"]),
        *((one["name"], _told(one)) for one in status["machines"]),
        *((f"link {link['name']}", _link(link)) for link in status["links"]),
        *((f"cable {cable['name']}", _cable(cable)) for cable in status["cables"]),
        ("identity", status["identity"]),
        ("snapshot", status["snapshot"]),
    ]
    return [(key, str(value)) for key, value in rows if value is not None]


def _told(machine: dict[str, Any]) -> str:
    return f"{machine['state']}; {machine['note']}" if machine["note"] else machine["state"]


def _link(link: dict[str, Any]) -> str:
    """What went through a link."""
    totals = {
        what: sum(card[what] for card in link["cards"])
        for what in ("sent", "received", "lost", "dropped")
    }
    parts = [f"{totals['sent']} frames sent, {totals['received']} received"]
    parts += [f"{totals[what]} {what}" for what in ("lost", "dropped") if totals[what]]
    parts += [f"{link['in-flight']} in flight"] * bool(link["in-flight"])
    parts += [f"not captured: {link['capture-fault']}"] * bool(link["capture-fault"])
    return ", ".join(parts)


def _cable(cable: dict[str, Any]) -> str:
    """What went through a cable, each way."""
    return ", ".join(
        f"{end['port']} {end['sent']} bytes sent, {end['received']} received"
        + (f", {end['dropped']} dropped" if end["dropped"] else "")
        for end in cable["ends"]
    )
