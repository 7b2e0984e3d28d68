# SPDX-License-Identifier: BSD-2-Clause
"""Devices, disks and the host's side of serial ports as words of QEMU's command line."""

from __future__ import annotations

from manager import files
from manager.devices import host
from manager.devices.nic import NicNode
from manager.devices.node import LPC_BUS, PCI_BUS, DeviceNode, SerialEnd
from manager.graph.nodes import DiskSource, Graph
from manager.text.quoting import UnquotableError, quoted

_OWN_SLOTS = (0, 1)
"""Where QEMU's `pc` has its host bridge and its PIIX3, whatever one says."""
_LPC_SLOT, _IDE_PLACE = 1, (1, 1)
_CARDS = {"e1000": "e1000", "ne2k": "ne2k_pci", "virtio-net": "virtio-net-pci"}
"""What QEMU calls network cards."""
_QCOW2 = b"QFI\xfb"
_IDE_PLACES = {
    "primary-master": ("ide.0", 0),
    "primary-slave": ("ide.0", 1),
    "secondary-master": ("ide.1", 0),
    "secondary-slave": ("ide.1", 1),
}


def comma(text: str) -> str:
    """A value in an option of QEMU, which ends at a comma unless it is doubled."""
    return text.replace(",", ",,")


def drive(source: DiskSource, lost: list[str]) -> list[str]:
    """A disk, as a drive that a device can have."""
    if source.folder is not None:
        lost.append(f"disks.{source.name}: QEMU makes no file system of a folder")
        return []
    if source.image is None:
        null = f"driver=raw,file.driver=null-co,file.size={source.size},file.read-zeroes=on"
        return ["-drive", f"if=none,id={_drive(source.name)},{null},snapshot=on"]
    try:
        kind = "qcow2" if files.head(source.image, len(_QCOW2)) == _QCOW2 else "raw"
        quoted(str(source.image), "shell")
    except (OSError, UnquotableError) as error:
        lost.append(f"disks.{source.name}: {error}")
        return []
    modes = {"overlay": "snapshot=on", "read-only": "readonly=on", "direct": "snapshot=off"}
    if source.mode == "overlay":
        lost.append(f"disks.{source.name}: QEMU forgets what was written when it ends")
    place = f"file={comma(str(source.image))},format={kind},{modes[source.mode]}"
    return ["-drive", f"if=none,id={_drive(source.name)},{place}"]


def _drive(name: str) -> str:
    return f"disk-{name}"


def device(node: DeviceNode, graph: Graph, lost: list[str]) -> list[str]:
    """A device, and what it has on the host."""
    if node.type == "debug-exit":
        return ["-device", f"isa-debug-exit,iobase={node.ports[0].base:#x},iosize=1"]
    if node.type in ("isa-uart", "pci-uart"):
        return _uart(node, lost)
    if node.type == "virtio-console":
        return _console(node, lost)
    if node.type == "ide":
        return _ide(node, graph, lost)
    if node.type == "virtio-9p":
        return _share(node, graph, lost)
    if node.type in ("virtio-blk", "nvme", "virtio-rng"):
        return _pci_device(node, lost, _model(node, graph, lost))
    if isinstance(node, NicNode):
        return _network_card(node, lost)
    if node.type == "vga":
        bios = node.host_side.get("bios", "")
        return _pci_device(node, lost, "VGA" + (f",romfile={comma(bios)}" if bios else ""))
    if node.BUS == PCI_BUS:
        if node.address is not None and node.address.slot != 0:
            lost.append(f"{node.id}: QEMU's host bridge is in slot 0")
    elif node.BUS == LPC_BUS:
        if node.address is not None and node.address.slot != _LPC_SLOT:
            lost.append(f"{node.id}: QEMU's LPC bridge is in slot {_LPC_SLOT}")
    elif not node.id.startswith("board."):
        lost.append(f"{node.id}: QEMU has no {node.type}")
    return []


def _share(node: DeviceNode, graph: Graph, lost: list[str]) -> list[str]:
    """A folder of the host, which QEMU serves as it is at any time."""
    (use,) = node.disks
    source = next(source for source in graph.disks if source.name == use.name)
    said = f"local,path={comma(str(source.folder))},security_model=none,readonly=on"
    name = use.name.replace(".", "-")
    if source.mode == "overlay":
        lost.append(f"{use.name}.mode: QEMU would write to the folder itself")
    try:
        quoted(said, "shell")
    except UnquotableError as error:
        lost.append(f"{use.name}: {error}")
        return []
    model = f"virtio-9p-pci,fsdev={name},mount_tag={comma(str(node.properties['tag']))}"
    return ["-fsdev", f"{said},id={name}", *_pci_device(node, lost, model)]


def _model(node: DeviceNode, graph: Graph, lost: list[str]) -> str:
    """The name of QEMU's device and what it has; empty when there is nothing for it."""
    if node.type == "virtio-rng":
        lost.append(f"{node.id}.seed: QEMU's random bytes are the host's")
        return "virtio-rng-pci"
    (use,) = node.disks
    if not _is_told(use.name, graph):
        lost.append(f"{node.id}: its disk cannot be told")
        return ""
    if node.type == "nvme":
        return f"nvme,drive={_drive(use.name)},serial={use.name}"
    return f"virtio-blk-pci,drive={_drive(use.name)}"


def _network_card(node: NicNode, lost: list[str]) -> list[str]:
    """A network card, and a network of QEMU's that is most like what it is plugged into."""
    name = f"net-{node.id.replace('.', '-')}"
    network, said = node.network, "hubport,hubid=0"
    if isinstance(network, host.UserNetwork):
        said = "user"
        for forward in network.forward:
            listen, _, port = forward.partition(" -> ")
            kind = "udp" if port.endswith("/udp") else "tcp"
            said += f",hostfwd={kind}:{listen}-:{port.removesuffix('/udp')}"
    elif isinstance(network, host.SocketNetwork):
        end, server = network.listen or network.connect, "on" if network.listen else "off"
        said = f"stream,server={server},addr.type=unix,addr.path={comma(str(end))}"
    elif isinstance(network, host.LinkEnd):
        lost.append(f"{node.id}: the link {network.name} of a lab")
    if network is not None and network.capture is not None:
        lost.append(f"{node.id}.network.capture: {network.capture}")
    try:
        quoted(said, "shell")
    except UnquotableError as error:
        lost.append(f"{node.id}: the network {said}: {error}")
        said = "hubport,hubid=0"
    first, _, rest = said.partition(",")
    netdev = f"{first},id={name}" + (f",{rest}" if rest else "")
    model = f"{_CARDS[node.type]},netdev={name},mac={node.mac}"
    return ["-netdev", netdev, *_pci_device(node, lost, model)]


def _is_told(name: str, graph: Graph) -> bool:
    source = next(source for source in graph.disks if source.name == name)
    return bool(drive(source, []))


def _ide(node: DeviceNode, graph: Graph, lost: list[str]) -> list[str]:
    address = node.address
    if address is not None and (address.slot, address.function) != _IDE_PLACE:
        lost.append(f"{node.id}: QEMU's IDE controller is in slot 1, function 1")
    words = []
    for use in node.disks:
        kind = "ide-cd" if getattr(node, use.key.replace("-", "_")) == "cdrom" else "ide-hd"
        source = next(source for source in graph.disks if source.name == use.name)
        if not _is_told(use.name, graph) or (kind == "ide-hd" and source.mode == "read-only"):
            lost.append(f"{node.id}.{use.key}: QEMU cannot be told of such a disk")
            continue
        bus, unit = _IDE_PLACES[use.key]
        words += ["-device", f"{kind},drive={_drive(use.name)},bus={bus},unit={unit}"]
    return words


def _uart(node: DeviceNode, lost: list[str]) -> list[str]:
    (end,) = node.serial_ends
    name = end.port_name.replace(".", "-")
    words = ["-chardev", _chardev(end, name, lost)]
    properties = node.properties
    if "legacy" in properties:
        lost.append(f"{node.id}: legacy {properties['legacy']}: an ISA port takes its place")
    lost += [f"{node.id}: {key} {properties[key]}" for key in ("pace",) if key in properties]
    if node.type == "isa-uart" or "legacy" in properties:
        base = node.ports[0].base if node.ports else node.bars[0].base
        return [*words, "-device", f"isa-serial,chardev={name},iobase={base:#x},irq={node.irq}"]
    return words + _pci_device(node, lost, f"pci-serial,chardev={name}")


def _pci_device(node: DeviceNode, lost: list[str], model: str) -> list[str]:
    """A PCI function at its place, or at another where that is one of QEMU's own."""
    if not model:
        return []
    assert node.address is not None
    slot, function = node.address.slot, node.address.function
    if slot in _OWN_SLOTS:
        lost.append(f"{node.id}: QEMU has devices of its own in slot {slot}; it is put elsewhere")
        return ["-device", model]
    first = function == 0 and node.properties.get("multifunction")
    more = ",multifunction=on" if first else ""
    return ["-device", f"{model},addr={slot:#x}.{function}{more}"]


def _console(node: DeviceNode, lost: list[str]) -> list[str]:
    """The bus of a virtio-console, and each port on it."""
    bus = node.id.replace(".", "-")
    words = _pci_device(node, lost, f"virtio-serial-pci,id={bus}")
    for number, end in enumerate(node.serial_ends):
        port = f"{bus}-{number}"
        kind = f"virtserialport,name={end.name}" if end.name else "virtconsole"
        words += ["-chardev", _chardev(end, port, lost)]
        words += ["-device", f"{kind},bus={bus}.0,chardev={port},nr={number}"]
    return words


def _chardev(end: SerialEnd, name: str, lost: list[str]) -> str:
    """The host's side of a serial port; nothing where QEMU cannot be told of it."""
    kind, options = end.backend.type, end.backend.options
    path = comma(options.get("path", ""))
    said = kind
    match kind:
        case "file":
            said = f"file,path={path},append=on"
        case "pty" if path:
            lost.append(f"{end.id}: QEMU puts no link to its pseudo-terminal at {path}")
        case "pipe":
            said = f"socket,path={path},server=on,wait=off"
            lost.append(f"{end.id}: the cable {path}: QEMU waits there for the other end")
        case "unix" | "tcp":
            said = f"socket,{_address(kind, options)}"
    try:
        quoted(said, "shell")
    except UnquotableError as error:
        lost.append(f"{end.id}: the backend {said}: {error}")
        said = "null"
    first, _, rest = said.partition(",")
    return f"{first},id={name}" + (f",{rest}" if rest else "")


def _address(kind: str, options: dict[str, str]) -> str:
    # A server that does not answer yet is asked again, as here.
    role = "server=on,wait=off" if "listen" in options else "reconnect=1"
    end = options.get("listen") or options["connect"]
    if kind == "unix":
        return f"path={comma(end)},{role}"
    host, _, port = end.rpartition(":")
    return f"host={comma(host.strip('[]'))},port={port},{role}"
