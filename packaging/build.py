# SPDX-License-Identifier: BSD-2-Clause
"""Makes what is published: the sdist, the wheels, a list of what they need, and their hashes.

The sdist is the same, bit for bit, wherever it is made. The wheels are made from it and from
nothing else: one for Linux on x86-64 with glibc 2.17 and any Python from 3.11 on, by the stable
ABI, and one without native parts for everything that runs no guest, anywhere.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = "x86_64-linux-gnu.2.17"
PLATFORM = "manylinux_2_17_x86_64"


def main() -> None:
    """Build everything into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where to [dist]")
    parser.add_argument(
        "--only", choices=["sdist", "pure", "native"], help="one of them, and no list of parts"
    )
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SOURCE_DATE_EPOCH", last_change())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = [sdist(folder, out)]
        if arguments.only in (None, "pure"):
            made.append(wheel(made[0], folder / "pure", out, pure=True))
        if arguments.only in (None, "native"):
            made.append(wheel(made[0], folder / "native", out, pure=False))
        if arguments.only is None:
            made.append(parts(made[-1], folder / "installed", out))
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in made]
    (out / "SHA256SUMS").write_text("".join(lines))
    print("".join(lines), end="")


def last_change() -> str:
    """When the sources changed last, as git has it; else a fixed day, for they are an sdist."""
    return git("log", "-1", "--format=%ct").strip() or "1764547200"  # 2025-12-01


def git(*arguments: str) -> str:
    """What git says of this tree; nothing where it is none of git's."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def sdist(folder: Path, out: Path) -> Path:
    """The sources, without what only the host that packed them knows: dates, owners, order."""
    tree = folder / "tree"
    for name in git("ls-files", "-z").split("\0"):  # what was built here stays here
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    frontend("--sdist", tree if tree.exists() else ROOT, folder / "sdist")
    (packed,) = (folder / "sdist").glob("*.tar.gz")
    bare = io.BytesIO()
    with (
        tarfile.open(packed) as source,
        tarfile.open(fileobj=bare, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source, key=lambda member: member.name):
            clean = tarfile.TarInfo(member.name)
            clean.type, clean.size, clean.linkname = member.type, member.size, member.linkname
            clean.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            clean.mtime = int(os.environ["SOURCE_DATE_EPOCH"])
            target.addfile(clean, source.extractfile(member) if member.isfile() else None)
    result = out / packed.name
    result.write_bytes(gzip.compress(bare.getvalue(), mtime=0))
    return result


def wheel(source: Path, folder: Path, out: Path, *, pure: bool) -> Path:
    """From the sdist, as who installs that would; the native one for old systems too."""
    with tarfile.open(source) as archive:
        archive.extractall(folder / "source", filter="data")
    (tree,) = (folder / "source").iterdir()
    os.environ["VMMGR_PURE"] = "1" if pure else ""
    if not pure:
        compiler = f"{sys.executable} -m ziglang cc -target {TARGET} -g0"
        os.environ.update(CC=compiler, LDSHARED=f"{compiler} -shared -s", CFLAGS="-DNDEBUG")
    frontend("--wheel", tree, folder)
    (built,) = folder.glob("*.whl")
    if pure:
        return Path(shutil.copy2(built, out))
    tool("auditwheel", "repair", "--plat", PLATFORM, "--only-plat", "-w", folder / "wide", built)
    (result,) = (folder / "wide").glob("*.whl")
    tool("abi3audit", "--strict", result)
    return Path(shutil.copy2(result, out))


def parts(built: Path, folder: Path, out: Path) -> Path:
    """CycloneDX's list of all that an installation of the wheel brings along."""
    tool(sys.executable, "-m", "venv", "--without-pip", folder)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    tool(*pip, "--python", folder / "bin" / "python", "install", "--quiet", built)
    result = out / f"{built.name.partition('-cp')[0]}.cdx.json"
    tool("cyclonedx-py", "environment", "--output-reproducible", "-o", result, folder)
    return result


def frontend(what: str, tree: Path, folder: Path) -> None:
    """Have `build` make it, with the tools that are here."""
    tool(sys.executable, "-m", "build", "--no-isolation", what, "--outdir", folder, tree)


def tool(*command: str | Path) -> None:
    """Run a tool of this environment; its words are shown only when it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}\n{command[0]} failed: {done.returncode}")


if __name__ == "__main__":
    main()
