# SPDX-License-Identifier: BSD-2-Clause
"""Every diagnostic code and what it stands for. A code never changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FIRST_WARNING = 90
"""VM090 and above are warnings: the machine file is accepted."""

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "VM001": "a machine file cannot be read",
        "VM002": "not valid TOML",
        "VM003": "written for a newer vmmgr",
        "VM004": "`extends` names a file that cannot be read",
        "VM005": "`extends` goes round in a circle",
        "VM006": "a variable is not set",
        "VM007": "a `${` that is not a variable",
        "VM008": "`--set` cannot be understood",
        "VM009": "variables that have no end",
        "VM010": "unknown key",
        "VM011": "wrong type",
        "VM012": "a slot is used twice",
        "VM013": "a key is missing",
        "VM014": "a value that is not allowed",
        "VM015": "not a size",
        "VM016": "not a duration",
        "VM017": "not a regular expression",
        "VM018": "not a slot",
        "VM019": "unknown device",
        "VM020": "unknown backend",
        "VM021": "not a network address",
        "VM022": "a backend that neither listens nor connects, or does both",
        "VM023": "a disk whose content is not said, or said twice",
        "VM024": "a disk that cannot be written directly",
        "VM025": "not an Ethernet address",
        "VM026": "unknown kind of network",
        "VM027": "not a bandwidth",
        "VM028": "not an end of a cable",
        "VM029": "a device of your own that cannot be used",
        "VM030": "nothing to boot",
        "VM031": "more than one way to boot",
        "VM032": "a boot key that does not belong to this way of booting",
        "VM033": "an address outside of memory",
        "VM034": "a machine's file in a lab cannot be read",
        "VM035": "a lab where a machine is wanted",
        "VM036": "a link that the lab does not have",
        "VM037": "a cable to a port that is not there",
        "VM038": "a serial port with two things at its other end",
        "VM039": "machines of a lab with different clocks",
        "VM040": "a slot without function 0",
        "VM041": "LPC devices without an LPC bridge",
        "VM042": "more than one LPC bridge",
        "VM043": "PCI devices without a host bridge",
        "VM044": "more than one host bridge",
        "VM045": "a lab without machines",
        "VM050": "two devices claim the same I/O ports",
        "VM051": "two devices cannot share an interrupt",
        "VM052": "two devices claim the same addresses",
        "VM053": "a PCI-attached and an LPC COM port claim the same ports",
        "VM055": "a claim that no PC can give",
        "VM060": "two ports on stdio",
        "VM061": "two ports on the same host file or address",
        "VM062": "`ready` waits for a port that is not there",
        "VM063": "a disk that is not there",
        "VM064": "two devices on one disk",
        "VM065": "a boot order that names nothing to boot from",
        "VM066": "an image of two disks, one of which writes it",
        "VM067": "two network cards with one address",
        "VM068": "a share that is not there",
        "VM070": "a file to boot from is missing",
        "VM071": "a file to boot from cannot be read",
        "VM072": "what a disk is made of cannot be used",
        "VM073": "what the machine starts with cannot be booted",
        "VM080": "not what the lock file says",
        "VM081": "a lock file cannot be read",
        "VM090": "a PCI-attached COM port is deprecated",
        "VM091": "a link that joins nothing",
        "VM092": "a machine of a lab that is joined to nothing",
        "VM093": "the host's network, and a clock that skips idle time",
        "VM094": "a pipe between machines of a lab",
        "VM100": "the only console is a PCI uart",
        "VM101": "memory that is not a multiple of 2 MiB",
        "VM102": "`ready` watches a port that has no reader",
        "VM103": "the kernel's console is not there",
        "VM104": "`ready` watches another port than the kernel's console",
        "VM105": "a pattern that matches the empty string",
        "VM106": "a kernel without a serial console",
        "VM107": "two COM ports share an interrupt",
        "VM108": "a console that is open to the network",
        "VM109": "a variable that nothing uses",
    }
)


def is_warning(code: str) -> bool:
    """Whether a diagnostic of this code leaves the machine file usable."""
    return int(code[2:]) >= FIRST_WARNING
