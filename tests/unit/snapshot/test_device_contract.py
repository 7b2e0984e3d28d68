# SPDX-License-Identifier: BSD-2-Clause
"""What every device owes its machine. Devices and fields are found, not listed."""

from __future__ import annotations

from typing import Any

import pytest
from support.records import device_types
from support.whole_board import board, screen_graph, whole_graph

from manager.devices.device import Device
from manager.devices.rom import Rom, RomState
from manager.testing import contract

BOARDS = {**dict.fromkeys(board().devices, whole_graph), "slots.2": screen_graph}
"""Where each device is built."""
PLACED = [id for id in BOARDS if not id.startswith("board.")]


def build(name: str) -> Device[Any]:
    return board(BOARDS[name]()).devices[name]


def rom() -> Rom:
    return Rom(RomState(bytearray(range(256)) * 256))


def test_every_device_class_is_under_this_contract() -> None:
    devices: list[Device[Any]] = [*map(build, BOARDS), rom()]
    built = {kind for device in devices for kind in type(device).__mro__}

    assert sorted(kind.__name__ for kind in device_types() - built) == []


@pytest.mark.parametrize("name", BOARDS)
def test_a_device_restores_what_it_saved(name: str) -> None:
    contract.check_restore_changes_nothing(lambda: build(name))


@pytest.mark.parametrize("name", BOARDS)
def test_a_saved_state_shares_nothing_with_the_device(name: str) -> None:
    contract.check_saved_state_is_a_copy(lambda: build(name))


@pytest.mark.parametrize("name", BOARDS)
def test_every_field_matters_and_survives_a_restore_elsewhere(name: str) -> None:
    contract.check_every_field_matters(lambda: build(name))


def test_the_firmware_s_chip_keeps_the_contract() -> None:
    contract.check_state(rom)


@pytest.mark.parametrize("name", PLACED)
@pytest.mark.parametrize("seed", range(5))
def test_any_access_raises_nothing_and_a_restore_does_not_show(name: str, seed: int) -> None:
    contract.check_any_access(BOARDS[name](), name, seed)
