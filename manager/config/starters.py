# SPDX-License-Identifier: BSD-2-Clause
"""Machine files to start from, and the tiny guest of the smallest one."""

from __future__ import annotations

from importlib.resources import files

TEMPLATES = {
    "minimal": "a few bytes of guest that say hello on COM1 (default)",
    "linux": "a Linux kernel with its console on COM1",
    "firmware": "a ROM such as SeaBIOS",
}

_TALKS = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007cfcbb00c0be677ce84300bea07cba10c0b93c00f36ebe8a7ce83200ba07c0eca8"
    "0174fbbe957ce82400bf0070ba10c0b92e00f36cc60500be0070baf803ac84c07403eeebf8ba0406b80034ef"
    "f4ac3cff740889da08c2aceeebf3c300210e4801460280034607ff0d000061074700220c140f01080009400a"
    "3c0b000012ff07400440053c06000026ff081209470a2e0b00000affffffffffffff02000000000188b5"
)
"""tests/support/ne2k_guests.py, GREETING, assembled for 0x7c00."""
_SAYS = 46
"""Bytes that it sends: what fills the shortest frame of Ethernet."""


def starter(template: str, name: str) -> str:
    """The text of a new machine file."""
    path = files("manager.config") / "templates" / f"{template}.toml"
    return path.read_text(encoding="utf-8").replace("@NAME@", name)


def greeting_guest(name: str) -> bytes:
    """A flat 16-bit program for 0x7c00: prints a line on COM1, then powers off through ACPI.

    Its bytes are, in order: xor ax, ax; mov ds, ax; cld; mov si, text; mov dx, 0x3f8;
    next: lodsb; test al, al; jz end; out dx, al; jmp next;
    end: mov dx, 0x604 (PM1 control); mov ax, 0x3400 (sleep type 5, sleep enable); out dx, ax; hlt.
    """
    code = bytes.fromhex("31c0 8ed8 fc be0000 baf803 ac 84c0 7403 ee ebf8 ba0406 b80034 ef f4")
    text = 0x7C00 + len(code)
    code = code[:6] + text.to_bytes(2, "little") + code[8:]
    return code + f"Hello from {name}\r\n".encode() + b"\0"


def starting_lab(name: str) -> dict[str, bytes]:
    """File name -> content of a new lab of two machines, which greet each other over a link."""
    found = {
        f"{name}.toml": starter("lab", name).encode(),
        f"{name}-machine.toml": starter("lab-machine", name).encode(),
    }
    for machine in ("one", "two"):
        found[f"{name}-{machine}.bin"] = _TALKS + f"Hello from {machine}\r\n".encode().ljust(
            _SAYS, b"\0"
        )
    return found
