# SPDX-License-Identifier: BSD-2-Clause
"""Loading: what a machine file means, with `extends`, variables, `--set` and defaults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from manager.config.diagnostics import ConfigError
from manager.config.emit import to_toml
from manager.config.labs import is_lab
from manager.config.load import LoadedModel, inspect, load
from manager.config.units import MIB
from manager.errors import ExitCode

IMAGE = '[boot]\nimage = "a.bin"\nload = 0x7c00\nentry = 0x7c00\nbits = 16\n'
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "demo.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def codes(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return [item.code for item in caught.value.diagnostics]


def backend(loaded: LoadedModel, slot: str) -> str:
    entry = loaded.model.slots[slot]
    assert entry.device == "uart"
    return entry.backend.type


def test_defaults_are_those_of_the_contract(write: Write) -> None:
    model = load(write(IMAGE)).model
    assert model.name == "demo"
    assert model.cpu.model == "qemu64"
    assert model.memory.size == 64 * MIB
    assert (model.clock.mode, model.clock.epoch) == ("paced", 1704067200)
    assert model.slots == {}
    assert model.ready is None


def test_file_that_extends_wins_key_by_key(write: Write) -> None:
    write('extends = "deep.toml"\n[memory]\nsize = "32M"\n[cpu]\nmodel = "kvm64"', "base/pc.toml")
    write(IMAGE + '[memory]\nsize = "16M"\n[clock]\nmode = "virtual"', "base/deep.toml")
    model = load(write('extends = ["base/pc.toml"]\n[cpu]\nmodel = "phenom"')).model
    assert (model.cpu.model, model.memory.size) == ("phenom", 32 * MIB)
    assert model.clock.mode == "virtual"


def test_paths_are_relative_to_the_file_that_names_them(write: Write, tmp_path: Path) -> None:
    write('[boot]\nkernel = "vmlinuz"\nmodules = ["m.img a b"]', "base/pc.toml")
    path = write(
        'extends = "base/pc.toml"\n[boot]\ninitrd = "initrd.img"\n'
        '[lpc.com1]\nbackend = { type = "unix", listen = "com1.sock" }'
    )
    model = load(path).model
    assert model.boot.kernel == str(tmp_path / "base/vmlinuz")
    assert model.boot.modules == (f"{tmp_path / 'base/m.img'} a b",)
    assert model.boot.initrd == str(tmp_path / "initrd.img")
    assert model.lpc["com1"].backend.model_dump()["listen"] == str(tmp_path / "com1.sock")


def test_shared_base_is_read_once(write: Write) -> None:
    write(IMAGE + '[slots.0]\ndevice = "hostbridge"', "pc.toml")
    write('extends = "pc.toml"\n[memory]\nsize = "2M"', "small.toml")
    write('extends = "pc.toml"\n[cpu]\nmodel = "486"', "old.toml")
    model = load(write('extends = ["small.toml", "old.toml"]')).model
    assert (model.memory.size, model.cpu.model) == (2 * MIB, "486")
    assert list(model.slots) == ["0"]


def test_replace_drops_what_was_in_the_slot(write: Write) -> None:
    write(IMAGE + '[slots.4]\ndevice = "uart"\nlegacy = "com1"', "pc.toml")
    text = 'extends = "pc.toml"\n[slots.4]\nreplace = true\ndevice = "uart"\nbackend = "pty"'
    entry = load(write(text)).model.slots["4"]
    assert entry.model_dump(exclude_unset=True) == {"device": "uart", "backend": {"type": "pty"}}


def test_replace_drops_another_way_to_boot(write: Write) -> None:
    write(IMAGE, "pc.toml")
    boot = load(write('extends = "pc.toml"\n[boot]\nreplace = true\nkernel = "k"')).model.boot
    assert (boot.image, boot.load) == (None, None)


def test_replace_is_true_or_false(write: Write) -> None:
    assert codes(write(IMAGE + '[slots.4]\nreplace = "yes"\ndevice = "uart"')) == ["VM011"]


@pytest.mark.parametrize("heading", ['slots."4.1"', "slots.4.1", "slots . 4 . '1'"])
def test_function_has_two_spellings(write: Write, heading: str) -> None:
    text = f'{IMAGE}[slots.4]\ndevice = "uart"\n[{heading}]\ndevice = "uart"\nbackend = "pty"'
    loaded = load(write(text))
    assert list(loaded.model.slots) == ["4", "4.1"]
    assert backend(loaded, "4.1") == "pty"


def test_variables_work_in_strings_and_can_be_escaped(write: Write) -> None:
    path = write(
        '[vars]\ntty = "ttyS0"\nn = "1"\n'
        '[boot]\nkernel = "k-${n}"\ncmdline = "console=${tty} $${tty} $tty"\n[x-a]\ny = "${z}"'
    )
    boot = load(path).model.boot
    assert boot.cmdline == "console=ttyS0 ${tty} $tty"
    assert str(boot.kernel).endswith("k-1")


def test_set_changes_variables_and_keys(write: Write) -> None:
    path = write(
        '[vars]\ntty = "ttyS0"\n[boot]\nkernel = "k"\ncmdline = "console=${tty}"\n'
        '[memory]\nsize = "16M"\n[slots.4]\ndevice = "uart"\n[lpc.com1]\nbackend = "stdio"'
    )
    loaded = load(
        path,
        [
            "tty=ttyS1",
            "memory.size=33554432",
            "name=other",
            "slots.4.backend=pty",
            'slots."4.1".device=uart',
            'lpc.com1.backend={ type = "tcp", listen = "[::1]:1" }',
            "lpc.debug-exit.port=0xf8",
            "ready.wait-for=a=b",
        ],
    )
    model = loaded.model
    assert model.boot.cmdline == "console=ttyS1"
    assert (model.name, model.memory.size) == ("other", 32 * MIB)
    assert (backend(loaded, "4"), backend(loaded, "4.1")) == ("pty", "null")
    assert model.lpc["com1"].backend.type == "tcp"
    assert "debug-exit" in model.lpc
    assert model.lpc["debug-exit"].port == 0xF8
    assert model.ready is not None
    assert model.ready.wait_for == "a=b"


def test_set_of_a_key_in_a_table_within_a_table_leaves_the_others(write: Write) -> None:
    path = write(IMAGE + '[cpu]\nschedule = { seed = 3, jitter = "1us" }\n')

    model = load(path, ["cpu.schedule.seed=9"]).model

    assert (model.cpu.schedule.seed, model.cpu.schedule.jitter) == (9, 1000)


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("", "VM008"),
        ("=1", "VM008"),
        ("a b=1", "VM008"),
        ("nothing=1", "VM008"),
        ("memory.size=", "VM015"),
        ("memory.siez=1M", "VM010"),
        ("slots.77.device=uart", "VM018"),
        ("slots=4", "VM008"),
        ("extends=a.toml", "VM008"),
        ("a.b = 1\nc.d=2", "VM010"),
    ],
)
def test_wrong_set_is_located(write: Write, override: str, code: str) -> None:
    reading = inspect(write(IMAGE), [override])
    assert [item.code for item in reading.diagnostics] == [code]
    assert reading.diagnostics[0].primary.file == "--set"


def test_unknown_variable_is_the_only_complaint_about_its_string(write: Write) -> None:
    assert codes(write(IMAGE + '[memory]\nsize = "${mem}"')) == ["VM006"]


def test_all_errors_are_reported_at_once_by_place(write: Write) -> None:
    path = write(IMAGE + '[memory]\nsize = "x"\n[cpu]\nmodle = ""\n[slots.40]\n[slots.4]\n')
    assert codes(path) == ["VM015", "VM010", "VM018", "VM013"]


def test_config_error_is_a_usage_error_and_its_text_is_the_report(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write("schema = true"))
    assert caught.value.exit_code == ExitCode.USAGE
    assert "VM030" in str(caught.value)


def test_crlf_and_tabs_do_not_move_the_marks(write: Write) -> None:
    path = write("")
    path.write_bytes(IMAGE.encode() + b"[lpc.com1]\r\n\tbackend = {}\r\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "7 | \tbackend = {}\n  | \t^^^^^^^\n" in str(caught.value)


def test_text_that_is_not_utf8_is_located(write: Write) -> None:
    path = write("")
    path.write_bytes(b'schema = 1\nname = "\xff"\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    span = caught.value.diagnostics[0].primary
    assert (span.line, span.column) == (2, 9)


@pytest.mark.parametrize("depth", [100, 300, 400, 450, 480, 900, 5000])
def test_deep_nesting_is_an_error_not_a_crash(write: Write, depth: int) -> None:
    assert set(codes(write("a = " + "[" * depth + "]" * depth))) <= {"VM002", "VM010", "VM030"}


def test_folder_as_machine_file_is_refused(tmp_path: Path) -> None:
    assert codes(tmp_path) == ["VM001"]


def test_a_name_for_a_file_gets_the_file_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").touch()

    with pytest.raises(ConfigError, match=r"did you mean `demo\.toml`"):
        load(Path("demo"))
    with pytest.raises(ConfigError, match="a machine file is wanted here"):
        load(Path("other"))


def test_a_byte_order_mark_is_no_part_of_the_text(write: Write) -> None:
    path = write("")
    path.write_bytes(b'\xef\xbb\xbfname = "Demo"\n')

    with pytest.raises(ConfigError) as caught:
        load(path)

    named = next(item.primary for item in caught.value.diagnostics if item.code == "VM014")
    assert (named.line, named.column) == (1, 8)


FULL = """
name = "full"
[vars]
port = "4555"
[memory]
size = "1536K"
[clock]
mode = "virtual"
epoch = 2001-02-03T04:05:06+01:00
[boot]
kernel = "a b/k"
initrd = "i"
modules = ['"c d.img" x="1"', "e"]
cmdline = 'a "quoted" \\ $${x} é \t'
help = "run it"
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[slots.4.1]
device = "uart"
backend = { type = "file", path = "log" }
[slots.4]
device = "uart"
legacy = "com2"
[lpc.com1]
backend = { type = "tcp", connect = "localhost:${port}" }
[lpc.com3]
[lpc.debug-exit]
[ready]
wait-for = '''$ "${port}"'''
timeout = "1.5s"
"""


@pytest.mark.parametrize("text", [IMAGE, FULL, '[boot]\nfirmware = "rom"'])
def test_canonical_text_loads_as_the_same_model(write: Write, text: str) -> None:
    first = load(write(text)).model
    canonical = to_toml(first)
    second = load(write(canonical, "elsewhere/other.toml")).model
    assert second == first
    assert to_toml(second) == canonical


def test_machine_files_we_ship_are_sound() -> None:
    shipped = sorted((Path(__file__).parents[3] / "machines").glob("*.toml"))
    files = [file for file in shipped if not is_lab(file)]
    assert files
    assert [load(file).model.name for file in files] == [file.stem for file in files]
