# SPDX-License-Identifier: BSD-2-Clause
"""A real Debian on its disk, from SeaBIOS to the login, over a suspend and back in time.

Long, about two minutes and as many for the disk: it is what a user of a virtual machine does, with
firmware, boot loader, initrd, file system and init that are all Debian's.
"""

from __future__ import annotations

import re

import pytest
from support.built_debian import debian_disk
from support.debian import package
from support.needs import needs
from support.vmmgr import Vmmgr

pytestmark = [pytest.mark.guest, needs("mmdebstrap", "mke2fs", "grub-mkimage")]

MACHINE = "machines/debian.toml"
PROMPT = "root@debian:~# "
DIGEST = r"([0-9a-f]{64})  f\r?\n"


def test_debian_boots_from_its_disk_and_its_files_follow_the_machine(vmmgr: Vmmgr) -> None:
    debian_disk()
    firmware = package("seabios") / "usr/share/seabios/bios-256k.bin"
    vmmgr("up", MACHINE, "-d", "--set", f"boot.firmware={firmware}", timeout=600)
    boot = vmmgr("logs", "debian").stdout
    shell = vmmgr.terminal("console", "debian")
    shell.send("root\r")
    shell.expect_exact(PROMPT)
    shell.send("seq 1 100000 > f; sync; sha256sum f\r")
    shell.expect(DIGEST)
    written = shell.match[1]
    shell.close()

    vmmgr("suspend", "debian")
    vmmgr("resume", "debian", "-d")
    shell = vmmgr.terminal("console", "debian")
    shell.send("echo 3 > /proc/sys/vm/drop_caches; sha256sum f; sleep 4; echo rested\r")
    shell.expect(DIGEST)
    read = shell.match[1]
    shell.expect("\nrested")
    shell.send("rm f; sync; ls f\r")
    shell.expect("cannot access 'f'")
    shell.close()
    vmmgr("rewind", "debian", "3s")
    shell = vmmgr.terminal("console", "debian")
    shell.expect("\nrested")
    shell.send("sha256sum f\r")
    shell.expect(DIGEST)
    brought_back = shell.match[1]
    shell.close()
    vmmgr("down", "debian")

    assert re.search(r"SeaBIOS \(version.*GRUB.*Debian GNU/Linux 12 debian ttyS0", boot, re.DOTALL)
    assert read == written
    assert brought_back == written
