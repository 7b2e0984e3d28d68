# SPDX-License-Identifier: BSD-2-Clause
"""How two pictures differ, in words and as an image."""

from __future__ import annotations

from manager.lazy import dataclass
from manager.screen.picture import Picture

RED = b"\xff\x00\x00"
DIM = bytes(n // 3 for n in range(256))


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the second picture is not the first."""

    words: str
    image: Picture
    """The second picture, dark, and red where it differs."""


def difference(first: Picture, second: Picture) -> Difference | None:
    """What differs; None if nothing does."""
    if first == second:
        return None
    dark = bytearray(second.pixels.translate(DIM))
    size = f"{second.width}x{second.height}"
    if (first.width, first.height) != (second.width, second.height):
        words = f"it is {size}, not {first.width}x{first.height}"
        return Difference(words, Picture(second.width, second.height, bytes(dark)))
    rows, columns, count = set(), set(), 0
    row = 3 * second.width
    for y in range(second.height):
        if first.pixels[y * row : (y + 1) * row] == second.pixels[y * row : (y + 1) * row]:
            continue
        for at in range(y * row, (y + 1) * row, 3):
            if first.pixels[at : at + 3] != second.pixels[at : at + 3]:
                dark[at : at + 3] = RED
                columns.add(at % row // 3)
                count += 1
        rows.add(y)
    place = f"x {min(columns)}-{max(columns)}, y {min(rows)}-{max(rows)}"
    words = f"{count} dots of {size} differ, at {place}"
    return Difference(words, Picture(second.width, second.height, bytes(dark)))
