# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's ends, as tests of pytest."""

import pytest

pytestmark = pytest.mark.machine("kernel.toml")


def test_all_is_well(machine, console):
    console.expect_line("ok +arithmetic")
    machine.run_for("1ms")
    assert machine.exit_status == 1


@pytest.mark.machine("kernel.toml", set={"boot.cmdline": "panic"})
def test_a_panic_says_why(console):
    panic = console.expect_line(r"PANIC: (.*)")
    assert panic[1].strip() == "as you wished"


@pytest.mark.machine("kernel.toml", set={"boot.cmdline": "crash"})
def test_a_crash_ends_the_machine(machine):
    machine.run_for("1ms")
    assert machine.ended.startswith("triple fault")
