# SPDX-License-Identifier: BSD-2-Clause
"""A terminal that a shell lends and takes back."""

from __future__ import annotations

import os
import pty
import signal
import termios
import tty

from support.terminals import exit_code, is_cooked

from manager.backends.terminal import RawTerminal


def test_a_job_in_the_background_waits_and_leaves_the_terminal_as_the_shell_gave_it() -> None:
    shell, terminal = pty.fork()
    if shell == 0:
        status = 99
        try:
            status = lend_the_terminal()
        finally:
            os._exit(status)

    assert exit_code(shell) == 0
    os.close(terminal)


def lend_the_terminal() -> int:
    """Be a shell that edits its command line in raw mode; 0 when the terminal comes back well."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    cooked = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSANOW)
    job = os.fork()
    if job == 0:
        take_the_terminal()
    _, status = os.waitpid(job, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        return 1
    termios.tcsetattr(0, termios.TCSANOW, cooked)
    os.tcsetpgrp(0, job)
    os.kill(job, signal.SIGCONT)
    _, status = os.waitpid(job, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFEXITED(status) or os.WEXITSTATUS(status) != 0:
        return 2
    return 0 if is_cooked(0) else 3


def take_the_terminal() -> None:
    status = 1
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        with RawTerminal(0) as raw:
            status = 0 if raw.is_raw and not is_cooked(0) else 2
    finally:
        os._exit(status)
