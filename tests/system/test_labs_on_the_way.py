# SPDX-License-Identifier: BSD-2-Clause
"""A lab is moved while frames are on their way on a link that loses some."""

from __future__ import annotations

import json
import struct
import tempfile
import time
from pathlib import Path

from support.small_lab import until
from support.talking_lab import FRAMES, talking
from support.vmmgr import Vmmgr

WAITS = f"""
        jz 2f
        cmp ebp, {FRAMES // 2}
        jne 2f
        mov dx, 0x3f8
        mov al, '.'
        out dx, al
        mov dx, 0x3fd
1:      in al, dx               /* until a byte comes from the console */
        test al, 1
        jz 1b
        mov dx, 0x3f8
        in al, dx
2:      test ebp, ebp
"""
SLOW = 'latency = "10s"\nbandwidth = "10M"'
"""Longer than a guest that waits is given in a minute of the host; one that sleeps skips it."""


def contents(capture: Path) -> list[bytes]:
    """The frames of a pcap file, without their times."""
    data, at, found = capture.read_bytes(), 24, []
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return found


def link(vmmgr: Vmmgr) -> dict[str, int]:
    """What its status says of the cards on the lossy link, added up."""
    links = json.loads(vmmgr("status", "duo", "--json").stdout)["links"]
    cards = next(link["cards"] for link in links if link["name"] == "there")
    return {key: sum(card[key] for card in cards) for key in ("sent", "received", "lost")}


def heard(vmmgr: Vmmgr) -> bytes:
    """What the machine that hears has printed when all frames have arrived or are lost."""
    until(vmmgr, "duo/talks", "!")
    log = vmmgr.home / "state/duo/machines/hears/lpc.com1.log"
    give_up = time.monotonic() + 60
    while (told := link(vmmgr))["received"] + told["lost"] < FRAMES:
        assert time.monotonic() < give_up, told
    while log.stat().st_size < told["received"]:
        assert time.monotonic() < give_up, told
    vmmgr("down", "duo")
    return log.read_bytes()


def test_frames_on_their_way_arrive_where_the_lab_has_been_moved(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    file = talking(tmp_path, WAITS, SLOW)
    capture = tmp_path / "there.pcap"
    vmmgr("up", file, "-d")
    vmmgr("send", "duo/talks", "x")
    undisturbed = heard(vmmgr)
    frames = contents(capture)
    assert len(frames) == FRAMES
    vmmgr("rm", "duo", "--force")

    vmmgr("up", file, "-d")
    until(vmmgr, "duo/talks", ".")
    vmmgr("suspend", "duo")
    saved = json.loads(vmmgr("snapshot", "show", "duo", "--json").stdout)
    assert saved["wires"]["links"]["there"]["flying"], "nothing is on its way"
    vmmgr("snapshot", "export", "duo", tmp_path / "duo.zst")
    vmmgr("rm", "duo", "--force")
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder:
        elsewhere = Vmmgr(Path(folder))
        elsewhere("snapshot", "import", tmp_path / "duo.zst", "duo")
        elsewhere("resume", "duo", "-d")
        try:
            elsewhere("send", "duo/talks", "x")
            assert heard(elsewhere) == undisturbed
        finally:
            elsewhere.any("down", "duo")

    assert contents(capture) == frames
