# SPDX-License-Identifier: BSD-2-Clause
"""What the host, the guest or TOML could never take is refused at its place in the file.

However odd a value is, diagnostics come of it, soon, and in lines that can be read.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from manager.backends.tcp import TcpAddress
from manager.config.addresses import SOCKET_PATH_LIMIT, check_address
from manager.config.diagnostics import Diagnostic, render
from manager.errors import HostError
from manager.graph.build import check

PC = """
schema = 1
boot = { image = "guest.bin", load = 0x7c00, entry = 0x7c00, bits = 16 }
slots.0.device = "hostbridge"
slots.31.device = "lpc"
"""
DIGITS = "9" * 5000
ENDS = {
    "tcp listens": 'lpc.com1.backend = {{ type = "tcp", listen = "{}" }}',
    "tcp connects": 'lpc.com1.backend = {{ type = "tcp", connect = "{}" }}',
    "gdb": 'gdb = {{ listen = "{}", allow-remote = true }}',
}
NO_HOSTS = {
    "an empty part": "a..b:1234",
    "nothing but dots": "..:1",
    "NUL": "a\\u0000b:12",
    "DEL": "a\\u007fb:12",
    "a long name": "abcdefg." * 40 + "org:12",
    "a long part": "a" * 64 + ":12",
    "a long name in umlauts": "ü" * 63 + ":12",
    "what IDNA forbids": "a\\u2024.b:12",
    "no host": ":1234",
    "no IPv6": "[fffff::1]:12",
    "colons alone": "[:::]:12",
    "a port beyond": "127.0.0.1:65536",
    "a port of many digits": f"127.0.0.1:{DIGITS}",
}


def found(tmp_path: Path, text: str, *settings: str) -> tuple[Diagnostic, ...]:
    (tmp_path / "guest.bin").write_bytes(b"\xf4")
    file = tmp_path / "machine.toml"
    file.write_text(text)
    began = time.process_time()
    diagnostics = check(file, settings).diagnostics
    assert time.process_time() - began < 5
    assert max(map(len, render(diagnostics).split("\n")), default=0) < 1000
    return diagnostics


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("address", NO_HOSTS.values(), ids=NO_HOSTS)
def test_an_address_is_one_that_a_network_could_have(
    tmp_path: Path, end: str, address: str
) -> None:
    (diagnostic,) = found(tmp_path, PC + ENDS[end].format(address))

    assert diagnostic.code == "VM021"
    assert diagnostic.primary.line == 6


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "address", ["localhost:4555", "[::1]:1", "bücher.example:80", "a.example.:80", "127.1:9"]
)
def test_addresses_that_there_are_pass(tmp_path: Path, end: str, address: str) -> None:
    text = PC + ENDS[end].format(address)
    assert {item.code for item in found(tmp_path, text)} <= {"VM108"}


def test_nothing_connects_to_port_0(tmp_path: Path) -> None:
    assert [item.code for item in found(tmp_path, PC + ENDS["tcp connects"].format("a:0"))] == [
        "VM021"
    ]


def test_a_name_that_only_begins_like_loopback_is_not_local(tmp_path: Path) -> None:
    (diagnostic,) = found(tmp_path, PC + 'gdb.listen = "127.evil.example:1234"')
    assert "from other hosts" in diagnostic.message


@given(host=st.text(max_size=80) | st.text("a.-0:%[]", max_size=20))
def test_what_passes_can_be_looked_up(host: str) -> None:
    try:
        check_address(f"{host}:80")
    except PydanticCustomError:
        return
    assert "\0" not in host
    host.removeprefix("[").removesuffix("]").encode("idna")


@pytest.mark.parametrize("host", ["a..b", "a\0b", "a" * 300])
def test_an_address_from_elsewhere_is_an_error_of_the_host(host: str) -> None:
    with pytest.raises(HostError, match="cannot listen on"):
        TcpAddress(host, 0).listener()


@pytest.mark.parametrize(
    "line",
    [
        'gdb.listen = "./{}"',
        'lpc.com1.backend = {{ type = "unix", listen = "{}" }}',
        'lpc.com1.backend = {{ type = "unix", connect = "{}" }}',
        'lpc.com1.backend = {{ type = "pipe", path = "{}" }}',
    ],
)
def test_a_socket_has_a_path_that_fits(tmp_path: Path, line: str) -> None:
    room = SOCKET_PATH_LIMIT - len(str(tmp_path)) - 1
    assert not found(tmp_path, PC + line.format("s" * room))

    (diagnostic,) = found(tmp_path, PC + line.format("s" * (room + 1)))

    assert diagnostic.message == f"a socket cannot have a path of {SOCKET_PATH_LIMIT + 1} bytes"
    assert diagnostic.primary.line == 6


@pytest.mark.parametrize(
    "line",
    [
        "memory.size = {}",
        "memory.size = -{}",
        "cpu.count = {}",
        "cpu.count = 0x{}",
        "cpu.schedule.seed = {}",
        "x-own.number = {}",
        "vars.number = {}",
        "lpc.debug-exit.port = {}",
        "slots.3 = {{ device = 'uart', spare = [{{ a = [1, {}] }}] }}",
    ],
)
@pytest.mark.parametrize("digits", [DIGITS, "9" * 4300, "9" * 20])
def test_integers_have_64_bits(tmp_path: Path, line: str, digits: str) -> None:
    (diagnostic,) = found(tmp_path, PC + line.format(digits))

    assert (diagnostic.code, diagnostic.message) == ("VM002", "an integer of more than 64 bits")
    assert diagnostic.primary.line == 6


@pytest.mark.parametrize(
    "line",
    [
        f'memory.size = "{DIGITS}G"',
        f'ready = {{ wait-for = "x", timeout = "{DIGITS}s" }}',
        f'ready = {{ wait-for = "x", timeout = "{"9" * 25}h" }}',
        f'cpu.quantum = "0.{DIGITS}s"',
        f"slots.{DIGITS}.device = 'uart'",
        f"slots.3 = {{ device = 'uart', {DIGITS} = 1 }}",
        f"disks.root.size = '{DIGITS}'",
        f"name = '{DIGITS}'",
        f"lpc.com{DIGITS}.backend = 'null'",
    ],
)
def test_texts_of_many_digits_are_told_shortly(tmp_path: Path, line: str) -> None:
    diagnostics = found(tmp_path, PC + line)
    assert diagnostics
    assert all("int_max_str" not in item.message for item in diagnostics)


@pytest.mark.parametrize(
    "setting", [f"memory.size={DIGITS}", f"cpu.count={'9' * 30}", f"boot.load=0x{DIGITS}"]
)
def test_set_takes_no_such_integers(tmp_path: Path, setting: str) -> None:
    (diagnostic,) = found(tmp_path, PC, setting)
    assert diagnostic.primary.file == "--set"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "true"),
        ("schema", "1.0"),
        ("schema", "'1'"),
        ("boot.bits", "16.0"),
        ("boot.bits", "'16'"),
        ("boot.load", "31744.0"),
        ("cpu.count", "1.0"),
        ("cpu.count", "true"),
        ("cpu.schedule.seed", "true"),
        ("memory.size", "true"),
        ("memory.size", "67108864.0"),
        ("debug.strict-io", "1"),
        ("debug.strict-io", "'true'"),
        ("debug.trace", "'ports'"),
        ("allow", "'VM101'"),
        ("record.enabled", "0"),
        ("ready.cache", "1"),
        ("ready.timeout", "120"),
        ("gdb.wait", "1"),
        ("name", "1"),
        ("cpu.model", "true"),
    ],
)
def test_no_type_stands_for_another(tmp_path: Path, key: str, value: str) -> None:
    base = PC
    for line in ("schema = 1\n", ", bits = 16", ", load = 0x7c00"):
        if key.rpartition(".")[2] == line.strip(", ").partition(" ")[0]:
            base = base.replace(line, "")
    if key.startswith("boot."):
        base = base.replace("bits = 16 }", f"bits = 16, {key[5:]} = {value} }}")
        base = base.replace("entry = 0x7c00 }", f"entry = 0x7c00, {key[5:]} = {value} }}")
    else:
        base = f"{key} = {value}\n{base}"
    if key.startswith(("ready.", "gdb.")):
        base += {"ready": "ready.wait-for = 'x'\n", "gdb": "gdb.listen = '127.0.0.1:0'\n"}[
            key.partition(".")[0]
        ]

    diagnostics = found(tmp_path, base)

    assert {item.code for item in diagnostics} <= {"VM011", "VM014", "VM016"}
    assert len(diagnostics) == 1


def test_a_command_line_ends_at_nothing(tmp_path: Path) -> None:
    text = PC.replace('image = "guest.bin"', 'kernel = "guest.bin", cmdline = "a b\\u0000c"')
    text = text.replace(", load = 0x7c00, entry = 0x7c00, bits = 16", "")

    (diagnostic,) = found(tmp_path, text)

    assert diagnostic.message == "the guest would read this up to the NUL character in it"


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:1", "[::]:1", "0:1", "*:1", "[::ffff:0.0.0.0]:1", "192.168.0.1:1", "a.example:1"],
)
def test_a_console_that_others_reach_is_warned_of(tmp_path: Path, address: str) -> None:
    (diagnostic,) = found(tmp_path, PC + ENDS["tcp listens"].format(address))

    assert (diagnostic.code, diagnostic.severity) == ("VM108", "warning")
    assert diagnostic.primary.line == 6


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"])
def test_a_console_of_this_host_is_not(tmp_path: Path, address: str) -> None:
    assert found(tmp_path, PC + ENDS["tcp listens"].format(address)) == ()
