# SPDX-License-Identifier: BSD-2-Clause
"""Device kinds that are not ours: a class in a Python file, named by a machine file.

The file is run as soon as it is named. Whatever goes wrong in it is told with the line of that
file: when it is loaded (KindError), and later, from whichever of its methods (`blame`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from manager import files
from manager.devices.node import DeviceNode
from manager.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NAME = re.compile(r"(?P<file>.*\.py):(?P<kind>[A-Za-z_][A-Za-z_0-9]*)")
"""How a machine file names a kind of the user's: "./my_card.py:MyCard"."""
SIZED = {"read_wide", "read_mmio"}
READS = {"read_port", "read_config", *SIZED}
"""Methods by which the guest reads a device, and those of them that take a size."""
NOWHERE = 0
DOCUMENTATION = "docs/devices.md has an example"


class Fault(NamedTuple):
    """What is wrong in a file of the user's, and where; lines count from 1, or it is NOWHERE."""

    message: str
    file: Path
    line: int = 1
    column: int = 1
    text: str = ""
    """The line itself."""
    where: str = ""
    """The method, if it was one."""
    length: int = 0
    """How many characters of the line are meant; 0 for the rest of it."""

    def __str__(self) -> str:
        method = f" (in {self.where})" if self.where else ""
        return f"{shown(self.file)}:{self.line}: {self.message}{method}"


class KindError(Exception):
    """A file of the user's does not give a device kind."""

    def __init__(self, fault: Fault, help: str = DOCUMENTATION) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.help = help


class ResultError(TypeError):
    """A method that reads gave what is no number of the size that was asked for."""

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


class OwnDeviceError(UsageError):
    """A method of a device of the user's own raised an exception while no guest ran."""


class _Loaded(NamedTuple):
    digest: str
    module: ModuleType


_files: dict[str, _Loaded] = {}
"""What has been run, by path: a file is run again only once it has changed."""


def is_own(name: str) -> bool:
    """Whether a name is that of a class in a file."""
    return NAME.fullmatch(name) is not None


def load(name: str) -> type[DeviceNode]:
    """The kind that "/path/of/file.py:Class" names. Raises KindError."""
    match = NAME.fullmatch(name)
    assert match is not None
    path = Path(match["file"])
    loaded = _run(path)
    kind = _checked(vars(loaded.module).get(match["kind"]), match["kind"], loaded.module)
    kind.TYPE, kind.FILE, kind.CODE = f"{path.name}:{match['kind']}", path, loaded.digest
    return kind


def adopt(point: EntryPoint) -> type[DeviceNode]:
    """The kind of an installed package, which has it as an entry point. Raises KindError."""
    try:
        value = point.load()
        module = sys.modules[value.__module__]
        path = Path(str(module.__file__))
        digest = _digest(files.read(path, files.TEXT))
    except Exception as error:
        fault = Fault(f"the installed device {point.name}: {_said(error)}", Path(point.module))
        raise KindError(fault, "it is not one of vmmgr's own: ask its author") from error
    _files[str(path)] = _Loaded(digest, module)
    kind = _checked(value, point.attr, module)
    kind.TYPE, kind.CODE = point.name, digest
    return kind


def _checked(value: object, name: str, module: ModuleType) -> type[DeviceNode]:
    """`value`, if it is a kind that a machine file can name."""
    path = Path(str(module.__file__))
    if value is None:
        found = [key for key, other in vars(module).items() if _is_kind(other)]
        help = f"it has {', '.join(found)}" if found else DOCUMENTATION
        raise KindError(Fault(f"there is no class {name} in this file", path), help)
    place = _definition(module, name)
    if not (isinstance(value, type) and issubclass(value, DeviceNode)):
        fault = Fault(f"{name} is no device kind", path, *place)
        raise KindError(fault, f"derive it from DeviceNode; {DOCUMENTATION}")
    if value.SECTION not in ("slots", "lpc"):
        fault = Fault(f"{name} does not say where it sits", path, *place)
        raise KindError(fault, 'give it SECTION = "slots" or SECTION = "lpc"')
    return value


def _digest(content: bytes) -> str:
    import blake3

    return blake3.blake3(content).hexdigest()


def _is_kind(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, DeviceNode) and value is not DeviceNode


def _run(path: Path) -> _Loaded:
    try:
        content = files.read(path, files.TEXT)
    except OSError as error:
        fault = Fault(f"{shown(path)} cannot be read: {error.strerror}", path, NOWHERE)
        raise KindError(fault, "paths are relative to the file that names them") from None
    digest, key = _digest(content), str(path)
    known = _files.get(key)
    if known is not None and known.digest == digest:
        return known
    module = ModuleType(f"vmmgr_own_{digest[:16]}_{path.stem}")
    module.__file__ = key
    try:
        code = compile(content, key, "exec")
    except SyntaxError as error:
        text = (error.text or "").rstrip("\n")
        fault = Fault(error.msg, path, error.lineno or 1, error.offset or 1, text)
        raise KindError(fault, "it is not valid Python") from None
    except ValueError as error:
        raise KindError(Fault(str(error), path), "it is not valid Python") from None
    sys.modules[module.__name__] = module  # dataclasses look their module up
    _files[key] = _Loaded(digest, module)  # so that a fault in it is found to be its own
    try:
        exec(code, vars(module))  # noqa: S102 - what the machine file asks for
    except (Exception, SystemExit) as error:
        fault = blame(error) or Fault(_said(error), path)
        del _files[key], sys.modules[module.__name__]
        raise KindError(fault) from error
    _check_reads(module)
    return _files[key]


def _check_reads(module: ModuleType) -> None:
    """Have what reads registers give numbers only: the engine could not tell whose fault it was."""
    for kind in vars(module).values():
        if isinstance(kind, type) and kind.__module__ == module.__name__:
            for name in READS & vars(kind).keys():
                setattr(kind, name, _numbers_only(kind, name))


def _numbers_only(kind: type, name: str) -> Callable[..., int]:
    read: Callable[..., Any] = vars(kind)[name]

    @wraps(read)
    def checked(self: object, offset: int, size: int = 1) -> int:
        value = read(self, offset, size) if name in SIZED else read(self, offset)
        if isinstance(value, int) and 0 <= value < 1 << 8 * size:
            return value
        import linecache

        code = read.__code__
        path, line = Path(code.co_filename), code.co_firstlineno
        text = linecache.getline(code.co_filename, line).rstrip("\n")
        said = f"it gave {value!r}, not a number of {size} byte{'s' if size > 1 else ''}"
        raise ResultError(said, Fault(said, path, line, 1, text, f"{kind.__name__}.{name}"))

    return checked


def _definition(module: ModuleType, name: str) -> tuple[int, int, str]:
    """Line, column and text of where a class begins; the first line if that is not known."""
    lines = Path(str(module.__file__)).read_text(errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        if re.match(rf"(class\s+)?{name}\b", line):
            return number, 1 + line.index(name), line
    return 1, 1, lines[0] if lines else ""


def blame(error: BaseException) -> Fault | None:
    """The line of a user's file that an exception came from, if it came from one."""
    if isinstance(error, ResultError):
        return error.fault
    import linecache
    import traceback

    own = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in _files:
            own = frame
    if own is None:
        return blame(error.__cause__) if error.__cause__ is not None else None
    where = own.name if own.name.isidentifier() else ""
    line, column = own.lineno or 1, 1 + (own.colno or 0)
    text = linecache.getline(own.filename, line).rstrip("\n")
    length = (own.end_colno or 0) - column + 1 if own.end_lineno == line else 0
    return Fault(_said(error), Path(own.filename), line, column, text, where, max(0, length))


def definition(kind: type[DeviceNode], error: BaseException) -> Fault | None:
    """Where a kind's class begins, for what is wrong with it but raised by others."""
    if not kind.CODE:
        return None
    module = sys.modules[kind.__module__]
    return Fault(_said(error), Path(str(module.__file__)), *_definition(module, kind.__name__))


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Turn an exception from a user's file into OwnDeviceError, which says what it happened in."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        fault = blame(error)
        if fault is None:
            raise
        raise OwnDeviceError(f"{what}: {fault}", help=fault.text.strip() or None) from error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def shown(path: Path) -> str:
    """A path for reading: relative when it is below the current directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
