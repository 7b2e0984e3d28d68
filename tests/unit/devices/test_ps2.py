# SPDX-License-Identifier: BSD-2-Clause
"""A keyboard and a mouse as a guest sees them, through the keyboard controller."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from manager.bus.clock import Clock, ManualTime
from manager.bus.lines import Unconnected, Wire
from manager.bus.record import from_plain, to_plain
from manager.devices.keyboard.device import Keyboard, KeyboardState
from manager.devices.ps2.link import BYTE_TIME
from manager.devices.ps2_keyboard.device import KEY_TIME, Ps2Keyboard, Ps2KeyboardState
from manager.devices.ps2_keyboard.keys import NUMBERS
from manager.devices.ps2_mouse.device import EVENT, Ps2Mouse, Ps2MouseState

FULL, AUX = 0x01, 0x20
MS = 1_000_000
TRANSLATED, RAW = 0x47, 0x07
"""Command bytes: both ports on, both interrupts, with and without translation."""


class Desk:
    """The controller with both devices, their interrupts, and the time."""

    def __init__(self) -> None:
        self.time = ManualTime()
        self.clock = Clock(self.time)
        self.edges = {1: 0, 12: 0}
        self.controller = Keyboard(Wire(self._edge(1)), lambda _: None, lambda: None)
        self.keyboard = Ps2Keyboard(self.controller.first, self.clock)
        self.mouse = Ps2Mouse(self.controller.second, self.clock)
        self.controller.first.plug(self.keyboard, Unconnected())
        self.controller.second.plug(self.mouse, Wire(self._edge(12)))

    def _edge(self, irq: int):  # type: ignore[no-untyped-def]
        def changed(level: bool) -> None:
            self.edges[irq] += level

        return changed

    def command(self, value: int, *data: int) -> None:
        self.controller.command_port.write_port(0, value)
        for byte in data:
            self.controller.write_port(0, byte)

    def status(self) -> int:
        return self.controller.command_port.read_port(0)

    def wait(self, ns: int) -> None:
        self.time.advance(self.clock, ns)

    def read(self, *, within: int = 20 * MS) -> tuple[int, ...]:
        """What a guest reads that looks at the port each 0.1 ms."""
        found = []
        for _ in range(within // 100_000):
            if self.status() & FULL:
                found.append(self.controller.read_port(0))
            self.wait(100_000)
        return tuple(found)

    def ask_keyboard(self, *data: int) -> tuple[int, ...]:
        for byte in data:
            self.controller.write_port(0, byte)
        return self.read()

    def ask_mouse(self, *data: int) -> tuple[int, ...]:
        for byte in data:
            self.command(0xD4, byte)
        return self.read(within=30 * MS)

    def down(self, *names: str) -> None:
        self.keyboard.press(bytes(part for name in names for part in (NUMBERS[name], 1)))

    def up(self, *names: str) -> None:
        self.keyboard.press(bytes(part for name in names for part in (NUMBERS[name], 0)))

    def move(self, right: int, down: int, turn: int = 0, buttons: int = 0) -> None:
        self.mouse.move(EVENT.pack(right, down, turn, buttons, 7 & ~buttons))


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.command(0x60, TRANSLATED)
    return desk


def hex_of(codes: Iterable[int]) -> str:
    return bytes(codes).hex(" ")


# -- the keyboard -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "translated", "raw"),
    [
        ("a", "1e 9e", "1c f0 1c"),
        ("f7", "41 c1", "83 f0 83"),
        ("up", "e0 48 e0 c8", "e0 75 e0 f0 75"),
        ("rctrl", "e0 1d e0 9d", "e0 14 e0 f0 14"),
        ("print", "e0 2a e0 37 e0 b7 e0 aa", "e0 12 e0 7c e0 f0 7c e0 f0 12"),
        ("pause", "e1 1d 45 e1 9d c5", "e1 14 77 e1 f0 14 f0 77"),
    ],
)
def test_a_key_sends_its_codes(desk: Desk, key: str, translated: str, raw: str) -> None:
    desk.down(key)
    desk.up(key)
    first = desk.read(within=60 * MS)
    desk.command(0x60, RAW)
    desk.down(key)
    desk.up(key)

    assert hex_of(first) == translated
    assert hex_of(desk.read(within=60 * MS)) == raw


@pytest.mark.parametrize(("number", "codes"), [(1, "1e 9e"), (2, "1c f0 1c"), (3, "1c")])
def test_the_keyboard_has_three_sets_of_scancodes(desk: Desk, number: int, codes: str) -> None:
    desk.command(0x60, RAW)
    assert desk.ask_keyboard(0xF0, number) == (0xFA, 0xFA)
    assert desk.ask_keyboard(0xF0, 0) == (0xFA, 0xFA, number)

    desk.down("a")
    desk.up("a")

    assert hex_of(desk.read(within=60 * MS)) == codes


def test_set_3_tells_of_releases_when_asked(desk: Desk) -> None:
    desk.command(0x60, RAW)
    desk.ask_keyboard(0xF0, 3)
    desk.ask_keyboard(0xF8)
    desk.down("f1")
    desk.up("f1")

    assert hex_of(desk.read(within=60 * MS)) == "07 f0 07"


def test_sysrq_and_break_are_keys_of_their_own(desk: Desk) -> None:
    desk.down("alt", "print")
    desk.up("print", "alt")
    sysrq = desk.read(within=80 * MS)
    desk.down("ctrl", "pause")

    assert hex_of(sysrq) == "38 54 d4 b8"
    assert hex_of(desk.read(within=60 * MS)) == "1d e0 46 e0 c6"


def test_each_byte_is_an_interrupt_and_takes_its_time(desk: Desk) -> None:
    desk.down("up")
    desk.wait(BYTE_TIME - 1)
    before = desk.edges[1]
    desk.wait(1)
    first = desk.edges[1]
    desk.controller.read_port(0)
    desk.wait(BYTE_TIME)

    assert (before, first, desk.edges[1], desk.edges[12]) == (0, 1, 2, 0)


def test_keys_wait_for_a_guest_that_does_not_read(desk: Desk) -> None:
    typed = list("abcdefghijklmnopqrstuvwxyz")
    for key in typed:
        desk.down(key)
        desk.up(key)
    desk.wait(5_000 * MS)

    codes = desk.read(within=2 * 26 * (KEY_TIME + 4 * MS))

    assert len(codes) == 2 * 26
    assert [code | 0x80 for code in codes[::2]] == list(codes[1::2])


def test_keys_keep_their_distance(desk: Desk) -> None:
    desk.down("a")
    desk.up("a")

    assert desk.read(within=KEY_TIME) == (0x1E,)
    assert desk.read(within=3 * MS) == (0x9E,)


def test_keys_wait_while_the_port_is_disabled(desk: Desk) -> None:
    desk.command(0xAD)
    desk.down("a")
    silent = desk.read()
    desk.command(0xAE)

    assert (silent, desk.read()) == ((), (0x1E,))


def test_keys_wait_while_scanning_is_off(desk: Desk) -> None:
    assert desk.ask_keyboard(0xF5) == (0xFA,)
    desk.down("a")
    silent = desk.read()

    assert silent == ()
    assert desk.ask_keyboard(0xF4) == (0xFA, 0x1E)


def test_keys_that_wait_outlive_a_reset(desk: Desk) -> None:
    desk.command(0xAD)
    desk.down("a")
    desk.keyboard.reset()
    desk.controller.reset()

    assert desk.read() == (0x1C,)


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ((0xEE,), "ee"),
        ((0xF2,), "fa ab 41"),
        ((0xFF,), "fa aa"),
        ((0xED, 0x07), "fa fa"),
        ((0xF3, 0x00), "fa fa"),
        ((0xF6,), "fa"),
        ((0xFA,), "fa"),
        ((0xFB, 0x1C, 0x32), "fa fa fa"),
        ((0x42,), "fe"),
        ((0xEF,), "fe"),
        ((0xF0, 0x09), "fa fe"),
    ],
)
def test_the_keyboard_answers(desk: Desk, told: tuple[int, ...], answer: str) -> None:
    assert hex_of(desk.ask_keyboard(*told)) == answer


def test_the_keyboard_says_again_what_it_said_last(desk: Desk) -> None:
    desk.ask_keyboard(0xEE)

    assert desk.ask_keyboard(0xFE) == (0xEE,)


def test_lights_are_as_the_guest_sets_them(desk: Desk) -> None:
    desk.ask_keyboard(0xED, 0x06)

    assert desk.keyboard.state.leds == 6


def test_a_command_cancels_one_that_waits_for_its_byte(desk: Desk) -> None:
    assert desk.ask_keyboard(0xED, 0xEE) == (0xFA, 0xEE)
    assert desk.keyboard.state.leds == 0


def test_a_key_that_is_held_repeats(desk: Desk) -> None:
    desk.down("x", "y")
    first = desk.read(within=450 * MS)
    later = desk.read(within=1_000 * MS)
    desk.up("y")
    last = desk.read(within=1_000 * MS)

    assert first == (0x2D, 0x15)
    assert set(later) == {0x15}
    assert len(later) in (10, 11)
    assert last == (0x95,)


def test_the_guest_chooses_how_fast_keys_repeat(desk: Desk) -> None:
    desk.ask_keyboard(0xF3, 0x00)
    desk.down("x")

    assert len(desk.read(within=240 * MS)) == 1
    assert len(desk.read(within=1_000 * MS)) in (29, 30)


def test_a_key_has_no_second_press_while_it_is_held(desk: Desk) -> None:
    desk.down("a", "a")
    desk.up("a", "a", "b")

    assert desk.read(within=60 * MS) == (0x1E, 0x9E)


# -- the controller ---------------------------------------------------------------------------


def test_the_second_port_is_there_with_a_mouse(desk: Desk) -> None:
    shown = []
    for command in (0xA7, 0xA8):
        desk.command(command)
        desk.command(0x20)
        shown.append(desk.controller.read_port(0) & 0x20)
    desk.command(0xA9)

    assert (shown, desk.controller.read_port(0)) == ([0x20, 0], 0)


def test_bytes_written_to_the_second_buffer_come_back_as_the_mouse_s(desk: Desk) -> None:
    desk.command(0xD3, 0x5A)

    assert desk.status() & (FULL | AUX) == FULL | AUX
    assert desk.edges == {1: 0, 12: 1}
    assert desk.controller.read_port(0) == 0x5A


def test_without_firmware_a_controller_with_a_keyboard_is_set_up() -> None:
    bare = Keyboard(Unconnected(), lambda _: None, lambda: None, has_firmware=False)
    bare.command_port.write_port(0, 0x20)
    alone = bare.read_port(0)
    bare.first.plug(Ps2Keyboard(bare.first, Clock(ManualTime())), Unconnected())
    bare.command_port.write_port(0, 0x20)

    assert (alone, bare.read_port(0)) == (0x20, 0x65)


def test_a_controller_of_version_0_1_goes_on(desk: Desk) -> None:
    old = to_plain(desk.controller.save())
    del old["break_code"]

    record = from_plain(KeyboardState, old, 1, "board.keyboard")

    assert record == desk.controller.save()


# -- the mouse --------------------------------------------------------------------------------


def test_motion_is_lost_until_the_mouse_may_report(desk: Desk) -> None:
    desk.move(5, 5)
    assert desk.ask_mouse(0xF4) == (0xFA,)
    desk.move(3, 2)

    assert hex_of(desk.read()) == "28 03 fe"
    assert (desk.edges[12] > 0, desk.edges[1]) == (True, 0)


def test_a_long_way_takes_several_reports(desk: Desk) -> None:
    desk.ask_mouse(0xF4)
    desk.move(-300, -256)

    assert hex_of(desk.read(within=40 * MS)) == "18 01 ff 18 d3 01"


def test_a_click_is_two_reports(desk: Desk) -> None:
    desk.ask_mouse(0xF4)
    desk.mouse.move(EVENT.pack(0, 0, 0, 1, 0) + EVENT.pack(0, 0, 0, 0, 1))

    assert hex_of(desk.read(within=40 * MS)) == "09 00 00 08 00 00"


def test_reports_come_at_the_sample_rate(desk: Desk) -> None:
    desk.ask_mouse(0xF3, 20)
    desk.ask_mouse(0xF4)
    desk.mouse.move(EVENT.pack(1, 0, 0, 0, 0) * 20)

    assert len(desk.read(within=500 * MS)) in (30, 33)


def test_a_wheel_is_there_for_who_knocks(desk: Desk) -> None:
    plain = desk.ask_mouse(0xF2)
    for rate in (200, 100, 80):
        assert desk.ask_mouse(0xF3, rate) == (0xFA, 0xFA)
    wheel = desk.ask_mouse(0xF2)
    desk.ask_mouse(0xF4)
    desk.move(0, 0, 1)
    reports = desk.read(within=30 * MS)

    assert (plain, wheel) == ((0xFA, 0), (0xFA, 3))
    assert hex_of(reports) == "08 00 00 ff"
    assert desk.ask_mouse(0xFF) == (0xFA, 0xAA, 0)
    assert desk.ask_mouse(0xF2) == (0xFA, 0)


def test_a_mouse_in_remote_mode_is_asked(desk: Desk) -> None:
    desk.ask_mouse(0xF0)
    desk.move(1, 0)
    desk.move(0, -2, 0, 2)
    silent = desk.read()

    assert silent == ()
    assert hex_of(desk.ask_mouse(0xEB)) == "fa 08 01 00"
    assert hex_of(desk.ask_mouse(0xEB)) == "fa 0a 00 02"
    assert hex_of(desk.ask_mouse(0xEB)) == "fa 0a 00 00"


def test_scaling_is_for_reports_of_its_own(desk: Desk) -> None:
    desk.ask_mouse(0xE7)
    desk.ask_mouse(0xF4)
    desk.move(4, -10)

    assert hex_of(desk.read()) == "08 06 14"


def test_the_mouse_tells_its_state(desk: Desk) -> None:
    desk.ask_mouse(0xE8, 3)
    desk.ask_mouse(0xE7)
    desk.ask_mouse(0xF4)

    assert hex_of(desk.ask_mouse(0xE9)) == "fa 30 03 64"


@pytest.mark.parametrize("told", [(0xE8, 4), (0xF3, 7)])
def test_the_mouse_refuses_what_it_cannot(desk: Desk, told: tuple[int, int]) -> None:
    assert desk.ask_mouse(*told) == (0xFA, 0xFE)


def test_wrap_mode_sends_back_what_comes(desk: Desk) -> None:
    desk.ask_mouse(0xEE)

    assert desk.ask_mouse(0xF4, 0x12) == (0xF4, 0x12)
    assert desk.ask_mouse(0xEC) == (0xFA,)
    assert desk.ask_mouse(0x12) == (0xFE,)


def test_keys_and_motion_at_once_both_arrive(desk: Desk) -> None:
    desk.ask_mouse(0xF4)
    desk.down("a")
    desk.move(1, 1)
    from_mouse, from_keyboard = [], []
    for _ in range(200):
        status = desk.status()
        if status & FULL:
            side = from_mouse if status & AUX else from_keyboard
            side.append(desk.controller.read_port(0))
        desk.wait(100_000)

    assert (hex_of(from_keyboard), hex_of(from_mouse)) == ("1e", "28 01 ff")


# -- any guest, any input ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_any_guest_leaves_a_state_that_a_restore_continues(seed: int) -> None:
    chance = random.Random(seed)
    desk, twin = Desk(), Desk()
    for step in range(800):
        act, value, more = chance.randrange(8), chance.randrange(256), chance.randbytes(14)
        ns = chance.choice((1_000, 500_000, 20 * MS, 700 * MS))
        if step == 400:
            plain = [to_plain(each.save()) for each in parts(desk)]
            kinds = (KeyboardState, Ps2KeyboardState, Ps2MouseState)
            twin.time.value = desk.time.value
            for device, kind, state in zip(parts(twin), kinds, plain, strict=True):
                device.load(from_plain(kind, state, kind.VERSION, "it"))
        seen = []
        for one in (desk, twin):
            if act == 0:
                one.command(value)
            elif act == 1:
                one.controller.write_port(0, value)
            elif act == 2:
                one.command(0xD4, value)
            elif act == 3:
                one.keyboard.press(more)
                one.down("a", "shift", "print")
            elif act == 4:
                one.mouse.move(more)
            elif act == 5:
                one.command(0x60, value & 0x4F)
            elif act == 6:
                one.command(0xD4, 0xF4)
            else:
                one.wait(ns)
            seen.append((one.status(), one.controller.read_port(0) if value & 1 else 0))
        assert step < 400 or seen[0] == seen[1], step
    assert [each.save() for each in parts(desk)] == [each.save() for each in parts(twin)]


def parts(desk: Desk):  # type: ignore[no-untyped-def]
    return desk.controller, desk.keyboard, desk.mouse
