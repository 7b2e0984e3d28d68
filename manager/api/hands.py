# SPDX-License-Identifier: BSD-2-Clause
"""A machine's keyboard and mouse. What is done with them arrives as the machine runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager.machine import keystrokes

if TYPE_CHECKING:
    from manager.machine.machine import Machine as Core


class Keyboard:
    """A keyboard of US layout. Keys are called by their character, or enter, f1, ctrl, ...

    All methods raise UsageError for a machine without one, and for a key that it has not.
    """

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        """Use `Machine.keyboard`."""
        self._core = core

    def type(self, text: str) -> None:
        """Type a text; a newline in it is Enter, a tab is Tab."""
        keystrokes.press(self._core, keystrokes.typed(text))

    def press(self, keys: str) -> None:
        """Press a key and release it, while others are held: "enter", "ctrl-alt-delete"."""
        keystrokes.press(self._core, keystrokes.pressed(keys))

    def down(self, key: str) -> None:
        """Press a key and hold it. It repeats while it is held."""
        keystrokes.press(self._core, keystrokes.event(key, down=True))

    def up(self, key: str) -> None:
        """Release a key."""
        keystrokes.press(self._core, keystrokes.event(key, down=False))


class Mouse:
    """A mouse with three buttons and a wheel. A guest that has no driver for it does not notice.

    All methods raise UsageError for a machine without one, and for a button that it has not.
    """

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        """Use `Machine.mouse`."""
        self._core = core

    def move(self, right: int, down: int) -> None:
        """Move by so many steps; the guest decides how far that is on the screen."""
        keystrokes.move(self._core, keystrokes.moved(right, down))

    def scroll(self, steps: int) -> None:
        """Turn the wheel: away from the user, or towards them if `steps` is negative."""
        keystrokes.move(self._core, keystrokes.moved(turn=steps))

    def click(self, button: str = "left") -> None:
        """Press a button and release it: left, right or middle."""
        self.down(button)
        self.up(button)

    def down(self, button: str = "left") -> None:
        """Press a button and hold it."""
        keystrokes.move(self._core, keystrokes.moved(press=button))

    def up(self, button: str = "left") -> None:
        """Release a button."""
        keystrokes.move(self._core, keystrokes.moved(release=button))
