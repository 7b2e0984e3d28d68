# SPDX-License-Identifier: BSD-2-Clause
"""Machine files to start from, and the tiny guest of the smallest one."""

from __future__ import annotations

from importlib.resources import files

TEMPLATES = {
    "minimal": "a few bytes of guest that say hello on COM1 (default)",
    "linux": "a Linux kernel with its console on COM1",
    "firmware": "a ROM such as SeaBIOS",
}


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
