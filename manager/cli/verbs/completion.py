# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr completion`: the completion script of a shell, and what it asks for at each TAB.

The scripts know nothing themselves: they hand the words typed so far to `vmmgr completion words`,
which reads the verbs' own parsers. So options, machines and ports are always those there are.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Sequence

FILES = ":files"
"""The line that tells the shell to complete files too."""

_BASH = """\
_vmmgr() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        if [ "$line" = ":files" ]; then
            compopt -o filenames
            COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        else
            COMPREPLY+=("$line")
        fi
    done < <(vmmgr completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _vmmgr vmmgr
"""

_ZSH = """\
#compdef vmmgr
_vmmgr() {
    local line
    for line in ${(f)"$(vmmgr completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
        if [[ $line == ":files" ]]; then _files; else compadd -- $line; fi
    done
}
compdef _vmmgr vmmgr
"""

_FISH = """\
function __vmmgr
    set -l words (commandline -opc)[2..-1] (commandline -ct)
    for line in (vmmgr completion words -- $words 2>/dev/null)
        if test $line = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c vmmgr -f -a '(__vmmgr)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "completion",
        description="Prints the completion script of a shell. For bash: "
        'eval "$(vmmgr completion bash)"; for zsh the same; for fish: vmmgr completion fish | '
        "source.",
    )
    parser.add_argument("shell", metavar="SHELL", choices=(*SCRIPTS, "words"), help="bash|zsh|fish")
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script, or what completes the words."""
    if args.shell in SCRIPTS:
        print(SCRIPTS[args.shell], end="")
    else:
        print("\n".join(complete(args.words)))
    return 0


def complete(words: Sequence[str]) -> list[str]:
    """What the last of `words` (those after `vmmgr`) may become; `:files` stands for files."""
    from manager.cli.main import VERBS

    *before, prefix = words or [""]
    if not before:
        candidates = [*VERBS, "--help", "--version", "--quiet", "--verbose"]
    elif before[0] not in VERBS:
        candidates = []
    else:
        root = argparse.ArgumentParser()
        subparsers = root.add_subparsers()
        importlib.import_module(f"manager.cli.verbs.{VERBS[before[0]][0]}").register(subparsers)
        candidates = list(_of_parser(subparsers.choices[before[0]], before[1:], prefix))
    return [word for word in candidates if word.startswith(prefix) or word == FILES]


def _of_parser(
    parser: argparse.ArgumentParser, before: Sequence[str], prefix: str
) -> Iterator[str]:
    """What may come after the words `before` of a verb."""
    options = {name: action for action in parser._actions for name in action.option_strings}
    positionals = [action for action in parser._actions if not action.option_strings]
    given: list[str] = []
    pending: argparse.Action | None = None
    for word in before:
        if pending is not None:
            pending = None
        elif word in options:
            pending = options[word] if options[word].nargs != 0 else None
        elif not word.startswith("-"):
            given.append(word)
            first = positionals[0] if positionals else None
            if isinstance(first, argparse._SubParsersAction) and word in first.choices:
                rest = before[before.index(word) + 1 :]
                yield from _of_parser(first.choices[word], rest, prefix)
                return
    if pending is not None:
        yield from _of_action(pending, given)
        return
    if prefix.startswith("-"):
        yield from options
        return
    if positionals:
        place = min(len(given), len(positionals) - 1)
        if place == len(given) or positionals[place].nargs in ("*", "+"):
            yield from _of_action(positionals[place], given)


def _of_action(action: argparse.Action, given: Sequence[str]) -> Iterator[str]:
    what = str(action.metavar or action.dest).upper()
    if action.choices is not None:
        yield from (str(choice) for choice in action.choices if choice != "words")
    elif what in ("P", "PORT"):
        yield from _ports(given)
    elif what.startswith("NAME") or what.endswith("|NAME"):
        yield from _names()
        yield FILES
    elif any(word in what for word in ("FILE", "PATH", "DIR", "ARCHIVE", "OUT")):
        yield FILES


def _names() -> list[str]:
    from manager.state.paths import machine_names

    return machine_names()


def _ports(given: Sequence[str]) -> Iterator[str]:
    from manager.cli.arguments import find
    from manager.errors import VmmgrError

    try:
        record = find(given[0]).last_run if given else None
    except VmmgrError:
        return
    for port in record.ports if record is not None else ():
        yield port.removeprefix("lpc.").removeprefix("slots.")
