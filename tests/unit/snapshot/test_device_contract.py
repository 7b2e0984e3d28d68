# SPDX-License-Identifier: BSD-2-Clause
"""What every device owes a snapshot. Devices and fields are found, not listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.records import device_types, holder, leaves, other_values, put_at, value_at
from support.whole_board import board, through_a_file

from manager.bus.record import RecordError, clone, to_plain
from manager.devices.device import Device
from manager.devices.rom import Rom, RomState


def devices() -> Iterator[tuple[str, Device[Any]]]:
    yield from board().devices.items()
    yield "rom", Rom(RomState(bytearray(range(256)) * 256))


DEVICES = dict(devices())


def fresh(name: str) -> Device[Any]:
    return dict(devices())[name]


def test_every_device_class_is_under_this_contract() -> None:
    built = {kind for device in DEVICES.values() for kind in type(device).__mro__}

    assert sorted(kind.__name__ for kind in device_types() - built) == []


@pytest.mark.parametrize("name", DEVICES)
def test_saving_and_restoring_changes_nothing(name: str) -> None:
    device = fresh(name)
    before = to_plain(device.save())

    device.load(through_a_file(device.save()))

    assert to_plain(device.save()) == before
    assert to_plain(fresh(name).save()) == before


@pytest.mark.parametrize("name", DEVICES)
def test_a_saved_state_shares_nothing_with_the_device(name: str) -> None:
    device = fresh(name)
    saved = device.save()
    before = to_plain(saved)

    for path in leaves(device.state):
        _, _, spec = holder(device.state, path)
        put_at(device.state, path, next(other_values(value_at(device.state, path), spec)))

    assert to_plain(saved) == before


@pytest.mark.parametrize("name", DEVICES)
def test_every_field_matters_and_survives_a_restore_elsewhere(name: str) -> None:
    """Another value of the field is there after a restore, or contradicts the others."""
    silent = []
    original = fresh(name).save()
    target = fresh(name)
    for path in leaves(original):
        changed = clone(original)
        _, _, spec = holder(changed, path)
        shown = False
        for other in other_values(value_at(original, path), spec):
            put_at(changed, path, other)
            try:
                target.load(through_a_file(clone(changed)))
            except RecordError:
                shown = True
                continue
            if value_at(target.save(), path) == other:
                shown = True
                break
        if not shown:
            silent.append(".".join(map(str, path)))

    assert silent == []
