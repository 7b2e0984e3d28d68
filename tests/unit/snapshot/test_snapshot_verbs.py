# SPDX-License-Identifier: BSD-2-Clause
"""The verbs of `vmmgr snapshot`, as a user types them, on machines that do not run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from manager.bus.memory import Ram
from manager.cli.main import main
from manager.config.labs import is_lab
from manager.devices.uart.uart16550 import Uart16550State
from manager.graph.build import load_graph
from manager.graph.identity import identity, identity_hash, to_plain
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.read import open_snapshot
from manager.snapshot.store import Store
from manager.snapshot.write import write_snapshot
from manager.state.paths import MachinePaths

MakeImage = Callable[..., Image]
MACHINES = Path(__file__).parents[3] / "machines"
PAGE = 4096


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def suspended(home: Path, make_image: MakeImage) -> Store:
    """A machine `demo` with a suspended state and, earlier, one called `before`."""
    paths = MachinePaths.of("demo")
    paths.make()
    store = Store(paths.snapshots)
    memory = Ram(-1, 64 * PAGE)
    memory[:] = b"\x22" * (64 * PAGE)
    uart = Uart16550State(ier=3, lcr=0x1B)
    uart.received = bytearray(b"abc")
    ram = [RamRegion(0x1000, memory)]
    config = {"devices": [{"id": "lpc.com1", "type": "isa-uart"}]}
    image = make_image(ram=ram, records={"lpc.com1": uart}, config=config)
    store.commit(image, "before", goes_on=True)
    memory[5 * PAGE] = 1
    changed = Uart16550State(ier=1, lcr=0x1B)
    store.commit(make_image(ram=ram, records={"lpc.com1": changed}, executed=9))
    return store


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(["snapshot", *argv])
    out, err = capsys.readouterr()
    return status, out, err


def test_ls_and_tree_show_each_with_its_sizes_and_parent(
    suspended: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "ls")
    head, before, current = out.splitlines()

    assert status == 0
    assert head.split() == [
        "SNAPSHOT",
        "SAVED",
        "VIRTUAL",
        "TIME",
        "LOGICAL",
        "UNIQUE",
        "ON",
        "DISK",
        "ID",
        "PARENT",
    ]
    assert before.startswith("demo:before ")
    assert current.startswith("demo ")
    assert current.split()[-1] == before.split()[-2]
    assert "└ demo" in run(capsys, "tree", "demo")[1]
    listed = json.loads(run(capsys, "ls", "--json")[1])["snapshots"]
    assert [item["tags"] for item in listed] == [["before"], ["current"]]
    assert listed[1]["parent"] == listed[0]["id"]


def test_show_decodes_the_registers_of_a_uart(
    suspended: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(capsys, "show", "demo:before")[1]

    assert "uart lpc.com1: IER=RX|THRE, MCR=0, 8E1, divisor 12, FIFO off, 3 bytes in RX FIFO" in out
    assert "  ier = 0x3 RX|THRE  # interrupt enable register" in out


def test_diff_names_registers_and_page_ranges(
    suspended: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(capsys, "diff", "demo:before", "demo")[1].splitlines()

    assert "header.executed: 120000 -> 9" in out
    assert "lpc.com1.ier: 0x3 RX|THRE -> 0x1 RX" in out
    assert "lpc.com1.received: 61 62 63 -> empty" in out
    assert out[-1] == "RAM 0x6000-0x6fff: 1 page"
    assert run(capsys, "diff", "demo", "demo")[1] == "equal\n"
    found = json.loads(run(capsys, "diff", "--json", "demo:before", "demo")[1])
    assert found["ram"] == [{"base": 0x6000, "length": PAGE}]


def test_diff_tells_how_the_machines_differ(
    home: Path, make_image: MakeImage, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"memory": {"size": 4 << 20}, "devices": {"slots.4": {"type": "pci-uart"}}}
    large = {"memory": {"size": 8 << 20}, "devices": {}}
    write_snapshot(home / "a", make_image(identity=small))
    write_snapshot(home / "b", make_image(identity=large))

    out = run(capsys, "diff", "./a", "./b")[1].splitlines()

    assert "machine: memory.size: 4 MiB in A, 8 MiB in B" in out
    assert "machine: slots.4 (uart): only in A" in out


def test_restore_makes_a_saved_state_the_suspended_one(
    suspended: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "restore", "demo", "before")[0] == 0

    assert suspended.current() == suspended.path("before")


def test_rm_removes_one_and_refuses_the_suspended_state_and_what_is_not_there(
    suspended: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "rm", "demo", "before")[0] == 0
    assert suspended.tags() == ["current"]

    status, _, err = run(capsys, "rm", "demo", "current")
    assert (status, "vmmgr discard demo" in err) == (2, True)
    status, _, err = run(capsys, "rm", "demo", "before")
    assert (status, "there is no snapshot demo:before" in err) == (2, True)
    assert run(capsys, "ls", "nobody")[0] == 3


def test_save_tags_the_state_of_a_machine_that_does_not_run(
    suspended: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "save", "demo", "upgraded")[0] == 0
    assert run(capsys, "save", "demo")[0] == 0

    assert suspended.path("upgraded") == suspended.path("save-1") == suspended.current()
    assert run(capsys, "save", "demo", "current")[0] == 2


def test_a_clone_is_a_machine_of_its_own(
    suspended: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "clone", "demo:before", "twin")[0] == 0

    assert run(capsys, "verify", "twin")[0] == 0
    assert "equal" in run(capsys, "diff", "demo:before", "twin")[1]
    assert run(capsys, "clone", "demo", "twin")[0] == 4


def test_export_and_import_carry_a_snapshot_to_another_machine(
    suspended: Store, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert run(capsys, "export", "demo")[0] == 0
    assert run(capsys, "import", "demo.vmms.tar.zst", "other", "bug-7")[0] == 0
    assert run(capsys, "convert", "demo.vmms.tar.zst", "./copy")[0] == 0

    assert run(capsys, "diff", "demo", "other:bug-7")[1] == "equal\n"
    assert run(capsys, "diff", "demo", "./copy")[1] == "equal\n"
    assert run(capsys, "import", "demo.vmms.tar.zst", "other", "bug-7")[0] == 2
    (home / "demo.vmms.tar.zst").write_bytes(b"damaged")
    assert run(capsys, "import", "demo.vmms.tar.zst", "other")[0] == 7
    assert run(capsys, "ls", "other")[1].count("\n") == 2


def test_flatten_and_rebase_change_only_how_ram_is_stored(
    suspended: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "flatten", "demo")[0] == 0
    assert open_snapshot(Path(str(suspended.current()))).manifest.ram[0].runs == b""

    assert run(capsys, "rebase", "demo", "demo:before")[0] == 0
    assert len(open_snapshot(Path(str(suspended.current()))).manifest.ram[0].runs) == 8
    assert run(capsys, "gc")[2] == "0 bytes freed\n"
    assert run(capsys, "verify", "demo")[0] == 0


@pytest.mark.parametrize(
    "file",
    sorted(path for path in MACHINES.glob("*.toml") if not is_lab(path)),
    ids=lambda path: path.stem,
)
def test_show_config_prints_a_machine_file_that_fits(
    file: Path, home: Path, make_image: MakeImage, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = load_graph(file)
    image = make_image(
        identity=identity(graph), config=to_plain(graph), identity_hash=identity_hash(graph)
    )
    write_snapshot(home / "s", image)

    status, out, err = run(capsys, "show", "--config", "./s")

    assert (status, err) == (0, "")
    (home / "old.toml").write_text(out)
    assert identity(load_graph(home / "old.toml")) == identity(graph)
