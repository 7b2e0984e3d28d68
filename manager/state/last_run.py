# SPDX-License-Identifier: BSD-2-Clause
"""machine.json: what is known of a machine's last run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, field, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, get_args

from manager import files
from manager.errors import HostError
from manager.lazy import dataclass
from manager.settings import Setting

SCHEMA = 1
_LAST_TIME = 1 << 40
"""Seconds since 1970 that no clock shows."""
_PIDS = 1 << 31

Phase = Literal["running", "suspending", "suspended", "stopped"]


@dataclass(slots=True)
class LastRun:
    """One machine's last run. A phase is written before what it announces is begun."""

    name: str
    file: str
    """The machine file's absolute path."""
    settings: list[str] = field(default_factory=list)
    """What `--set` gave, as KEY=VALUE."""
    folders: list[str] = field(default_factory=list)
    """For each setting, from where relative paths in it count; versions before kept none."""
    phase: Phase = "running"
    pid: int = 0
    process_start: int = 0
    """When the process started, in the kernel's clock ticks since boot; tells a reused pid."""
    started_at: float = 0.0
    """The host's time of the start, in seconds since 1970."""
    identity: str = ""
    """Hash of what the guest can see."""
    config: str = ""
    """Hash of the whole machine file, wiring included."""
    socket: str = ""
    detached: bool = False
    ports: dict[str, str] = field(default_factory=dict)
    """Port id -> what its backend is, for people."""
    console: str | None = None
    """The port that is meant when none is named."""
    fault: str | None = None
    """Why the machine ended, when that was the guest's or the engine's fault."""
    story: list[str] = field(default_factory=list)
    """What led to it, a line each."""

    @property
    def given(self) -> list[Setting]:
        """The settings with their folders; where that is not known, the present one."""
        known = zip_longest(self.settings, map(Path, self.folders[: len(self.settings)]))
        return [Setting(text, folder) for text, folder in known]

    @given.setter
    def given(self, settings: Iterable[str]) -> None:
        found = [Setting.of(setting) for setting in settings]
        self.settings = [str(setting) for setting in found]
        self.folders = [str(setting.folder) for setting in found]

    @property
    def is_open(self) -> bool:
        """Whether it was not written down how it ended: it runs, or its process is gone."""
        return self.phase in ("running", "suspending")

    def alive(self) -> bool:
        """Whether the process that wrote the record still exists."""
        return self.pid > 0 and process_start(self.pid) == self.process_start


def copied(run: LastRun, name: str) -> LastRun:
    """The record of a copy that was never started, by another name: suspended."""
    record = replace(run, name=name, phase="suspended", pid=0, socket="", fault=None)
    record.process_start = 0
    record.given = [*(one for one in run.given if not one.startswith("name=")), f"name={name}"]
    return record


def write_last_run(path: Path, record: LastRun) -> None:
    """Replace the record at `path` in one step, durably. Raises HostError."""
    text = json.dumps({"schema": SCHEMA, **asdict(record)}, indent=2) + "\n"
    try:
        files.replace(path, text.encode())
    except OSError as error:
        raise HostError(f"{path}: cannot write: {error.strerror}") from None


def read_last_run(path: Path) -> LastRun | None:
    """The record at `path`, or None when there is none that can be read."""
    try:
        loaded: Any = files.parse_json(files.read_own(path))
        known = {item.name for item in fields(LastRun)}
        record = LastRun(**{key: value for key, value in loaded.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return record if _is_sound(record) else None


def _is_sound(record: LastRun) -> bool:
    """Whether every field is of the type that its default, or its declaration, has."""
    plain = LastRun("", "")
    optional = (record.console, record.fault)
    return (
        all(
            isinstance(getattr(record, item.name), type(getattr(plain, item.name)))
            for item in fields(LastRun)
            if item.name not in ("console", "fault", "started_at")
        )
        and isinstance(record.started_at, int | float)
        and 0 <= record.started_at < _LAST_TIME
        and 0 <= record.pid < _PIDS
        and all(value is None or isinstance(value, str) for value in optional)
        and record.phase in get_args(Phase)
        and all(
            isinstance(item, str)
            for item in (*record.settings, *record.folders, *record.ports.values(), *record.story)
        )
        and "\0" not in "".join((record.file, record.socket, *record.folders))  # no path has one
    )


def process_start(pid: int) -> int:
    """When the process started (clock ticks since boot); -1 when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1")
    except OSError:
        return -1
    # The command's name, the second field, may contain anything, so count from its last bracket.
    rest = text.rpartition(")")[2].split()
    return int(rest[19]) if len(rest) > 19 else -1
