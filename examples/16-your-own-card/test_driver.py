# SPDX-License-Identifier: BSD-2-Clause
"""The driver and the card together, and the card by itself."""

import pytest

from manager.testing.bench import Bench
from manager.testing.contract import check_device


@pytest.mark.machine("card.toml")
def test_the_driver_gets_the_sum(console):
    assert console.expect_line(r"the sum is (\d+)", timeout="10s")[1] == "5050"


def test_the_card_takes_its_time_for_each_byte():
    bench = Bench("card.toml")
    card = bench.device("slots.4")
    bench.memory.write(0x5000, bytes([1, 2, 3, 4]))
    card.function.write(4, 2, 6)  # memory and bus master, as the driver does

    card.write_mmio(0, 4, 0x5000)
    card.write_mmio(4, 4, 4)
    bench.pass_time(119_000_000)
    before = card.read_mmio(8, 4)
    bench.pass_time(1_000_000)

    assert (before, card.read_mmio(8, 4)) == (0, 10)


def test_the_card_keeps_the_contract():
    check_device("card.toml", "slots.4", seeds=5)
