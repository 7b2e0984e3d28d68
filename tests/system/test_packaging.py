# SPDX-License-Identifier: BSD-2-Clause
"""The package as users get it: built, installed into a clean environment, used from there.

With `VMMGR_THOROUGH=1` the wheel for old systems, too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.needs import needs
from support.vmmgr import ROOT

import manager


@dataclass(frozen=True)
class Installed:
    """An environment with vmmgr from the wheel, and none of this project's files in sight."""

    prefix: Path
    sdist: Path
    wheel: Path
    home: Path

    def __call__(self, *command: str | Path) -> str:
        """Run a program of the environment, in an empty directory; it has to succeed."""
        keep = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8"}
        result = subprocess.run(
            [self.prefix / "bin" / command[0], *command[1:]],
            cwd=self.home,
            env={**keep, "VMMGR_STATE_HOME": str(self.home / "state")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


def run(*command: str | Path, cwd: Path) -> None:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def tracked_files() -> list[Path]:
    """What is in the project, as git sees it: nothing that was built here before."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


def environment(prefix: Path, wheel: Path) -> None:
    """One that has the wheel, without any network, and its dependencies from here."""
    run(sys.executable, "-m", "venv", "--without-pip", prefix, cwd=prefix.parent)
    # An editable install of ours does not come along, as .pth files in a directory that another
    # .pth file names are not read.
    packages = prefix / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", prefix / "bin" / "python")
    run(*pip, "install", "-q", "--no-deps", "--no-index", "--no-compile", wheel, cwd=prefix)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Builds the sdist, the wheel from the sdist, and installs that."""
    place = tmp_path_factory.mktemp("package")
    source, prefix, home = place / "source", place / "environment", place / "home"
    home.mkdir()
    for name in tracked_files():
        is_needed = name.parts[0] in ("manager", "machines", "LICENSES") or len(name.parts) == 1
        if is_needed or name == Path("docs/man/vmmgr.1"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", place / "dist", cwd=source)
    (sdist,) = (place / "dist").glob("*.tar.gz")
    (wheel,) = (place / "dist").glob("*.whl")
    environment(prefix, wheel)
    return Installed(prefix, sdist, wheel, home)


def test_command_and_api_come_from_the_wheel(installed: Installed) -> None:
    where = installed("python", "-c", "import manager.api; print(manager.__file__)")

    assert where.startswith(str(installed.prefix))
    assert manager.__version__ in installed("vmmgr", "--version")


def test_first_machine_runs_from_an_empty_directory(installed: Installed) -> None:
    installed("vmmgr", "new", "first")

    output = installed("vmmgr", "run", "first.toml", "--until", "Hello from first")

    assert "Hello from first" in output


def test_hello_comes_along(installed: Installed) -> None:
    hello = installed.prefix / "share/vmmgr/machines/hello.toml"

    output = installed("vmmgr", "run", hello, "--until", "> $")

    assert output.startswith("Hello from vmmgr")


@needs("man")
def test_man_finds_the_manual_page_of_the_command_in_its_path(installed: Installed) -> None:
    path = f"{installed.prefix / 'bin'}:{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(installed.home), "LC_ALL": "C.UTF-8", "MANWIDTH": "1000"}

    page = subprocess.run(
        ["man", "--warnings=w", "vmmgr"], env=env, capture_output=True, text=True, check=True
    )

    assert page.stderr == ""
    text = " ".join(re.sub(".\b", "", page.stdout).split())
    summary = " ".join(installed("vmmgr", "ls", "--help").split("\n\n")[1].split())
    assert summary in text


def test_diagnostics_bring_their_explanations(installed: Installed) -> None:
    assert "VM012" in installed("vmmgr", "explain", "VM012")


def test_pytest_finds_the_plugin(installed: Installed) -> None:
    options = installed("python", "-m", "pytest", "--help")

    assert "--vmmgr-artifacts" in options


def test_wheel_has_types_and_no_tests(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()

    assert "manager/py.typed" in names
    assert "manager/config/templates/minimal.toml" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_sdist_has_all_that_a_build_needs(installed: Installed) -> None:
    with tarfile.open(installed.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"manager/cpu/unicorn/native/engine.h", "manager/snapshot/pages.c", "setup.py"} <= names
    assert "machines/hello/hello.bin" in names


def publish(tree: Path, out: Path, only: str, umask: int = 0o022) -> Path:
    """One of those that `make wheels` makes."""
    subprocess.run(
        [sys.executable, tree / "packaging" / "build.py", "--out", out, "--only", only],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1764547200"},
        umask=umask,
    )
    return max(out.glob("vmmgr-*"), key=lambda file: file.suffix)  # the wheel, if there is one


def test_sdist_is_the_same_wherever_it_is_made(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    for name in tracked_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)

    here = publish(ROOT, tmp_path / "one", "sdist")
    there = publish(copy, tmp_path / "two", "sdist", umask=0o077)

    assert here.read_bytes() == there.read_bytes()


def test_one_wheel_is_for_all_later_pythons(installed: Installed) -> None:
    assert "-cp311-abi3-linux_" in installed.wheel.name
    native = [name for name in zipfile.ZipFile(installed.wheel).namelist() if ".so" in name]
    assert native
    assert all(name.endswith(".abi3.so") for name in native)


def test_wheel_without_native_parts_goes_anywhere(tmp_path: Path) -> None:
    wheel = publish(ROOT, tmp_path / "dist", "pure")
    environment(tmp_path / "environment", wheel)
    pure = Installed(tmp_path / "environment", wheel, wheel, tmp_path)

    assert wheel.name.endswith("-py3-none-any.whl")
    hello = pure.prefix / "share/vmmgr/machines/hello.toml"
    assert pure("vmmgr", "plan", hello)
    refused = subprocess.run(
        [pure.prefix / "bin" / "vmmgr", "run", hello], capture_output=True, text=True, check=False
    )
    assert "native" in refused.stderr
    assert "Traceback" not in refused.stderr


if os.environ.get("VMMGR_THOROUGH") == "1":  # it takes a minute, and a compiler of 100 MB

    def test_wheel_for_old_systems_runs_hello_without_a_compiler(tmp_path: Path) -> None:
        wheel = publish(ROOT, tmp_path / "dist", "native")
        environment(tmp_path / "environment", wheel)
        old = Installed(tmp_path / "environment", wheel, wheel, tmp_path)

        assert "-cp311-abi3-manylinux" in wheel.name
        hello = old.prefix / "share/vmmgr/machines/hello.toml"
        assert "Hello from vmmgr" in old("vmmgr", "run", hello, "--until", "> $")
