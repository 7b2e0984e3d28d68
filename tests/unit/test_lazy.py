# SPDX-License-Identifier: BSD-2-Clause
"""A class whose methods wait is what `dataclasses` makes of it, whatever is used first."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A frozen class with a default and a class variable."""

    KIND: ClassVar[str] = "place"
    bus: int
    slot: int = 3

    def __post_init__(self) -> None:
        if self.slot > 31:
            raise ValueError("no slot")


@dataclass(frozen=True, slots=True)
class Named(Place):
    """A class below it, with another default for a field of the one above."""

    slot: int = 4
    name: str = "x"


@dataclass(slots=True)
class Counter:
    """One that changes, with a default that is made anew."""

    count: int = 0
    seen: list[int] = dataclasses.field(default_factory=list)


def fresh(frozen: bool) -> type:
    """A class that was never used."""

    @dataclass(frozen=frozen, slots=True)
    class Fresh:
        """Not used yet."""

        first: int
        second: int = 2

    return Fresh


def test_instances_are_those_of_a_dataclass() -> None:
    assert repr(Named(1)) == "Named(bus=1, slot=4, name='x')"
    assert Place(1) == Place(1, 3) != Named(1, 3)
    assert len({Place(1), Place(bus=1), Place(2)}) == 2
    assert dataclasses.replace(Named(1), name="y") == Named(1, 4, "y")
    assert dataclasses.asdict(Counter(5)) == {"count": 5, "seen": []}
    with pytest.raises(ValueError, match="no slot"):
        Named(1, 32)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'bus'"):
        Place()  # type: ignore[call-arg]


def test_fields_have_slots_and_nothing_else_can_be_set() -> None:
    place, counter = Place(1), Counter()

    with pytest.raises(dataclasses.FrozenInstanceError):
        place.bus = 2  # type: ignore[misc]
    counter.count += 1
    with pytest.raises(AttributeError):
        counter.other = 1  # type: ignore[attr-defined]
    assert not hasattr(place, "__dict__")
    assert Named.__slots__ == ("name",)
    assert Counter().seen is not counter.seen
    with pytest.raises(TypeError, match="unhashable"):
        hash(counter)


@pytest.mark.parametrize(
    ("frozen", "use"),
    [
        (True, lambda cls: cls(1)),
        (True, dataclasses.fields),
        (True, dataclasses.is_dataclass),
        (True, lambda cls: cls.__match_args__),
        (True, lambda cls: cls.__init__(cls.__new__(cls), 1)),
        (True, lambda cls: hash(cls(1))),
        (False, lambda cls: cls(1) == cls(1, 2)),
        (False, lambda cls: repr(cls(first=1))),
        (False, lambda cls: copy.copy(cls(1))),
        (True, lambda cls: copy.deepcopy(cls(1))),
    ],
)
def test_whatever_is_used_first_makes_the_methods(frozen: bool, use: Callable[[type], Any]) -> None:
    cls = fresh(frozen)

    use(cls)

    assert [item.name for item in dataclasses.fields(cls)] == ["first", "second"]
    assert (cls(1), cls.__match_args__) == (cls(1, 2), ("first", "second"))


def test_a_pattern_and_a_class_below_of_dataclasses_own_find_the_fields() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Below(fresh(frozen=True)):  # type: ignore[misc]
        third: int = 3

    match Below(1):
        case Below(first, second, third):
            assert (first, second, third) == (1, 2, 3)


def test_instances_travel_between_processes() -> None:
    assert pickle.loads(pickle.dumps([Named(1), Counter(2, [3])])) == [Named(1), Counter(2, [3])]


def test_threads_that_use_a_class_first_meet_no_half_of_it() -> None:
    program = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from test_lazy import fresh

sys.setswitchinterval(1e-6)
everyone = Barrier(4)

def use(cls):
    everyone.wait()
    one = cls(1)
    assert repr(one).endswith("(first=1, second=2)")
    return one == cls(1, 2) and hash(one) == hash(cls(1))

with ThreadPoolExecutor(4) as pool:
    for _ in range(40):
        assert all(pool.map(use, [fresh(frozen=True)] * 4))
"""
    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=Path(__file__).parent, timeout=60
    )


def test_a_class_that_is_not_used_is_not_compiled() -> None:
    program = (
        "import dataclasses\n"
        "made = []\n"
        "real = dataclasses._process_class\n"
        "dataclasses._process_class = lambda cls, *a: made.append(cls) or real(cls, *a)\n"
        "import manager.devices.claims, manager.devices.host\n"
        "print([c.__qualname__ for c in made if c.__module__.startswith('manager')])\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert said.stdout == "[]\n"
