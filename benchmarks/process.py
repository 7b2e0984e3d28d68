# SPDX-License-Identifier: BSD-2-Clause
"""Child processes whose output is watched with a clock in hand."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from benchmarks.row import AbsentError

CACHING = {"PYTHONDONTWRITEBYTECODE": ""}
"""Python's default for children: who does not keep compiled modules compiles them at each start."""
LONGEST = 120.0
"""Seconds after which a process that has not said what was expected counts as stuck."""
TAIL = 200


class Child:
    """A running process, with these descriptors. On leaving the context it is gone."""

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        longest: float = LONGEST,
        descriptors: Sequence[int] = (),
    ) -> None:
        self.began = time.perf_counter()
        """Just before the process was started."""
        self._give_up = self.began + longest
        self._heard = bytearray()
        try:
            self._process = subprocess.Popen(
                [os.fspath(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **CACHING, **(environment or {})},
                pass_fds=descriptors,
            )
        except FileNotFoundError:
            raise AbsentError(f"{command[0]} is not installed") from None
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def wait_for(self, text: bytes) -> float:
        """The time when the output, from where the last wait ended, has `text`.

        A time is what time.perf_counter says. Raises AbsentError when the text does not come.
        """
        while text not in self._heard:
            if not self._listen():
                last = self._heard[-TAIL:].decode(errors="replace").strip()
                raise AbsentError(f"never printed {text.decode()!r}; its last words: {last!r}")
        now = time.perf_counter()
        del self._heard[: self._heard.index(text) + len(text)]
        return now

    def wait_for_end(self) -> float:
        """The time when the process has ended by itself. Raises AbsentError if it does not."""
        try:
            while self._listen():
                pass
            self._process.wait(max(0.0, self._give_up - time.perf_counter()))
        except subprocess.TimeoutExpired:
            raise AbsentError("did not end") from None
        return time.perf_counter()

    def end(self) -> None:
        """Kill the process if it still runs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> bool:
        left = self._give_up - time.perf_counter()
        if left <= 0 or not select.select([self._output], [], [], left)[0]:
            return False
        heard = os.read(self._output, 1 << 16)
        self._heard += heard
        return bool(heard)


def output_of(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises AbsentError when it is not there or fails."""
    try:
        done = subprocess.run(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            env={**os.environ, **CACHING, **(environment or {})},
            check=False,
        )
    except FileNotFoundError:
        raise AbsentError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise AbsentError(f"{command[0]} did not end") from None
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip()[-TAIL:]
        raise AbsentError(f"{Path(command[0]).name} failed with {done.returncode}: {last}")
    return done.stdout
