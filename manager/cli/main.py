# SPDX-License-Identifier: BSD-2-Clause
"""The command line: finds the verb, imports its module alone, and turns errors into exit codes."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence

from manager.cli import loudness
from manager.cli.colour import has_colour
from manager.cli.other_words import in_own_words, no_such_verb
from manager.errors import ExitCode, VmmgrError
from manager.text.shown import Shown
from manager.version import __version__

VERBS: dict[str, tuple[str, str]] = {
    "up": ("up", "boot machines, or resume those that are suspended"),
    "run": ("run", "run a machine that keeps no state, for tests and CI"),
    "suspend": ("suspend", "save running machines and end their processes"),
    "resume": ("resume", "go on with a suspended machine"),
    "down": ("down", "power running machines off"),
    "restart": ("restart", "power machines off and boot them again"),
    "discard": ("discard", "drop the suspended state of a machine"),
    "rm": ("rm", "remove machines with all their states"),
    "prune": ("prune", "remove what is not needed: machines with nothing but logs, chunks"),
    "wait": ("wait", "wait until a machine is in a state"),
    "ls": ("ls", "list the machines"),
    "status": ("status", "show what a machine is doing"),
    "logs": ("logs", "print what a serial port sent"),
    "send": ("send", "send text to a serial port"),
    "screen": ("screen", "print what a screen in a text mode shows"),
    "screenshot": ("screenshot", "make a picture of a screen"),
    "keys": ("keys", "press keys of a keyboard"),
    "events": ("events", "tell what happens to a running machine"),
    "ctl": ("ctl", "send one command of the control protocol"),
    "doctor": ("doctor", "check what vmmgr needs of this host"),
    "completion": ("completion", "print the completion script of a shell"),
    "console": ("console", "be at a serial port of a running machine"),
    "replay": (
        "replay",
        "run a recorded machine again, and see if it is the same",
    ),
    "rewind": ("rewind", "bring a running machine to an earlier time"),
    "step-back": (
        "step_back",
        "bring a running machine to before its last input",
    ),
    "verify": ("verify", "prove that suspending anywhere leaves a run as it is"),
    "bisect": ("bisect", "find the virtual time at which something first holds"),
    "explore": ("explore", "run a machine under many seeds, and find the smallest that fails"),
    "cache": ("cache", "list or drop the machines that `up` keeps ready"),
    "validate": ("validate", "check machine files"),
    "config": ("config", "print a machine file with everything resolved"),
    "plan": ("plan", "print who gets which slot, port and interrupt"),
    "graph": ("graph", "draw who sits on which bus"),
    "diff": ("diff", "compare machine files, machines and snapshots"),
    "schema": ("schema", "print the JSON Schema of machine files, for editors"),
    "explain": ("explain", "tell what a diagnostic means"),
    "new": ("new", "write a machine file to start from"),
    "import": ("import_", "turn a bhyve command line into a machine file"),
    "export": ("export", "turn a machine file into a bhyve or QEMU command line"),
    "cp": ("cp", "copy files from and to a share of a machine"),
    "disk": ("disk", "show what disks hold, and make images of them"),
    "push": ("push", "send a snapshot to a store that others read"),
    "pull": ("pull", "fetch a snapshot from a store"),
    "snapshot": ("snapshot", "save, list, inspect, compare and move snapshots"),
}
"""Verb -> (module of `verbs`, summary). It has `register(subparsers)` and `run(args) -> int`."""


UNCOLLECTED = 50_000
"""Objects that a process may make before Python looks for cycles: importing makes that many."""


def entry() -> None:
    """The `vmmgr` command."""
    gc.set_threshold(UNCOLLECTED)
    _prepare_standard_streams()
    status = main(sys.argv[1:])
    gc.freeze()  # the process ends sooner without a last collection
    sys.exit(status)


def main(argv: Sequence[str]) -> int:
    """Carry out one command line; returns the exit code and prints errors to standard error.

    Control characters in what is printed are shown, whatever its source; the terminal does not
    obey them.
    """
    streams = sys.stdout, sys.stderr
    shown = [Shown(stream, colours=has_colour(stream)) for stream in streams]
    sys.stdout, sys.stderr = shown
    try:
        return _carried_out(argv)
    finally:
        sys.stdout, sys.stderr = streams


def _carried_out(argv: Sequence[str]) -> int:
    try:
        status = _dispatch(argv)
        sys.stdout.flush()
    except VmmgrError as error:
        print(error.report(colour=has_colour(sys.stderr)), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _drop_output()  # the reader has closed its end
        return ExitCode.FAILURE
    except MemoryError:
        print("error: the host has no memory left for this", file=sys.stderr)
        return ExitCode.FAILURE
    except OSError as error:
        if os.environ.get("VMMGR_DEBUG"):
            raise
        _drop_output()
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return ExitCode.FAILURE
    except Exception as error:
        if os.environ.get("VMMGR_DEBUG"):
            raise
        print(
            f"internal error: {type(error).__name__}: {error}; please report it with the output "
            "of the same command under VMMGR_DEBUG=1",
            file=sys.stderr,
        )
        return ExitCode.FAILURE
    return status


def _dispatch(argv: Sequence[str]) -> int:
    argv = in_own_words(argv)
    verb = next((word for word in argv if not word.startswith("-")), None)
    if verb is not None and verb not in VERBS:
        raise no_such_verb(verb, argv[argv.index(verb) + 1 :], tuple(VERBS))
    parser = argparse.ArgumentParser(
        prog="vmmgr",
        usage="vmmgr [-h] [--version] [-q | -v] VERB ...",
        description="Runs virtual machines that TOML files declare.",
    )
    parser.add_argument("--version", action="version", version=f"vmmgr {__version__}")
    loudness.add_options(parser, shown=True)
    subparsers = parser.add_subparsers(
        dest="command", metavar="VERB", prog="vmmgr", required=True, help=argparse.SUPPRESS
    )
    if verb in VERBS:
        module = importlib.import_module(f"manager.cli.verbs.{VERBS[verb][0]}")
        module.register(subparsers)
        _let_be_quiet(subparsers.choices[verb])
    else:
        for name in VERBS:
            subparsers.add_parser(name)
    if verb not in VERBS or not {"-h", "--help"}.isdisjoint(argv):
        _add_manual(parser, None if verb not in VERBS else subparsers.choices[verb])
    try:
        args, unknown = parser.parse_known_args(argv)
        if unknown:
            asked = subparsers.choices[args.command]
            asked.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else ExitCode.USAGE
    run = getattr(args, "run", None) or module.run
    with loudness.of(args):
        status: int = run(args)
    return status


def _let_be_quiet(parser: argparse.ArgumentParser) -> None:
    """Let `-q` and `-v` stand after the verb too, and after the verb of a verb."""
    loudness.add_options(parser, shown=False)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _let_be_quiet(child)


def _add_manual(parser: argparse.ArgumentParser, of_verb: argparse.ArgumentParser | None) -> None:
    """Let `--help` say more than the parser knows."""
    from manager.cli import manual

    if of_verb is not None:
        verb = of_verb.prog.rpartition(" ")[2]
        of_verb.description = of_verb.description or manual.sentence(VERBS[verb][1])
        of_verb.epilog = manual.examples(verb)
        of_verb.formatter_class = manual.Formatter
    parser.epilog = manual.overview({name: summary for name, (_, summary) in VERBS.items()})
    parser.formatter_class = manual.Formatter


def _prepare_standard_streams() -> None:
    """Put /dev/null where a descriptor was closed, so that no file of ours gets its number.

    What the terminal's encoding does not have, or a file name that is no text, is printed as an
    escape.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Keep the interpreter from failing at its end to write what is left."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
