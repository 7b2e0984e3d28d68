# SPDX-License-Identifier: BSD-2-Clause
"""bhyve's machines in and out: nothing is dropped in silence, and what both can say survives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manager.cli.main import main
from manager.devices import host
from manager.devices.nic import NicNode
from manager.errors import UsageError
from manager.graph.build import check, load_graph
from manager.graph.nodes import FirmwareBoot, Gdb, Graph, KernelBoot
from manager.graph.wiring import compare
from manager.interop.bhyve_config import expand, parse
from manager.interop.from_bhyve import import_argv, import_config
from manager.interop.to_bhyve import export_argv, export_config
from manager.interop.translation import Translation


def machine(translation: Translation, folder: Path) -> Graph:
    path = folder / "imported.toml"
    path.write_text(translation.text)
    return load_graph(path)


def lost(translation: Translation, *words: str) -> bool:
    """Whether one line of what was lost has all the words, and the text says it too."""
    lines = [line for line in translation.lost if all(word in line for word in words)]
    return bool(lines) and all(f"#   - {line}\n" in translation.text for line in lines)


ISSUE = "-c 1 -m 512M -s 0,hostbridge -s 31,lpc -l com1,stdio -s 4,uart,/dev/nmdm0A vm0"


def test_command_line_of_today(tmp_path: Path) -> None:
    graph = machine(import_argv(ISSUE), tmp_path)
    assert (graph.name, graph.memory_size) == ("vm0", 512 << 20)
    assert [node.id for node in graph.devices if not node.id.startswith("board.")] == [
        "slots.0", "slots.4", "slots.31", "lpc.com1",
    ]  # fmt: skip
    com1, uart = graph.device("lpc.com1"), graph.device("slots.4")
    assert com1 is not None
    assert uart is not None
    assert com1.backend == host.Stdio()
    assert uart.backend == host.Pty(tmp_path / "nmdm0B")


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("-s 4:1,uart -s 4:0,uart -s 0:0:0,hostbridge", ["slots.0", "slots.4", "slots.4.1"]),
        ("-s0,hostbridge -s 0:4:0,uart", ["slots.0", "slots.4"]),
        ("bhyve -s 0,hostbridge x", ["slots.0"]),
        ("/usr/sbin/bhyve -s 0,amd_hostbridge x", ["slots.0"]),
    ],
)
def test_slots_in_all_their_spellings(text: str, slots: list[str], tmp_path: Path) -> None:
    graph = machine(import_argv(text), tmp_path)
    assert [node.id for node in graph.devices if node.address is not None] == slots


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [("512", 512 << 20), ("512M", 512 << 20), ("1g", 1 << 30), ("2G", 2 << 30),
     ("268435456", 256 << 20), ("524288K", 512 << 20)],
)  # fmt: skip
def test_sizes_are_megabytes_unless_they_say_otherwise(
    size: str, bytes_: int, tmp_path: Path
) -> None:
    assert machine(import_argv(f"-m {size} vm"), tmp_path).memory_size == bytes_


def test_memory_is_bhyves_default_when_not_said(tmp_path: Path) -> None:
    assert machine(import_argv("vm"), tmp_path).memory_size == 256 << 20


def test_old_style_of_capital_s_becomes_legacy_and_warns(tmp_path: Path) -> None:
    found = import_argv("-s 0,hostbridge -S 4,uart,stdio -S 5,uart old")
    graph = machine(found, tmp_path)
    uarts = [node for node in graph.devices if node.type == "pci-uart"]
    assert [node.properties["legacy"] for node in uarts] == ["com1", "com2"]
    assert [node.backend for node in uarts] == [host.Stdio(), host.Null()]
    assert lost(found, "pci.0.4.0", "deprecated", "[lpc.com1]")
    diagnostics = check(tmp_path / "imported.toml", require_files=False).diagnostics
    codes = {item.code for item in diagnostics}
    assert "VM090" in codes


@pytest.mark.parametrize("text", ["-S -s 0,hostbridge vm", "-AHPS -s 0,hostbridge vm", "-S vm"])
def test_capital_s_of_today_is_wired_memory(text: str, tmp_path: Path) -> None:
    found = import_argv(text)
    assert machine(found, tmp_path).name == "vm"
    assert lost(found, "memory.wired", "not wired")
    assert "legacy" not in found.text


def test_several_cpus_are_several_cpus(tmp_path: Path) -> None:
    assert machine(import_argv("-c 2 vm"), tmp_path).cpu_count == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-c 200 vm", ("cpus=200", "1 to 32 CPUs")),
        ("-c cpus=4,cores=2 vm", ("cores=2", "one package")),
        ("-s 3,virtio-blk,disk.img,nocache vm", ("virtio-blk", "disk.img,nocache")),
        ("-s 1:4:0,uart vm", ("pci.1.4.0", "bus 0")),
        ("-s 0,hostbridge -s 4,uart,/dev/ttyu1 vm", ("/dev/ttyu1",)),
        ("-l com1,stdio vm", ("lpc.com1=stdio", "without an lpc slot")),
        ("-s 31,lpc -l tpm,passthru,/dev/tpm0 vm", ("lpc.tpm",)),
        ("-l bootrom,uefi.fd,vars.fd vm", ("lpc.bootvars=vars.fd",)),
        ("-G w1234 -l com1,tcp=127.0.0.1:1234 -s 31,lpc vm", ("gdb.port=1234", "com1")),
        ("-G 123456 vm", ("gdb.port=123456", "not an address")),
        ("-s 31,lpc -l com1,stdio -l com2,stdio vm", ("com2", "stdio is taken, by com1")),
        ("-s 4,uart,tcp=0:1 -s 5,uart,tcp=0:1 vm", ("pci.0.5.0", "taken, by pci.0.4.0")),
        ("-s 4,uart,/dev/nmdm0A -s 5,uart,/dev/nmdm0A vm", ("pci.0.5.0", "taken")),
        ("-s 30,lpc -s 31,lpc vm", ("pci.0.31.0=lpc", "one already")),
        ("-s 0,hostbridge -s 1,hostbridge vm", ("pci.0.1.0=hostbridge", "one already")),
        ("-s 32,uart vm", ("pci.0.32.0", "32 slots")),
        ("-s 4:8,uart vm", ("pci.0.4.8", "8 functions")),
        ("-s 4,nvme,x -s 4:2,uart vm", ("pci.0.4.2", "function 0")),
        ("-s 1,lpc -S 8,uart -l com3,stdio vm", ("lpc.com3=stdio", "pci.0.8.0 is com1")),
        ("-s 4,uart,tcp=nowhere vm", ("tcp=nowhere", "not an address")),
        ("xhyve -b -F pid -f fbsd,a,b vm", ("xhyve.pidfile=pid",)),
        ("-U 0000-00 vm", ("uuid=0000-00",)),
        ("-p 0:3 vm", ("vcpu.0.cpuset=3",)),
        ("-o x86.strictmsr=false vm", ("x86.strictmsr=false",)),
        ("-Y -D -C -H -P -w -x -W vm", ("x86.mptable=false",)),
        ("-f opt/org/x vm", ("fwcfg=opt/org/x",)),
        ("vm_0", ("name=vm_0", "vm-0")),
        ("vm", ("rtc.use_localtime",)),
    ],
)
def test_what_has_no_place_is_listed(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    found = import_argv(text)
    assert lost(found, *words)
    machine(found, tmp_path)


def test_strict_ports_have_a_place(tmp_path: Path) -> None:
    assert machine(import_argv("-e vm"), tmp_path).debug.strict_io


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-Z vm", "no option -Z"),
        ("-m", "-m needs an argument"),
        ("-m lots vm", "not a size"),
        ("-m 100T vm", "1M to 64G"),
        ("-m 2000000 vm", "whole pages"),
        ("-s uart vm", "not of the form"),
        ("-s 4,uart -s 4,uart vm", "given twice"),
        ("-o nothing vm", "not a NAME=VALUE"),
        ("one two", "more than one name"),
        ("-k /no/such/file vm", "cannot be read"),
        ("'unfinished", "cannot be parsed"),
        ("vmrun.sh -d disk", "one machine's name"),
        ("vmrun.sh -Z vm", "vmrun.sh"),
    ],
)
def test_wrong_command_line_is_a_usage_error(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        import_argv(text)


@pytest.mark.parametrize("kind", ["e1000", "virtio-net"])
def test_network_cards_keep_their_address(kind: str, tmp_path: Path) -> None:
    words = f"-s 0,hostbridge -s 5,{kind},tap0,mac=58:9C:FC:00:00:01,mtu=9000 x"
    settings = f"pci.0.5.0.device={kind}\npci.0.5.0.backend=tap0\npci.0.5.0.mac=58:9c:fc:00:00:01\n"
    for found in (import_argv(words), import_config(settings, "x.conf")):
        card = machine(found, tmp_path).device("slots.5")
        assert card is not None
        assert card.type == kind
        assert card.properties["mac"] == "58:9c:fc:00:00:01"
        assert lost(found, "tap0")
    assert lost(import_argv(words), "mtu=9000")
    for wrong in ("01:00:00:00:00:01", "00:00:00:00:00:00", "here"):
        found = import_argv(f"-s 0,hostbridge -s 5,{kind},tap0,mac={wrong} x")
        assert lost(found, wrong)
        machine(found, tmp_path)


def test_a_forward_that_there_is_not_here_is_listed(tmp_path: Path) -> None:
    rules = "tcp:127.0.0.1:2222-10.0.2.15:22;tcp::80-:80;tcp:127.0.0.1:9-10.0.2.99:9"
    found = import_argv(f"-s 0,hostbridge -s '5,virtio-net,slirp,hostfwd={rules}' x")

    card = machine(found, tmp_path).device("slots.5")

    assert isinstance(card, NicNode)
    assert card.network == host.UserNetwork(("127.0.0.1:2222 -> 22",))
    assert lost(found, "tcp::80-:80")
    assert lost(found, "tcp:127.0.0.1:9-10.0.2.99:9")


def test_vmrun_command_line(tmp_path: Path) -> None:
    text = (
        "sh /usr/share/examples/bhyve/vmrun.sh -c 1 -m 1G -t tap0 -d disk.img -u -C /dev/nmdm7A vm"
    )
    found = import_argv(text)
    graph = machine(found, tmp_path)
    assert (graph.name, graph.memory_size) == ("vm", 1 << 30)
    com1 = graph.device("lpc.com1")
    assert com1 is not None
    assert com1.backend == host.Pty(tmp_path / "nmdm7B")
    assert lost(found, "pci.0.2.0", "tap0", 'network = "user"')
    assert graph.device("slots.2") is not None
    assert lost(found, "pci.0.3.0=virtio-blk", "disk.img")


def test_vmrun_with_firmware_and_loader(tmp_path: Path) -> None:
    found = import_argv("vmrun.sh -E -f /fw/BHYVE.fd -e boot_serial=1 vm")
    assert machine(found, tmp_path).boot == FirmwareBoot(Path("/fw/BHYVE.fd"))
    assert lost(found, "-e boot_serial=1")


CONFIG = """\
# A machine of the lab.
name=lab-%(number)
number=7
memory.size=128M
cpus=1
rtc.use_localtime=false

pci.0.0.0.device=hostbridge
pci.0.5.0.device=uart
pci.0.5.0.path=tcp=127.0.0.1:45%(number)0
pci.0.31.0.device=lpc
lpc.com2.path=stdio
lpc.bootrom=/fw/100%%.fd
"""


def test_configuration_file_with_references(tmp_path: Path) -> None:
    found = import_config(CONFIG, "lab.conf")
    graph = machine(found, tmp_path)
    assert (graph.name, graph.boot) == ("lab-7", FirmwareBoot(Path("/fw/100%.fd")))
    uart = graph.device("slots.5")
    assert uart is not None
    assert uart.backend == host.Tcp(listen="127.0.0.1:4570")
    assert found.lost == ["number=7: there is nothing like it here"]


def test_last_setting_wins_and_k_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "base.conf").write_text(CONFIG)
    graph = machine(import_argv(f"-k {tmp_path / 'base.conf'} -o number=8 -m 64M x9"), tmp_path)
    assert (graph.name, graph.memory_size) == ("x9", 64 << 20)
    uart = graph.device("slots.5")
    assert uart is not None
    assert uart.backend == host.Tcp(listen="127.0.0.1:4580")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", "lab.conf:1: not a NAME=VALUE"),
        ("a=%(b)", r"%\(b\) is not set"),
        ("a=%(a)", "refers to itself"),
        ("a=50%", "lone %"),
    ],
)
def test_wrong_configuration_file_is_a_usage_error(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        expand(parse(text, "lab.conf"))


BOTH = """
name = "both"
[memory]
size = "384M"
[boot]
firmware = "/fw/100%.fd"
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = { type = "tcp", listen = "127.0.0.1:4555" }
[slots.4.1]
device = "uart"
backend = { type = "pty", path = "nmdm3A" }
[slots.6]
device = "virtio-net"
mac = "52:54:00:12:34:56"
network = { type = "user", forward = ["127.0.0.1:2222 -> 22", "127.0.0.1:5353 -> 53/udp"] }
[slots.7]
device = "e1000"
mac = "52:54:00:12:34:57"
network = "user"
[slots.8]
device = "e1000"
mac = "52:54:00:12:34:58"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "stdio"
[lpc.com3]
[debug]
strict-io = true
"""


@pytest.mark.parametrize("form", ["argv", "config"])
def test_what_both_can_say_survives_the_round_trip(form: str, tmp_path: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text(BOTH)
    graph = load_graph(path)
    if form == "argv":
        there = export_argv(graph)
        back = import_argv("\n".join(there.text.splitlines()))
    else:
        there = export_config(graph)
        back = import_config(there.text, "both.conf")
    assert [line.partition(" ")[0] for line in there.lost] == ["cpu.model", "clock:"]
    assert not compare(graph, machine(back, tmp_path))


def test_export_lists_what_bhyve_has_not(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(
        '[boot]\nkernel = "k"\ncmdline = "quiet"\ninitrd = "i"\n[slots.0]\ndevice = "hostbridge"\n'
        '[slots.4]\ndevice = "uart"\nlegacy = "com2"\nbackend = "pty"\n[slots.31]\ndevice = "lpc"\n'
        '[lpc.com1]\nbackend = { type = "file", path = "/log" }\npace = "baud"\n[lpc.debug-exit]\n'
        '[ready]\nport = "com1"\nwait-for = "x"\n[debug]\ntrace = ["irq"]\n'
        '[slots.6]\ndevice = "ne2k"\n[slots.7]\ndevice = "e1000"\n'
        'network = { type = "link", name = "lan", capture = "/all.pcap" }\n'
    )
    found = export_argv(load_graph(path))
    for words in (
        ("boot.kernel", "bhyveload"), ("boot.initrd",), ("boot.cmdline quiet",), ("legacy com2",),
        ("slots.4", "backend pty"), ("lpc.com1", "file path /log"), ("pace baud",),
        ("lpc.debug-exit",), ("ready", "'x'"), ("debug.trace irq",), ("slots.6", "ne2k"),
        ("slots.7", "lan", "tap"), ("slots.7.network.capture", "/all.pcap"),
    ):  # fmt: skip
        assert lost(found, *words), words


def test_commands_say_on_standard_error_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["import", "bhyve", ISSUE]) == 0
    out, err = capsys.readouterr()
    assert "not expressed: the kernel" in err
    Path("vm0.toml").write_text(out)
    assert main(["export", "vm0.toml", "--to", "bhyve"]) == 0
    out, err = capsys.readouterr()
    command = out.splitlines()[-1]
    assert command == (
        "bhyve -A -u -c 1 -m 512M -s 0,hostbridge -s 4,uart,/dev/nmdm0A -s 31,lpc -l com1,stdio vm0"
    )
    assert "not expressed: boot.kernel" in err
    Path("lab.conf").write_text(CONFIG)
    assert main(["import", "bhyve-config", "lab.conf"]) == 0
    assert 'name = "lab-7"' in capsys.readouterr().out
    assert main(["import", "bhyve-config", "nothing.conf"]) == 2


def test_a_command_line_pasted_over_several_lines_is_one() -> None:
    one = import_argv("-c 1 -m 512M -s 0,hostbridge -s 31,lpc -l com1,stdio vm0")
    pasted = import_argv("-c 1 -m 512M \\\n  -s 0,hostbridge -s 31,lpc \\\n  -l com1,stdio vm0\n")

    assert pasted == one


def test_gdb_there_and_back(tmp_path: Path) -> None:
    there = machine(import_argv("-G w127.0.0.1:1234 -s 0,hostbridge vm"), tmp_path)

    assert there.gdb == Gdb("127.0.0.1:1234", wait=True)
    assert "-G w127.0.0.1:1234 vm" in export_argv(there).text
    assert machine(import_config(export_config(there).text, "x"), tmp_path).gdb == there.gdb


def test_gdb_for_all_hosts_is_said_to_be_meant(tmp_path: Path) -> None:
    assert machine(import_argv("-G 0.0.0.0:1234 vm"), tmp_path).gdb == Gdb("0.0.0.0:1234")


@pytest.mark.parametrize("listen", ["./gdb.sock", "[::1]:1234"])
def test_gdb_where_bhyve_does_not_listen_is_listed(listen: str, tmp_path: Path) -> None:
    (tmp_path / "it.toml").write_text(f'[boot]\nkernel = "k"\n[gdb]\nlisten = "{listen}"\n')

    assert lost(export_argv(load_graph(tmp_path / "it.toml")), "gdb.listen", "IPv4")


def test_names_of_vm_bhyve_keep_the_console(tmp_path: Path) -> None:
    graph = machine(import_argv("-s 31,lpc -l com1,/dev/nmdm-web-1.1A web-1"), tmp_path)

    com1 = graph.device("lpc.com1")
    assert com1 is not None
    assert com1.backend == host.Pty(tmp_path / "nmdm-web-1.1B")
    assert "com1,/dev/nmdm-web-1.1A" in export_argv(graph).text


def test_kernel_that_xhyve_loads(tmp_path: Path) -> None:
    graph = machine(
        import_argv(
            "sudo xhyve -A -m 1G -s 0:0,hostbridge -s 31,lpc -l com1,autopty=tty "
            "-f kexec,boot/vmlinuz,boot/initrd.gz,'console=ttyS0,115200 quiet'"
        ),
        tmp_path,
    )

    assert graph.boot == KernelBoot(
        tmp_path / "boot/vmlinuz", tmp_path / "boot/initrd.gz", "console=ttyS0,115200 quiet"
    )
    com1 = graph.device("lpc.com1")
    assert com1 is not None
    assert com1.backend == host.Pty(tmp_path / "tty")


def test_as_many_cpus_as_there_are(tmp_path: Path) -> None:
    assert " -c 4 " in export_argv(machine(import_argv("-c 4 vm"), tmp_path)).text


def test_disks_are_listed(tmp_path: Path) -> None:
    (tmp_path / "it.toml").write_text(
        '[boot]\nkernel = "k"\n[disks.root]\nimage = "i"\n[slots.0]\ndevice = "hostbridge"\n'
        '[slots.4]\ndevice = "virtio-blk"\ndisk = "root"\n[slots.5]\ndevice = "virtio-rng"\n'
    )
    found = export_config(load_graph(tmp_path / "it.toml"))

    assert lost(found, "slots.4", "give it a copy")
    assert lost(found, "slots.5", "virtio-rng")


PARTS = st.sampled_from(
    [
        "-c 2", "-c 99", "-m 64M", "-m 2G", "-G 1234", "-G w:1234", "-e", "-A", "-H", "-u", "-x",
        "-s 0,hostbridge", "-s 0:0,amd_hostbridge", "-s 1,lpc", "-s 31,lpc", "-s 2,uart,stdio",
        "-s 3,uart,stdio", "-s 4:1,uart", "-s 4:2,uart,/dev/nmdm0A", "-s 5,uart,/dev/nmdm0A",
        "-s 6,uart,tcp=127.0.0.1:1234", "-s 7,uart,tcp=127.0.0.1:1234", "-s 40,uart",
        "-s 1:2:3,uart", "-S 8,uart", "-S 9,uart,stdio", "-s 10,virtio-blk,x",
        "-l com1,stdio", "-l com2,stdio",
        "-l com3,/dev/nmdm-a.b.1A", "-l com4,tcp=:1", "-l bootrom,/fw", "-l com1,autopty",
        "-f kexec,k,i,c", "-o a.b=c", "-o name=Ä", "-U 1", "-p 0:1", "-w", "-W", "-Y",
    ]
)  # fmt: skip


@given(parts=st.lists(PARTS, max_size=12))
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_any_command_line_is_refused_or_makes_a_machine(parts: list[str], tmp_path: Path) -> None:
    try:
        found = import_argv(" ".join(["xhyve", *parts]))
    except UsageError:
        return

    machine(found, tmp_path)
