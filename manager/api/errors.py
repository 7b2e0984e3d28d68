# SPDX-License-Identifier: BSD-2-Clause
"""How waiting for a guest can go wrong."""

from __future__ import annotations

from manager.errors import ExitCode, VmmgrError


class ExpectationError(VmmgrError, AssertionError):
    """The guest did not do what was expected. An AssertionError too, so that tests fail with it.

    `message` is one line, `output` what the port sent last.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output

    def __str__(self) -> str:
        return f"{self.message}\n{self.output}" if self.output else self.message


class OutOfBudgetError(ExpectationError):
    """It did not happen in the guest time that it was given, or the host's patience ran out."""

    exit_code = ExitCode.TIME_BUDGET


class FailOnError(ExpectationError):
    """The output matched a pattern of `fail_on` or `assert_absent`."""

    exit_code = ExitCode.FAIL_ON_MATCHED


class MachineEndedError(ExpectationError):
    """The machine ended before."""
