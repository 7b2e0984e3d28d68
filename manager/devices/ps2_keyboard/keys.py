# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a keyboard with 104 of them, by name, and what they send.

A key's number is its usage on page 7 of the USB HID usage tables, which no scancode set changes.
Sources: HID Usage Tables 1.4, section 10; IBM PS/2 Hardware Interface Technical Reference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

EXTENDED = 0xE0
"""Goes before the code of set 2 of a key that the IBM PC AT did not have."""


def _rows(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Name, number, code of set 2 (with E0h before it if that is so), code of set 3."""
    for line in text.strip().splitlines():
        name, number, second, third = line.split()
        yield name, int(number, 16), int(second, 16), int(third, 16)


_KEYS = tuple(
    _rows("""
    a            04     1c   1c
    b            05     32   32
    c            06     21   21
    d            07     23   23
    e            08     24   24
    f            09     2b   2b
    g            0a     34   34
    h            0b     33   33
    i            0c     43   43
    j            0d     3b   3b
    k            0e     42   42
    l            0f     4b   4b
    m            10     3a   3a
    n            11     31   31
    o            12     44   44
    p            13     4d   4d
    q            14     15   15
    r            15     2d   2d
    s            16     1b   1b
    t            17     2c   2c
    u            18     3c   3c
    v            19     2a   2a
    w            1a     1d   1d
    x            1b     22   22
    y            1c     35   35
    z            1d     1a   1a
    1            1e     16   16
    2            1f     1e   1e
    3            20     26   26
    4            21     25   25
    5            22     2e   2e
    6            23     36   36
    7            24     3d   3d
    8            25     3e   3e
    9            26     46   46
    0            27     45   45
    enter        28     5a   5a
    esc          29     76   08
    backspace    2a     66   66
    tab          2b     0d   0d
    space        2c     29   29
    minus        2d     4e   4e
    equal        2e     55   55
    bracketleft  2f     54   54
    bracketright 30     5b   5b
    backslash    31     5d   5c
    semicolon    33     4c   4c
    apostrophe   34     52   52
    grave        35     0e   0e
    comma        36     41   41
    period       37     49   49
    slash        38     4a   4a
    capslock     39     58   14
    f1           3a     05   07
    f2           3b     06   0f
    f3           3c     04   17
    f4           3d     0c   1f
    f5           3e     03   27
    f6           3f     0b   2f
    f7           40     83   37
    f8           41     0a   3f
    f9           42     01   47
    f10          43     09   4f
    f11          44     78   56
    f12          45     07   5e
    print        46   e07c   57
    scrolllock   47     7e   5f
    pause        48     00   62
    insert       49   e070   67
    home         4a   e06c   6e
    pageup       4b   e07d   6f
    delete       4c   e071   64
    end          4d   e069   65
    pagedown     4e   e07a   6d
    right        4f   e074   6a
    left         50   e06b   61
    down         51   e072   60
    up           52   e075   63
    numlock      53     77   76
    kpslash      54   e04a   77
    kpasterisk   55     7c   7e
    kpminus      56     7b   84
    kpplus       57     79   7c
    kpenter      58   e05a   79
    kp1          59     69   69
    kp2          5a     72   72
    kp3          5b     7a   7a
    kp4          5c     6b   6b
    kp5          5d     73   73
    kp6          5e     74   74
    kp7          5f     6c   6c
    kp8          60     75   75
    kp9          61     7d   7d
    kp0          62     70   70
    kpperiod     63     71   71
    102nd        64     61   13
    menu         65   e02f   8d
    ctrl         e0     14   11
    shift        e1     12   12
    alt          e2     11   19
    meta         e3   e01f   8b
    rctrl        e4   e014   58
    rshift       e5     59   59
    ralt         e6   e011   39
    rmeta        e7   e027   8c
""")
)

NUMBERS: Mapping[str, int] = {name: number for name, number, _, _ in _KEYS}
NAMES: Mapping[int, str] = {number: name for name, number in NUMBERS.items()}
OTHER_NAMES: Mapping[str, str] = {
    "return": "enter",
    "escape": "esc",
    "del": "delete",
    "ins": "insert",
    "pgup": "pageup",
    "pgdn": "pagedown",
    "control": "ctrl",
    "win": "meta",
    "super": "meta",
    "altgr": "ralt",
}

_PRINT, _PAUSE, _ALT, _RIGHT_ALT = 0x46, 0x48, 0xE2, 0xE6
_CONTROLS = (0xE0, 0xE4)
_MODIFIERS = range(0xE0, 0xE8)
_TYPEWRITER = (*range(0x04, 0x39), *range(0x4F, 0x53), 0x4C, 0x64)
_ALL_TYPEMATIC, _ALL_MAKE_BREAK, _ALL_BOTH = 0xF7, 0xF8, 0xFA
_SET_2 = {number: code for _, number, code, _ in _KEYS}
_SET_3 = {number: code for _, number, _, code in _KEYS}
_BREAK = 0xF0


def repeats(number: int, scancode_set: int, mode: int) -> bool:
    """Whether a key repeats while it is held. `mode` is command F7h to FAh, for set 3; 0 for none.

    As powered on, set 3 repeats the keys of a typewriter alone.
    """
    if scancode_set != 3:
        return number != _PAUSE
    if mode:
        return mode in (_ALL_TYPEMATIC, _ALL_BOTH)
    return number in _TYPEWRITER


def tells_release(number: int, scancode_set: int, mode: int) -> bool:
    """Whether a key says that it went up; as powered on, in set 3 the modifiers alone do."""
    if scancode_set != 3:
        return number != _PAUSE
    if mode:
        return mode in (_ALL_MAKE_BREAK, _ALL_BOTH)
    return number in _MODIFIERS


def made(number: int, scancode_set: int, held: Collection[int]) -> bytes:
    """What a key sends as it goes down (and again as it repeats) while those `held` are down."""
    if scancode_set == 3:
        return bytes((_SET_3[number],))
    if number == _PAUSE:
        if any(key in held for key in _CONTROLS):
            return b"\xe0\x7e\xe0\xf0\x7e"  # Break
        return b"\xe1\x14\x77\xe1\xf0\x14\xf0\x77"
    if number == _PRINT:
        if _ALT in held or _RIGHT_ALT in held:
            return b"\x84"  # SysRq
        return b"\xe0\x12\xe0\x7c"
    return _in_set_2(number)


def broken(number: int, scancode_set: int, held: Collection[int]) -> bytes:
    """What it sends as it goes up."""
    if scancode_set == 3:
        return bytes((_BREAK, _SET_3[number]))
    if number == _PRINT:
        if _ALT in held or _RIGHT_ALT in held:
            return b"\xf0\x84"
        return b"\xe0\xf0\x7c\xe0\xf0\x12"
    *before, code = _in_set_2(number)
    return bytes((*before, _BREAK, code))


def _in_set_2(number: int) -> bytes:
    code = _SET_2[number]
    return bytes((code >> 8, code & 0xFF)) if code >> 8 else bytes((code,))
