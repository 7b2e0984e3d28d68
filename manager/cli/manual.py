# SPDX-License-Identifier: BSD-2-Clause
"""What `--help` says beyond each option: examples, files, environment, exit codes.

`vmmgr --help`, docs/commands.md and docs/man/vmmgr.1 are made from this and from the verbs' own
parsers, so they agree.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Mapping

from manager.errors import ExitCode

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Running machines": ("up", "run", "suspend", "resume", "down", "restart", "wait"),
    "What is kept of them": ("discard", "rm", "prune", "cache"),
    "Talking to them": ("console", "send", "logs", "status", "ls", "events", "ctl"),
    "Their screens": ("screen", "screenshot", "keys"),
    "Machine files": ("new", "validate", "plan", "graph", "config", "diff", "schema", "explain"),
    "From and to others": ("import", "export"),
    "Snapshots and disks": ("snapshot", "disk", "cp", "push", "pull"),
    "Time": ("replay", "rewind", "step-back", "verify", "bisect", "explore"),
    "This host": ("doctor", "completion"),
}
"""The verbs in the order that a reader meets them."""
REST = "More"
"""The group of verbs that no group names."""

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "up": (
        ("vmmgr up", "the one machine file in this folder"),
        ("vmmgr up machines/hello.toml", "boot it, or resume it, and be at its console"),
        ("vmmgr up -d machines/linux.toml", "in the background; returns once it is ready"),
        ("vmmgr up -d a.toml --wait-for 'login: $' --timeout 90s", "ready means: it says so"),
        ("vmmgr up --watch --rebuild make kernel.toml", "make it, boot it; again at each change"),
        ("vmmgr up --fresh -y demo.toml", "forget the suspended state, boot afresh"),
    ),
    "run": (
        ("vmmgr run kernel.toml", "boot it, print what it says, forget it"),
        ("vmmgr run kernel.toml --max-time 10s --fail-on PANIC", "as a test in CI"),
        (
            r"vmmgr run linux.toml --until '# $' --send 'uname -a\n' --until '# $'",
            "wait, answer, wait",
        ),
    ),
    "suspend": (
        ("vmmgr suspend demo", "save it and end its process"),
        ("vmmgr suspend --all", "before the host goes down"),
    ),
    "resume": (
        ("vmmgr resume demo", "go on, at its console"),
        ("vmmgr resume -d demo.toml", "in the background, with this file's wiring"),
        ("vmmgr resume -d --paused demo", "let time stand still until `ctl demo continue`"),
    ),
    "down": (("vmmgr down demo", "pull its plug"),),
    "discard": (("vmmgr discard demo", "drop its suspended state"),),
    "restart": (("vmmgr restart -d demo", "boot it again, as its file is now"),),
    "rm": (
        ("vmmgr rm demo", "forget it: its states, disks' changes and logs"),
        ("vmmgr rm --force demo other", "without a question"),
    ),
    "prune": (
        ("vmmgr prune --dry-run", "which machines hold nothing but logs?"),
        ("vmmgr prune --force", "remove them, without a question"),
        ("vmmgr prune oci-layout:store --drop demo:old", "drop one from a store, and what it held"),
    ),
    "wait": (
        ("vmmgr wait demo stopped", "until the guest powers off"),
        ("vmmgr wait demo ready --timeout 60s", "exit code 124 when it takes longer"),
    ),
    "cache": (("vmmgr cache ls", "which machines are kept ready"),),
    "disk": (
        ("vmmgr disk ls", "the disks of all machines, and what was written to them"),
        ("vmmgr disk commit demo root -o new.img", "a copy of the image, with what was written"),
        ("vmmgr disk new data.img 1G", "an empty image"),
        ("vmmgr disk new root.img --folder rootfs --format ext4", "an image of a folder"),
    ),
    "cp": (
        ("vmmgr cp demo:/result.txt .", "what the guest wrote to its share"),
        ("vmmgr cp src/. demo:src/", "all that is in a folder, to the share of that name"),
    ),
    "console": (
        ("vmmgr console demo", "be at its console; Ctrl-] leaves"),
        ("vmmgr console demo com2 --read-only", "look at another port"),
        (r"printf 'reboot\n' | vmmgr console demo", "from a script"),
    ),
    "screen": (("vmmgr screen demo", "the text on it"),),
    "screenshot": (
        ("vmmgr screenshot demo -o demo.png", "what a monitor would show"),
        ("vmmgr screenshot demo -o - | sha256sum", "equal states are equal pictures"),
    ),
    "keys": (
        ("vmmgr keys demo 'ls<enter>'", "type a line"),
        ("vmmgr keys demo '<ctrl-alt-delete>'", "three keys at once"),
    ),
    "send": ((r"vmmgr send demo --port com2 'hello\n'", "type a line"),),
    "logs": (
        ("vmmgr logs demo -n 20", "the last lines of its console"),
        ("vmmgr logs demo --port com2 -f", "follow another port"),
    ),
    "status": (
        ("vmmgr status demo", "for people"),
        ("vmmgr status demo --json", "for programs"),
    ),
    "ls": (
        ("vmmgr ls", "every machine, and what it does"),
        ("vmmgr ls oci://registry.example/team/vms", "what is in a store"),
    ),
    "push": (
        ("vmmgr push demo oci://registry.example/team/vms", "its suspended state, to a registry"),
        ("vmmgr push demo:red s3://bucket/vms --as ci:red-4711", "a snapshot, under another name"),
    ),
    "pull": (
        ("vmmgr pull oci-layout:store", "the only one that is there"),
        ("vmmgr pull s3://bucket/vms ci:red-4711", "one of several"),
        ("vmmgr pull oci://registry.example/team/vms demo --digest sha256:...", "as it was signed"),
    ),
    "events": (
        ("vmmgr events demo --json", "a line for each"),
        ("vmmgr events demo --until suspended", "wait for one"),
    ),
    "ctl": (
        ("vmmgr ctl demo query-schema", "what there is"),
        ("vmmgr ctl demo pause", "let time stand still"),
    ),
    "new": (
        ("vmmgr new demo", "demo.toml and a guest of a few bytes"),
        ("vmmgr new box --template linux", "a start for a Linux machine"),
    ),
    "validate": (
        ("vmmgr validate machines/hello.toml", "errors point at the line"),
        ("vmmgr validate --locked --format github a.toml b.toml", "in a workflow"),
    ),
    "plan": (
        ("vmmgr plan machines/hello.toml", "slots, ports, interrupts, memory"),
        ("vmmgr plan --lock demo.toml", "write down what the guest sees"),
    ),
    "graph": (
        ("vmmgr graph machines/hello.toml", "a tree"),
        ("vmmgr graph demo.toml --format dot | dot -Tsvg >demo.svg", "a picture"),
    ),
    "config": (
        ("vmmgr config demo.toml --origin", "every value, and which file it came from"),
        ("vmmgr config demo.toml --hash", "what makes a snapshot fit"),
    ),
    "diff": (
        ("vmmgr diff demo demo.toml", "what changed since it was suspended"),
        ("vmmgr diff --guest a.toml b.toml", "only what a guest would notice"),
    ),
    "schema": (("vmmgr schema >machine.schema.json", "for editors that know TOML"),),
    "explain": (("vmmgr explain VM012", "a page about a diagnostic"),),
    "import": (
        ("vmmgr import bhyve '-m 512M -s 0,hostbridge -s 31,lpc -l com1,stdio vm0'", "an argv"),
        ("vmmgr import bhyve 'vmrun.sh -m 1G -d disk.img guest'", "vmrun.sh's, too"),
        ("vmmgr import bhyve-config guest.conf", "a file for bhyve -k"),
    ),
    "export": (
        ("vmmgr export demo.toml --to qemu", "the nearest command line of QEMU"),
        ("vmmgr export demo.toml --to bhyve-config", "a file for bhyve -k"),
    ),
    "snapshot": (
        ("vmmgr snapshot save demo before-update", "keep this moment under a name"),
        ("vmmgr snapshot ls", "what there is, and what it costs"),
        ("vmmgr snapshot show demo", "every register and field"),
        ("vmmgr snapshot diff demo:before-update demo", "what has changed"),
        ("vmmgr snapshot disk demo:before-update root -o root.img", "a disk as it was then"),
        ("vmmgr snapshot verify demo", "read every byte and check its hash"),
        ("vmmgr snapshot restore demo before-update", "go back"),
    ),
    "replay": (("vmmgr replay demo", "run it again with what was typed, and compare"),),
    "rewind": (
        ("vmmgr rewind demo 2s", "two seconds back"),
        ("vmmgr rewind demo @12.5s", "to that virtual time"),
        ("vmmgr rewind lab 2s", "all machines of a lab, and what is on its way between them"),
    ),
    "step-back": (("vmmgr step-back demo", "to before the last thing that was typed"),),
    "verify": (
        ("vmmgr verify demo.toml", "suspend and resume it at twenty points, and compare"),
        ("vmmgr verify demo.toml --points 5 --seed 1 --until 1s", "the same five each time"),
    ),
    "bisect": (
        ("vmmgr bisect demo.toml --bad 2s --pattern panic", "when was it printed?"),
        ("vmmgr bisect demo.toml --bad 2s --memory 0x7e00=ff", "when was that byte written?"),
    ),
    "explore": (
        ("vmmgr explore kernel.toml --seeds 1-1000 --fail-on PANIC", "which schedule breaks it?"),
        (
            "vmmgr explore kernel.toml --seeds 1-500 --from kernel:before --until done "
            "--max-time 50ms --keep-going",
            "from one snapshot, all of them, and a table",
        ),
    ),
    "doctor": (("vmmgr doctor", "is everything here that vmmgr needs?"),),
    "completion": (('eval "$(vmmgr completion bash)"', "in ~/.bashrc"),),
}
"""Verb -> (command line, what it is for)."""

_EXAMPLES = "examples:"

NAMES = """\
FILE is a machine file: TOML that says which parts a PC has. NAME is a machine:
its name, which is the file's stem unless the file says otherwise, or the path
of its file. A duration is a number with ns, us, ms, s, m or h."""

OPTIONS = """\
-q (--quiet) says nothing but errors, -v (--verbose) also what is done; they may
stand before a verb or among its options."""

ENVIRONMENT: Mapping[str, str] = {
    "VMMGR_STATE_HOME": "where machines keep their state; $XDG_STATE_HOME/vmmgr or "
    "~/.local/state/vmmgr if it is not set",
    "XDG_RUNTIME_DIR": "where the sockets of running machines are, in the directory vmmgr",
    "VMMGR_DEBUG": "if set, an internal error ends with a traceback",
    "VMMGR_LOG_SIZE": "how many bytes one piece of a port's log has [16777216]; the last five "
    "pieces are kept",
    "VMMGR_CACHE_SIZE": "how much room the machines that `up` keeps ready may take, in MiB",
    "VMMGR_REGISTRY_USER": "who to be to a registry, with VMMGR_REGISTRY_PASSWORD; else as docker "
    "or podman have logged in",
    "NO_COLOR": "if set, diagnostics have no colours",
}


class Formatter(argparse.HelpFormatter):
    """Wraps paragraphs, but leaves examples and what `overview` makes as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(_EXAMPLES) or "\n\n" in text:
            return text
        return super()._fill_text(text, width, indent)


def grouped(verbs: Iterable[str]) -> dict[str, list[str]]:
    """The verbs by group; those that no group names come last."""
    present = list(verbs)
    groups = {
        title: [verb for verb in members if verb in present] for title, members in GROUPS.items()
    }
    named = {verb for members in groups.values() for verb in members}
    groups[REST] = [verb for verb in present if verb not in named]
    return {title: members for title, members in groups.items() if members}


def sentence(summary: str) -> str:
    """A summary with a capital letter and a full stop."""
    return summary[:1].upper() + summary[1:] + ("" if summary.endswith(".") else ".")


def overview(summaries: Mapping[str, str]) -> str:
    """What `vmmgr --help` prints below its usage: the verbs with their summaries, and the rest."""
    lines = []
    for title, verbs in grouped(summaries).items():
        lines += [f"{title}:", *(f"    {verb:<11} {summaries[verb]}" for verb in verbs), ""]
    lines += [NAMES, "", OPTIONS, "", "Environment:"]
    for name, meaning in ENVIRONMENT.items():
        lines += textwrap.wrap(
            f"{name:<17} {meaning}", 80, initial_indent="  ", subsequent_indent=" " * 20
        )
    lines += ["", "Exit codes:", *(f"  {code:<4} {code.meaning}" for code in ExitCode)]
    lines += ["", "`vmmgr VERB --help` tells more about a verb."]
    return "\n".join(lines)


def examples(verb: str) -> str:
    """What `vmmgr VERB --help` prints at its end."""
    lines = [_EXAMPLES]
    for command, purpose in EXAMPLES.get(verb, ()):
        lines += [f"  {command}", f"      {purpose}"]
    return "\n".join(lines) if len(lines) > 1 else ""
