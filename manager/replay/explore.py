# SPDX-License-Identifier: BSD-2-Clause
"""Running a machine under many seeds, several at a time, until one of them fails.

Seeds are handed out in ascending order to processes that live as long as the exploration. After
the first failure only smaller seeds go on, so the smallest that fails is found.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryFile
from threading import Lock, Thread
from typing import Any

from manager import files
from manager.errors import ExitCode, VmmgrError
from manager.lazy import dataclass
from manager.machine.places import CpuPlace
from manager.machine.trial import Tried
from manager.replay.processes import environment
from manager.replay.seeds import Result, Task
from manager.replay.witness import Interruption, Story

MOST = 256 << 20
"""Bytes of results that are read, some million seeds."""
WORKER = (sys.executable, "-m", "manager.replay.seeds")


class ExplorationError(VmmgrError):
    """A seed could not be tried."""


def _as_error(answer: Mapping[str, Any]) -> VmmgrError:
    """What a process refused, with the exit code that it would have had."""
    kinds = {kind.exit_code: kind for kind in VmmgrError.__subclasses__()}
    kind = kinds.get(ExitCode(answer["status"]), ExplorationError)
    return kind(answer["error"], help=answer["help"])


class _Process:
    """One process that tries seeds."""

    def __init__(self, task: Task, worker: Sequence[str]) -> None:
        self._said = TemporaryFile("w+")  # noqa: SIM115  a pipe might fill; closed by `close`
        self._process = subprocess.Popen(
            worker,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            start_new_session=True,  # the terminal's Ctrl-C is for this process alone
            env=environment(),
        )
        with suppress(BrokenPipeError):  # why it ended, `ask` says
            self._send(asdict(task))

    def ask(self, seed: int, *, explain: bool = False) -> dict[str, Any]:
        """Have it try a seed. Raises VmmgrError."""
        assert self._process.stdout is not None
        try:
            self._send({"seed": seed, "explain": explain})
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line.endswith("\n"):
            raise ExplorationError(
                f"seed={seed}: the process that ran it {self._fate()}",
                help="the seeds before it are kept: give `--resume` to go on, `-j` for fewer "
                "processes at a time",
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _as_error(answer)
        return answer

    def kill(self) -> None:
        """End it, whatever it does; an `ask` that waits fails."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let go of the pipes, when nothing waits for them any more."""
        with suppress(BrokenPipeError):
            self._process.communicate()
        self._said.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _fate(self) -> str:
        status = self._process.wait()
        if status < 0:
            return f"was ended by signal {-status} ({signal.Signals(-status).name})"
        self._said.seek(0)
        last = self._said.read().strip().splitlines()[-1:] or [f"status {status}"]
        return f"failed: {last[0]}"


@dataclass(slots=True)
class Exploration:
    """Tries `seeds` (ascending) as `task` says, `at_once` of them at a time.

    With `keeps_going` a failure does not end it.
    """

    task: Task
    seeds: Iterable[int]
    at_once: int = 1
    keeps_going: bool = False
    worker: Sequence[str] = WORKER

    def results(self) -> Iterator[Result]:
        """What came of each seed, in the order in which they end. Raises VmmgrError."""
        found: SimpleQueue[Result | VmmgrError | None] = SimpleQueue()
        processes: list[_Process] = []
        waiting, lock = iter(self.seeds), Lock()
        limit: int | None = None
        over = False

        def next_seed() -> int | None:
            with lock:
                seed = None if over else next(waiting, None)
            return seed if seed is None or limit is None or seed < limit else None

        def work(process: _Process, seed: int | None) -> None:
            try:
                while seed is not None:
                    found.put(Result.from_plain(process.ask(seed)))
                    seed = next_seed()
            except VmmgrError as error:
                found.put(error)
            except Exception as error:
                found.put(VmmgrError(f"{type(error).__name__}: {error}"))
            found.put(None)

        threads: list[Thread] = []
        try:
            while len(threads) < self.at_once and (seed := next_seed()) is not None:
                processes.append(_Process(self.task, self.worker))
                threads.append(Thread(target=work, args=(processes[-1], seed), daemon=True))
                threads[-1].start()
            running = len(threads)
            while running:
                item = found.get()
                if item is None:
                    running -= 1
                elif isinstance(item, VmmgrError):
                    raise item
                else:
                    if item.tried.is_failure and not self.keeps_going:
                        limit = item.seed if limit is None else min(limit, item.seed)
                    yield item
        finally:
            over = True
            for process in processes:
                process.kill()
            for thread in threads:
                thread.join()
            for process in processes:
                process.close()

    def explain(self, seed: int) -> Story:
        """Look closely at one. Raises VmmgrError."""
        process = _Process(self.task, self.worker)
        try:
            answer = process.ask(seed, explain=True)
        finally:
            process.kill()
            process.close()
        return Story(
            Tried(**answer["tried"]),
            answer["at"],
            [Interruption(**item) for item in answer["interruptions"]],
            [CpuPlace(**item) for item in answer["places"]],
            answer["machine"],
        )


class Journal:
    """The results of an exploration in a file, a line of JSON each, for another to go on.

    Two that try the same seeds at once may share it: each line is written at the file's end.
    """

    def __init__(self, path: Path, *, goes_on: bool) -> None:
        """Begin anew, or with what is there already. Raises OSError."""
        self.known: dict[int, Result] = {}
        text = b""
        if goes_on:
            with suppress(FileNotFoundError):
                text = files.read_own(path, MOST)
        whole = text.rfind(b"\n") + 1  # a line that is not whole was being written
        for line in text[:whole].splitlines():
            with suppress(ValueError, TypeError, KeyError):
                result = Result.from_plain(files.parse_json(line))
                self.known[result.seed] = result
        files.make_private(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.fdopen(files.open_own(path, flags), "wb", buffering=0)
        self._file.truncate(whole)

    def add(self, result: Result) -> None:
        """Write one down. Raises OSError."""
        self._file.write(json.dumps(asdict(result)).encode() + b"\n")

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()
