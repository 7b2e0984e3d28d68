# SPDX-License-Identifier: BSD-2-Clause
"""Words of other tools (docker, virsh, Vagrant, Lima, systemctl, ...), and what they are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manager.errors import UsageError
from manager.names import NAME

_LS = "`vmmgr ls` lists the machines"
_UP = "`vmmgr up NAME` boots or resumes a machine, `vmmgr up FILE` a new one"
_NEW = "`vmmgr new NAME` writes a machine file to start from, `vmmgr up FILE` boots it"
_DOWN = "`vmmgr down NAME` powers it off; `vmmgr suspend NAME` keeps its state"
_SHUTDOWN = (
    "`vmmgr ctl NAME power-button` asks the guest to shut down; `vmmgr down NAME` powers it off"
)
_RESTART = "`vmmgr restart NAME` powers it off and boots it again"
_RM = "`vmmgr rm NAME` removes a machine with all its states; `vmmgr down NAME` only ends it"
_CONSOLE = "`vmmgr console NAME` is its console; `vmmgr send NAME TEXT` types from a script"
_STATUS = "`vmmgr status NAME` shows what it is doing"
_CONFIG = "`vmmgr config FILE` prints its machine file with everything resolved"
_EDIT = "a machine is its file: edit that (`vmmgr status NAME` names it), then `vmmgr restart NAME`"
_VALIDATE = "`vmmgr validate FILE` checks a machine file"
_SNAPSHOTS = "`vmmgr snapshot ls NAME` lists snapshots, `vmmgr snapshot save NAME` takes one"
_RESTORE = "`vmmgr snapshot restore NAME TAG` goes back; `vmmgr resume NAME` goes on"

ANSWERS: Mapping[str, str] = {
    **dict.fromkeys(("ps", "list", "machines", "global-status"), _LS),
    **dict.fromkeys(("start", "boot", "launch", "poweron", "on"), _UP),
    **dict.fromkeys(("create", "define", "init", "add"), _NEW),
    **dict.fromkeys(("stop", "kill", "halt", "poweroff", "off", "quit", "terminate"), _DOWN),
    "shutdown": _SHUTDOWN,
    **dict.fromkeys(("reboot", "reset", "reload"), _RESTART),
    **dict.fromkeys(("destroy", "delete", "remove", "undefine", "purge", "del"), _RM),
    **dict.fromkeys(("exec", "ssh", "shell", "attach", "connect", "login", "enter"), _CONSOLE),
    **dict.fromkeys(("inspect", "info", "show", "top", "stats", "dominfo", "describe"), _STATUS),
    **dict.fromkeys(("dumpxml", "dump"), _CONFIG),
    **dict.fromkeys(("edit", "set", "update"), _EDIT),
    **dict.fromkeys(("check", "lint", "verify-config"), _VALIDATE),
    **dict.fromkeys(("snapshots", "checkpoint", "backup", "commit"), _SNAPSHOTS),
    **dict.fromkeys(("restore", "rollback", "revert"), _RESTORE),
    "pause": "`vmmgr ctl NAME pause` lets its time stand still; `vmmgr suspend NAME` saves it",
    **dict.fromkeys(
        ("unpause", "continue", "cont"),
        "`vmmgr ctl NAME continue` lets its time go on; `vmmgr resume NAME` a suspended machine",
    ),
    **dict.fromkeys(
        ("save", "hibernate", "managedsave", "sleep"), "`vmmgr suspend NAME` saves it and ends it"
    ),
    **dict.fromkeys(("wake", "wakeup"), "`vmmgr resume NAME` goes on with a suspended machine"),
    **dict.fromkeys(("log", "journal", "tail"), "`vmmgr logs NAME -f` follows what it prints"),
    **dict.fromkeys(
        ("monitor", "qmp", "qm", "hmp"), "`vmmgr ctl NAME COMMAND` speaks its control protocol"
    ),
    "watch": "`vmmgr events NAME` tells what happens to it",
    **dict.fromkeys(
        ("clone", "copy", "fork"), "`vmmgr snapshot clone NAME NEW-NAME` copies a suspended machine"
    ),
    **dict.fromkeys(("clean", "gc"), "`vmmgr prune` removes machines that hold nothing but logs"),
    "test": "`vmmgr run FILE` runs a machine that keeps no state, for tests and CI",
    **dict.fromkeys(
        ("debug", "gdb"), "`[gdb]` in the machine file lets a debugger in; see docs/gdb.md"
    ),
    "rename": 'the name stands in the machine file: `name = "..."`',
}
"""Word -> the command that does it here, with NAME for the machine."""


def no_such_verb(word: str, rest: Sequence[str], verbs: Sequence[str]) -> UsageError:
    """What to say of a word that is no verb; `rest` are the words after it."""
    if (answer := ANSWERS.get(word)) is not None:
        names = [name for name in rest if not name.startswith("-")]
        if len(names) == 1 and NAME.fullmatch(names[0]):
            answer = answer.replace(" NAME", f" {names[0]}")
        return UsageError(f"vmmgr has no verb {word!r}", help=answer)
    import difflib

    help = "`vmmgr --help` lists them"
    if close := difflib.get_close_matches(word, [*verbs, "help", "version"], n=1):
        help = f"did you mean `vmmgr {close[0]}`?"
    elif close := difflib.get_close_matches(word, ANSWERS, n=1):
        help = ANSWERS[close[0]]
    return UsageError(f"there is no verb {word!r}", help=help)


def in_own_words(argv: Sequence[str]) -> list[str]:
    """`help` and `version` as the options that they are here."""
    words = list(argv)
    place = next((n for n, word in enumerate(words) if not word.startswith("-")), None)
    if place is None or words[place] not in ("help", "version"):
        return words
    option = f"--{words.pop(place)}"
    return [*words, option] if option == "--help" else [option]
