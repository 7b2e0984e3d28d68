# SPDX-License-Identifier: BSD-2-Clause
"""gdb at each of two machines of a lab: what stops one holds the time of all."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

from support.assembler import assemble
from support.small_lab import ANSWERER, LOAD, counter, lab, until
from support.vmmgr import Vmmgr

PC = "p8"
"""EIP."""
COUNT = 300


class Remote:
    """One end of gdb's remote protocol."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._heard = b""

    def send(self, packet: str) -> None:
        total = sum(packet.encode()) & 0xFF
        self._socket.sendall(f"${packet}#{total:02x}".encode())

    def hear(self) -> str:
        """The next packet."""
        while (match := re.search(rb"\$([^#]*)#..", self._heard)) is None:
            data = self._socket.recv(4096)
            assert data, "the connection is gone"
            self._heard += data
        self._heard = self._heard[match.end() :]
        self._socket.sendall(b"+")
        return match[1].decode()

    def ask(self, packet: str) -> str:
        self.send(packet)
        return self.hear()

    def pc(self) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(PC)), "little")

    def close(self) -> None:
        self._socket.close()


def now(vmmgr: Vmmgr) -> int:
    time: int = json.loads(vmmgr("status", "duo", "--json").stdout)["virtual_time_ns"]
    return time


def stands(vmmgr: Vmmgr) -> bool:
    return now(vmmgr) == now(vmmgr)


def test_a_breakpoint_in_one_machine_holds_the_other_and_neither_notices(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    file = lab(tmp_path, asks=counter(COUNT), answers=ANSWERER)
    sockets = {name: vmmgr.home / name for name in ("asks", "answers")}
    for name, path in sockets.items():
        machine = tmp_path / f"{name}.toml"
        machine.write_text(machine.read_text() + f'[gdb]\nlisten = "{path}"\n')
    asks_at = LOAD + assemble(counter(COUNT), LOAD, 16).index(b"\x66\x31\xc9") + 3
    answers_at = LOAD + assemble(ANSWERER, LOAD, 16).index(b"\xfe\xc0")
    vmmgr("up", file, "-d")

    asks, answers = Remote(sockets["asks"]), Remote(sockets["answers"])
    assert asks.ask("?").startswith(("S", "T"))
    assert answers.ask("?").startswith(("S", "T"))
    assert stands(vmmgr)
    assert asks.ask(f"Z0,{asks_at:x},1") == "OK"
    assert answers.ask(f"Z0,{answers_at:x},1") == "OK"
    answers.send("c")
    asks.send("c")
    vmmgr("send", "duo/asks", "x")

    assert asks.hear().startswith("T05")  # the other runs, and its time does not pass
    assert asks.pc() == asks_at
    assert stands(vmmgr)
    asks.ask(f"z0,{asks_at:x},1")
    asks.send("c")
    assert answers.hear().startswith("T05")
    assert answers.pc() == answers_at
    assert stands(vmmgr)
    assert vmmgr("logs", "duo/asks").stdout == ""

    answers.ask(f"z0,{answers_at:x},1")
    assert answers.ask("D") == "OK"
    asks.close()
    assert until(vmmgr, "duo/asks", "!") == ".....!"
    answers.close()
