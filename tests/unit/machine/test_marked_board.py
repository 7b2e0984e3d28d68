# SPDX-License-Identifier: BSD-2-Clause
"""A board that goes back is the board that it was: every device, whatever was done since."""

from __future__ import annotations

import os
import random

import pytest
from support.whole_board import whole_graph

from manager.machine.mark import MarkedBoard
from manager.testing.bench import Bench
from manager.testing.contract import Driver

SEEDS = 12 if os.environ.get("VMMGR_THOROUGH") else 2
STEPS = 60
IDS = [node.id for node in whole_graph().devices]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("id", IDS)
def test_board_goes_back_to_what_a_snapshot_would_restore(id: str, seed: int) -> None:
    graph = whole_graph()
    bench, chance = Bench(graph), random.Random(f"{id} {seed}")
    for other in [*chance.sample(IDS, 3), id]:
        Driver(bench, other, seed).drive(STEPS)
    twin = bench.restored()
    mark, at = MarkedBoard(bench.board), bench.time.value
    memory = [region.memory[:] for region in bench.memory.everything]

    for _ in range(3):
        for other in [id, *chance.sample(IDS, 4)]:
            Driver(bench, other, chance.getrandbits(32)).drive(STEPS)
        for region, content in zip(bench.memory.everything, memory, strict=True):
            region.memory[:] = content
        bench.time.value = at
        mark.go_back()

    bench.happened.clear()
    assert bench.states() == twin.states()
    assert bench.board.clock.next_deadline() == twin.board.clock.next_deadline()
    assert bench.board.io.claimed() == twin.board.io.claimed()
    for other in [id, *chance.sample(IDS, 4)]:
        seen, twin_seen = (Driver(each, other, ~seed).drive(STEPS) for each in (bench, twin))
        assert seen == twin_seen, other
    assert bench.states() == twin.states()
