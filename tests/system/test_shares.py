# SPDX-License-Identifier: BSD-2-Clause
"""A folder of the host in Linux, by Debian's ordinary kernel and its 9p driver.

The folder is small here; with `VMMGR_THOROUGH=1` it has 5,000 files.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import resource
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.modules import complete, write_initrd
from support.vmmgr import ROOT, Vmmgr

from manager.api import Console, Definition, Machine, load

pytestmark = pytest.mark.guest

MACHINE = """
schema = 1
name = "shared"
[memory]
size = "128M"
[clock]
mode = "virtual"
[boot]
kernel = "{kernel}"
initrd = "{initrd}"
cmdline = "console=ttyS0 quiet"
[shares.src]
folder = "src"
mode = "{mode}"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.7]
device = "virtio-9p"
share = "src"
tag = "sources"
[lpc.com1]
"""
HELLO = f"""
extends = ["{ROOT}/machines/hello.toml"]
name = "shared"
[shares.src]
folder = "src"
mode = "overlay"
[slots.7]
device = "virtio-9p"
share = "src"
[lpc.com1]
backend = "null"
"""
FILES = 5000 if os.environ.get("VMMGR_THOROUGH") == "1" else 150
PROMPT = r"/m? # (\x1b\[6n)?$"
MOUNT = "mkdir -p /m; mount -t 9p -o trans=virtio,version=9p2000.L sources /m"
ODD = b"a\x01\xff\n'\"; \\*"


@dataclass(frozen=True, slots=True)
class Loaded:
    """An initramfs with the driver, and the command that loads it."""

    initrd: Path
    command: str


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    initrd = tmp_path_factory.mktemp("9p") / "initrd.img"
    names = write_initrd(initrd, complete(), "virtio_pci", "9pnet_virtio", "9p")
    return Loaded(initrd, "; ".join(f"insmod /mods/{name}.ko" for name in names))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is shared."""
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "src"
    folder.mkdir()
    return folder


def shared(source: Path, loaded: Loaded, mode: str) -> Definition:
    file = source.parent / "shared.toml"
    values = {"kernel": complete().image, "initrd": loaded.initrd, "mode": mode}
    file.write_text(MACHINE.format(**values))
    return load(file)


def shell(machine: Machine, *commands: str) -> list[str]:
    """What each command prints."""
    console: Console = machine.console("com1")
    return [
        console.command(command, "600s", PROMPT).replace("\r", "").replace("\x1b[6n", "")
        for command in commands
    ]


def boot(definition: Definition, loaded: Loaded) -> Machine:
    """The machine with the share mounted."""
    machine = definition.boot()
    machine.console("com1").expect_prompt(PROMPT, "60s")
    shell(machine, loaded.command, MOUNT)
    return machine


def make_tree(folder: Path, files: int) -> str:
    """Files in nested folders; what `md5sum` prints of all, in the order of their names."""
    lines = []
    for number in range(files):
        place = folder / f"d{number % 40}" / f"e{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        content = f"file {number}\n".encode() * (number % 300)
        (place / f"f{number}").write_bytes(content)
        name = f"./{(place / f'f{number}').relative_to(folder)}"
        lines.append(f"{hashlib.md5(content).hexdigest()}  {name}")
    return "\n".join(sorted(lines, key=lambda line: line[34:]))


def test_linux_walks_and_reads_a_folder(source: Path, loaded: Loaded) -> None:
    expected = make_tree(source, FILES)
    (source / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (source / "run.sh").chmod(0o755)
    os.utime(source / "run.sh", ns=(0, 1_600_000_000_123_456_789))
    (source / "out").symlink_to("/etc/passwd")
    (source / "in").symlink_to("run.sh")
    os.mkfifo(source / "fifo")
    Path(os.fsdecode(os.fsencode(source) + b"/" + ODD)).write_text("odd\n")

    with boot(shared(source, loaded, "read-only"), loaded) as machine:
        printed = shell(
            machine,
            "cd /m && find d* -type f | wc -l",
            "find . -name 'f[0-9]*' -type f | sort | xargs md5sum | md5sum",
            "stat -c '%n %A %u:%g %y' run.sh; ./run.sh; readlink out; ./in; ls -A | wc -l",
            'for f in a*; do cat "$f"; echo -n "$f" | md5sum; done',
            "touch x; echo y > run.sh; rm in; mkdir z; mv in on; chmod 600 run.sh; cd /",
            "umount /m && echo gone; dmesg | grep -E '9p.*(err|fail)|BUG|Oops'",
        )

    assert printed[0] == str(FILES)
    assert hashlib.md5(expected.encode() + b"\n").hexdigest() in printed[1]
    assert printed[2].splitlines()[-5:] == [  # the shell may wrap its line
        "run.sh -rwxr-xr-x 0:0 2020-09-13 12:26:40.123456789 +0000",
        "ran",
        "/etc/passwd",
        "ran",
        "44",
    ]
    assert printed[3] == f"odd\n{hashlib.md5(ODD).hexdigest()}  -"
    assert printed[4].count("Read-only file system") == 6
    assert printed[5] == "gone"


def test_what_linux_writes_is_in_a_snapshot_and_the_host_s_folder_stays(
    source: Path, loaded: Loaded, tmp_path: Path
) -> None:
    """A file that lost its name is read on after a resume, though the host's folder changed."""
    make_tree(source, 40)
    (source / "one").write_text("one\n" * 2000)
    before = {path: path.lstat().st_mtime_ns for path in source.rglob("*")}
    steps = (
        "cd /m; cat <&3 | md5sum; exec 3<&-; cat two | md5sum; ls | md5sum",
        "rm -r d1 d2 d3; ls; find . | sort | md5sum; dd if=/bin/busybox of=d5/b bs=64k; "
        "cmp d5/b /bin/busybox && stat -c '%s %A %Y' d5/b; ln d5/b hard; mv d5 moved; ls -l moved",
        "cd /; umount /m; dmesg | grep -E '9p.*(err|fail)|BUG|Oops'",
    )
    definition = shared(source, loaded, "overlay")
    with boot(definition, loaded) as machine:
        shell(
            machine,
            "cd /m; cp one two; echo more >> two; exec 3<one; rm one; mkdir n; ln -s ../two n/l; "
            "chmod 751 n; cat n/l | tail -n 1",
        )
        snapshot = machine.snapshot(tmp_path / "snapshot")
        expected = shell(machine, *steps)
    assert {path: path.lstat().st_mtime_ns for path in source.rglob("*")} == before
    (source / "one").write_text("changed on the host\n")
    (source / "d4" / "e4" / "f4").unlink()
    with definition.resume(snapshot) as resumed:
        printed = shell(resumed, *steps)

    assert printed == expected
    digest = hashlib.md5(b"one\n" * 2000).hexdigest()
    assert printed[0].startswith(f"{digest}  -\n")
    assert hashlib.md5(b"one\n" * 2000 + b"more\n").hexdigest() in printed[0]
    assert re.search(r"^\d+ -rw-r--r-- 1704067\d\d\d$", printed[1], re.MULTILINE)
    assert printed[2] == ""


def test_a_resume_refuses_another_folder_and_a_boot_takes_it(vmmgr: Vmmgr, source: Path) -> None:
    (source / "hello.c").write_text("one\n")
    (source / "old.c").write_text("")
    file = source.parent / "shared.toml"
    file.write_text(HELLO)
    vmmgr("up", "-d", file)
    vmmgr("suspend", "shared")
    (source / "hello.c").write_text("two\n")
    (source / "old.c").unlink()

    refused = vmmgr.any("resume", "-d", "shared")

    assert refused.returncode == 5
    assert 'share "src"' in refused.stderr
    assert "hello.c has changed, old.c is gone" in refused.stderr
    vmmgr("discard", "shared")
    vmmgr("up", "-d", file)
    vmmgr("suspend", "shared")
    vmmgr("resume", "-d", "shared")
    (source / "hello.c").write_text("three\n")
    vmmgr("rewind", "shared", "1ms")
    vmmgr("down", "shared")
    assert "shares.src" in vmmgr("disk", "ls").stdout


def test_cp_reads_and_writes_what_does_not_run(vmmgr: Vmmgr, source: Path) -> None:
    (source / "inner").mkdir()
    (source / "inner" / "a").write_text("a\n")
    (source / "run.sh").write_text("old, and longer\n")
    (source / "link").symlink_to("run.sh")
    file = source.parent / "shared.toml"
    file.write_text(HELLO)
    new = source.parent / "new"
    new.mkdir()
    (new / "run.sh").write_text("new\n")
    (new / "run.sh").chmod(0o750)
    (new / "inner").mkdir()
    (new / "inner" / "b").write_text("b\n")
    out = source.parent / "out"
    out.mkdir()
    vmmgr("up", "-d", file)
    vmmgr("suspend", "shared")
    vmmgr("cp", "shared:/inner/a", out / "copy")
    assert (out / "copy").read_text() == "a\n"
    assert vmmgr.any("cp", f"{new}/run.sh", "shared:/").returncode == 4
    vmmgr("discard", "shared")

    vmmgr("cp", f"{new}/.", "shared:/")
    vmmgr("cp", new / "inner", "shared:src/other")
    vmmgr("up", "-d", file)
    vmmgr("down", "shared")
    result = vmmgr("cp", "--json", "shared:/", out / "all")

    assert '"files": 5' in result.stdout
    found = {str(path.relative_to(out / "all")) for path in (out / "all").rglob("*")}
    assert found == {"inner", "inner/a", "inner/b", "run.sh", "link", "other", "other/b"}
    assert (out / "all" / "run.sh").read_text() == "new\n"
    assert (out / "all" / "run.sh").stat().st_mode & 0o777 == 0o750
    assert (out / "all" / "link").readlink() == Path("run.sh")
    assert (source / "run.sh").read_text() == "old, and longer\n"
    assert vmmgr.any("cp", "shared:/../x", out).returncode == 1
    assert "No such file" in vmmgr.any("cp", "shared:/nothing", out).stderr
    assert vmmgr.any("cp", "shared:none/x", out).returncode == 2
    assert vmmgr.any("cp", out, out).returncode == 2


def test_cp_into_a_machine_that_runs_is_input(vmmgr: Vmmgr, source: Path) -> None:
    """It is in a replay, and a rewind undoes it."""
    (source / "old").write_text("old\n")
    file = source.parent / "shared.toml"
    file.write_text(HELLO)
    new, out = source.parent / "new", source.parent / "out"
    (new / "inner").mkdir(parents=True)
    (new / "large").write_bytes(random.Random(1).randbytes(3 << 20))
    (new / "run.sh").write_text("run\n")
    (new / "run.sh").chmod(0o750)
    (new / "link").symlink_to("/etc/passwd")
    (new / "nowhere").symlink_to("nothing")
    os.mkfifo(new / "fifo")
    Path(os.fsdecode(os.fsencode(new) + b"/inner/" + ODD)).write_text("odd\n")
    for number in range(300):
        (new / "inner" / f"{number}").write_text(f"{number}\n")
    vmmgr("up", "-d", file)

    vmmgr("cp", new, "shared:/")
    vmmgr("cp", new / "link", "shared:/old")
    vmmgr("cp", "shared:/", out)

    assert (out / "old").readlink() == Path("/etc/passwd")
    expected = contents(new)
    assert expected.pop(b"fifo") is None
    assert contents(out / "new") == expected
    assert (out / "new" / "run.sh").stat().st_mode & 0o777 == 0o750
    for wrong, status, why in (
        (("cp", new / "large", "shared:/none/x"), 1, "none: No such file"),
        (("cp", new / "inner", "shared:/new/run.sh"), 1, "new/run.sh: Not a directory"),
        (("cp", "shared:/../x", out), 1, "Invalid argument"),
    ):
        assert why in vmmgr(*wrong, status=status).stderr
    vmmgr("ctl", "shared", "pause")
    assert "stands still" in vmmgr("cp", new / "run.sh", "shared:/", status=4).stderr
    vmmgr("cp", "shared:/new/large", out / "while-paused")
    vmmgr("ctl", "shared", "continue")
    vmmgr("down", "shared")
    assert "the same" in vmmgr("replay", "shared").stderr
    vmmgr("cp", "shared:/new/large", out / "large")
    assert (out / "large").read_bytes() == (new / "large").read_bytes()


def contents(folder: Path) -> dict[bytes, bytes | None]:
    """Every file and link below a folder; None for what is neither."""
    found: dict[bytes, bytes | None] = {}
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        name = os.fsencode(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.fsencode(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def test_a_share_that_is_read_only_takes_nothing_in(vmmgr: Vmmgr, source: Path) -> None:
    (source / "a").write_text("a\n")
    file = source.parent / "shared.toml"
    file.write_text(HELLO.replace('"overlay"', '"read-only"'))
    vmmgr("up", "-d", file)

    refused = vmmgr("cp", source / "a", "shared:/b", status=2)

    assert 'share "src" of shared is read-only' in refused.stderr
    assert 'mode = "overlay"' in refused.stderr
    vmmgr("cp", "shared:/a", source.parent / "copied")
    vmmgr("down", "shared")


def test_a_copy_that_finds_no_room_on_the_host_changes_nothing(vmmgr: Vmmgr, source: Path) -> None:
    (source / "a").write_text("a\n")
    file = source.parent / "shared.toml"
    file.write_text(HELLO)
    large = source.parent / "large"
    large.write_bytes(bytes(range(256)) * 8192)
    vmmgr("up", "-d", file)
    vmmgr("down", "shared")
    limits = (1 << 20, resource.RLIM_INFINITY)

    resource.prlimit(0, resource.RLIMIT_FSIZE, limits)
    try:
        refused = vmmgr("cp", large, "shared:/a", status=1)
        too_large = vmmgr("cp", large, "shared:/", status=1)
    finally:
        resource.prlimit(0, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    assert "the host has no room left" in refused.stderr + too_large.stderr
    assert "free some room" in refused.stderr
    vmmgr("cp", "shared:/", source.parent / "out")
    assert [path.name for path in (source.parent / "out").iterdir()] == ["a"]
    assert (source.parent / "out" / "a").read_text() == "a\n"


def test_prune_removes_frozen_folders_that_nothing_lies_on(vmmgr: Vmmgr, source: Path) -> None:
    (source / "a").write_text("one\n")
    file = source.parent / "shared.toml"
    file.write_text(HELLO)
    cache = vmmgr.home / "state" / ".images"
    vmmgr("up", "-d", file)
    (first,) = cache.glob("*.share")
    vmmgr("snapshot", "save", "shared", "kept")
    vmmgr("down", "shared")
    (source / "a").write_text("two\n")
    vmmgr("up", "-d", file)
    assert len(list(cache.glob("*.share"))) == 2
    left = cache / f".{first.name}.999999"  # by a process that was killed as it wrote
    left.write_bytes(bytes(5000))

    assert "1 frozen folder" in vmmgr("prune", "--force").stdout
    assert not left.exists()
    assert len(list(cache.glob("*.share"))) == 2
    vmmgr("down", "shared")
    vmmgr("snapshot", "rm", "shared", "kept")
    assert '"folders": 1' in vmmgr("prune", "--dry-run", "--json").stdout
    vmmgr("prune", "--force")
    assert first not in cache.glob("*.share")
    vmmgr("up", "-d", file)
    vmmgr("rewind", "shared", "1ms")
    vmmgr("down", "shared")
    vmmgr("rm", "shared", "--force")
    vmmgr("prune", "--force")
    assert not list(cache.glob("*.share"))
