# SPDX-License-Identifier: BSD-2-Clause
"""Where a machine's state, logs and socket are on the host."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from manager import files, users
from manager.errors import HostError, UsageError, WrongStateError
from manager.lazy import dataclass
from manager.names import MEMBER, NAME, NAME_HELP

SOCKET_PATH_LIMIT = 104
"""Paths of UNIX sockets must be shorter than this many bytes (on the BSDs; Linux has 108)."""

_MEMBERS = "machines"
"""The folder in a lab's directory that has its machines' directories."""


def state_home() -> Path:
    """The directory that holds a directory for each machine.

    $VMMGR_STATE_HOME, else $XDG_STATE_HOME/vmmgr, else ~/.local/state/vmmgr. Raises HostError.
    """
    if own := os.environ.get("VMMGR_STATE_HOME"):
        return Path(own).absolute()
    return _default_state_home()


def _default_state_home() -> Path:
    shared = os.environ.get("XDG_STATE_HOME", "")
    # The XDG specification says that relative paths are to be ignored.
    if shared.startswith("/"):
        return Path(shared) / "vmmgr"
    try:
        home = Path.home()
    except RuntimeError:
        raise HostError(
            "this user has no home directory for the state of machines",
            help="set VMMGR_STATE_HOME to a directory",
        ) from None
    return home / ".local" / "state" / "vmmgr"


@dataclass(frozen=True, slots=True)
class MachinePaths:
    """The files of one machine, or of a lab, which has a directory for each of its machines."""

    name: str
    directory: Path

    @classmethod
    def of(cls, name: str, home: Path | None = None) -> MachinePaths:
        """The files of the machine or lab `name`, or of the machine LAB/MEMBER.

        Raises UsageError for what cannot be a name.
        """
        lab, _, member = name.rpartition("/")
        if not (NAME if not lab else MEMBER).fullmatch(name):
            raise UsageError(
                f"{name!r} is not a machine name",
                help=NAME_HELP,
            )
        home = home or state_home()
        return cls(name, home / lab / _MEMBERS / member if lab else home / name)

    @property
    def lab(self) -> MachinePaths | None:
        """Of the lab that the machine is a member of, if it is one."""
        lab, _, member = self.name.rpartition("/")
        return MachinePaths(lab, self.directory.parents[1]) if member and lab else None

    def member(self, name: str) -> MachinePaths:
        """Of a machine of this lab."""
        return MachinePaths(f"{self.name}/{name}", self.directory / _MEMBERS / name)

    def members(self) -> list[MachinePaths]:
        """Of all machines of this lab, by name; none for what is no lab."""
        try:
            found = [entry.name for entry in (self.directory / _MEMBERS).iterdir()]
        except OSError:
            return []
        return [self.member(name) for name in sorted(found) if NAME.fullmatch(name)]

    @property
    def is_lab(self) -> bool:
        """Whether it is a lab's directory."""
        return (self.directory / _MEMBERS).is_dir()

    @property
    def lock(self) -> Path:
        """Locked by the process that owns the machine."""
        return self.directory / "machine.lock"

    @property
    def last_run(self) -> Path:
        """What is known of the machine's last run."""
        return self.directory / "machine.json"

    @property
    def owner_log(self) -> Path:
        """Where the owner reports when no terminal is attached."""
        return self.directory / "owner.log"

    @property
    def snapshots(self) -> Path:
        """The snapshot store."""
        return self.directory / "snapshots"

    @property
    def recordings(self) -> Path:
        """The input logs."""
        return self.directory / "recordings"

    def port_log(self, port: str) -> Path:
        """Everything that the port sent."""
        return self.directory / f"{port}.log"

    def pty_link(self, port: str) -> Path:
        """A name for the port's pty that does not change from start to start."""
        return self.directory / f"{port}.pty"

    def exists(self) -> bool:
        """Whether anything is known of the machine."""
        return self.directory.is_dir()

    def make(self) -> None:
        """Create the directory, readable for its owner only. Raises HostError."""
        if (lab := self.lab) is not None:
            lab.make()
        private_directory(self.directory.parent)
        private_directory(self.directory)
        require_own(self.directory)

    def socket(self) -> Path:
        """A path for the control socket whose directory exists and that is short enough.

        Raises HostError when every place is too long or not ours.
        """
        tag = _tag(self.directory)
        home = (self.lab or self).directory.parent
        own = bool(os.environ.get("VMMGR_STATE_HOME")) or home != state_home()
        name = self.name.replace("/", ".")  # no name has a dot
        file_name = f"{name}-{tag}.sock" if own else f"{name}.sock"
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        if runtime.startswith("/"):
            candidate = Path(runtime) / "vmmgr" / file_name
            if fits_socket(candidate) and not runtime_fault(Path(runtime)):
                return candidate
        candidate = self.directory / "control.sock"
        if fits_socket(candidate):
            self.make()
            return candidate
        directory = Path(f"/tmp/vmmgr-{os.getuid()}")  # noqa: S108  checked to be ours below
        private_directory(directory)
        require_private(directory)
        return directory / f"{tag}.sock"


def require_no_lab(paths: MachinePaths, verb: str) -> None:
    """Raise WrongStateError for a machine of a lab, which `verb` takes as one."""
    if (lab := paths.lab) is not None:
        raise WrongStateError(
            f"{paths.name} is part of the lab {lab.name}, which is saved, restored and removed as "
            "one",
            help=f"the same for all of it: `vmmgr {verb} {lab.name}`",
        )


def runtime_fault(runtime: Path) -> str:
    """Why no socket is made in `runtime`/vmmgr, or an empty string; makes that directory.

    `su` and `sudo -E` leave another user's $XDG_RUNTIME_DIR behind. Root could write to it, and
    its owner could put a socket of his own in the place of root's.
    """
    directory = runtime / "vmmgr"
    try:
        if fault := users.directory_fault(runtime.stat()):
            return f"{runtime} {fault}"
        private_directory(directory)
        require_private(directory)
    except OSError as error:
        return f"{runtime}: {error.strerror}"
    except HostError as error:
        return error.message
    return "" if os.access(directory, os.W_OK | os.X_OK) else f"{directory} cannot be written to"


def fits_socket(path: Path) -> bool:
    """Whether a UNIX socket can have this path."""
    return len(os.fsencode(path)) < SOCKET_PATH_LIMIT


def private_directory(path: Path) -> None:
    """Make `path` a directory of mode 0700 unless it exists. Raises HostError."""
    try:
        files.make_private(path)
    except OSError as error:
        raise HostError(f"{path}: cannot create the directory: {error.strerror}") from None


def require_own(path: Path) -> None:
    """Raise HostError when another user could have put something into the directory `path`."""
    if fault := users.directory_fault(path.stat()):
        raise HostError(
            f"{path} {fault}: what is in it may be another user's work",
            help="run vmmgr as that user, or set VMMGR_STATE_HOME to a directory of yours",
        )


def require_private(path: Path) -> None:
    """Raise HostError unless `path` is a real directory that only this user can enter."""
    found = path.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.getuid()
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise HostError(
            f"{path} is not a private directory of this user",
            help="remove it, or set XDG_RUNTIME_DIR to a directory of yours",
        )


def machine_names(home: Path | None = None) -> list[str]:
    """The names of all machines and labs that have a directory, sorted; a lab's machines after it.

    Raises HostError.
    """
    directory = home or state_home()
    try:
        entries = [entry.name for entry in directory.iterdir() if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise HostError(
            f"{directory}: cannot read the state directory: {error.strerror}",
            help="it may be another user's; VMMGR_STATE_HOME names one of yours",
        ) from None
    names = sorted(name for name in entries if NAME.fullmatch(name))
    members = {name: MachinePaths(name, directory / name).members() for name in names}
    return [found for name in names for found in (name, *(one.name for one in members[name]))]


def _tag(directory: Path) -> str:
    import hashlib

    return hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
