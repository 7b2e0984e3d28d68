# SPDX-License-Identifier: BSD-2-Clause
"""Command lines of vmrun.sh, the script that FreeBSD brings to start bhyve with.

Its options are turned into those that it would give to bhyve.
"""

from __future__ import annotations

import getopt

from manager.errors import UsageError

_OPTIONS = "aAc:C:d:e:Ef:F:G:hH:iI:l:L:m:n:p:P:t:Tuvw"
_UEFI = "/usr/local/share/uefi-firmware/BHYVE_UEFI.fd"
_FIRST_FREE_SLOT = 2
_FRAMEBUFFER_SLOT, _LPC_SLOT = 29, 31
_NOT_FOR_BHYVE = {
    "-e": "an environment for bhyveload",
    "-F": "there is no screen",
    "-h": "the script's own",
    "-H": "a directory for bhyveload",
    "-i": "there is no CD to boot from",
    "-l": "the loader for bhyveload",
    "-L": "there is no VNC server",
    "-P": "there is no VNC server",
    "-T": "there is no pointer",
    "-v": "there is no VNC server",
}
"""What the script uses itself, or for a screen."""


def to_bhyve(words: list[str]) -> tuple[list[str], list[str]]:
    """The words after `bhyve`, and what was only for the loader or the host. Raises UsageError."""
    try:
        options, names = getopt.getopt(words, _OPTIONS)
    except getopt.GetoptError as error:
        raise UsageError(f"vmrun.sh: {error}") from None
    if len(names) != 1:
        raise UsageError("vmrun.sh: one machine's name must be at the end")
    given = dict(options)
    disk = "ahci-hd" if "-A" in given else "virtio-blk"
    arguments = ["-A", "-H", "-P", "-c", given.get("-c", "1"), "-m", given.get("-m", "512M")]
    arguments += ["-s", "0:0,hostbridge"]
    devices = [f"{given.get('-n', 'virtio-net')},{tap}" for tap in _all(options, "-t")]
    devices += [f"{disk},{path}" for path in _all(options, "-d")]
    devices += [f"passthru,{device}" for device in _all(options, "-p")]
    if "-I" in given:
        devices.append(f"ahci-cd,{given['-I']}")
    for slot, device in enumerate(devices, _FIRST_FREE_SLOT):
        arguments += ["-s", f"{slot}:0,{device}"]
    arguments += ["-s", f"{_LPC_SLOT}:0,lpc", "-l", f"com1,{given.get('-C', 'stdio')}"]
    if "-E" in given:
        arguments += ["-l", f"bootrom,{given.get('-f', _UEFI)}"]
        arguments += ["-s", f"{_FRAMEBUFFER_SLOT}:0,fbuf"] if "-F" in given or "-L" in given else []
    arguments += [option for option in ("-a", "-u", "-w") if option in given]
    if "-G" in given:
        arguments += ["-G", given["-G"]]
    lost = [
        f"vmrun.sh {option} {value}".rstrip() + f": {_NOT_FOR_BHYVE[option]}"
        for option, value in options
        if option in _NOT_FOR_BHYVE
    ]
    return [*arguments, names[0]], lost


def _all(options: list[tuple[str, str]], wanted: str) -> list[str]:
    return [value for option, value in options if option == wanted]
