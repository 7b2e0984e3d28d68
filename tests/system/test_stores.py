# SPDX-License-Identifier: BSD-2-Clause
"""Machines that go through a real registry and a real S3 server, with faults on the way."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from support import kills
from support.faulty_proxy import FaultyProxy, faulty
from support.needs import needs
from support.registry import registry
from support.s3 import s3
from support.stores import bring, content, neighbours, send
from support.vmmgr import COMMAND, ROOT, Vmmgr

from manager.errors import HostError, SnapshotCorruptError
from manager.snapshot.read import verify_snapshot
from manager.snapshot.store import Store
from manager.stores.names import StoredName
from manager.stores.places import open_remote

THOROUGH = os.environ.get("VMMGR_THOROUGH") == "1"
PUSH_ONCE = ROOT / "tests" / "support" / "push_once.py"
SECRET = "$2b$04$yO38vLxW3BxLcxsYrqo5gexHbNBJI3l60WkfNMpvaNv1MPFnQdwMG"
"""What htpasswd makes of the password `secret`."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with registry() as address:
        yield address


@pytest.fixture
def proxy(server: str) -> Iterator[FaultyProxy]:
    with faulty(server) as found:
        yield found


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return neighbours(tmp_path_factory.mktemp("machine"))


@pytest.fixture
def elsewhere() -> Iterator[Vmmgr]:
    """The command with another state directory."""
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder:
        command = Vmmgr(Path(folder))
        yield command
        command.terminal("down", "--all").wait()


def place_of(proxy: FaultyProxy, tmp_path: Path) -> str:
    """A repository for one test."""
    return f"oci://{proxy.address}/{tmp_path.name.replace('_', '-').strip('-').lower()}"


def test_a_machine_goes_on_where_it_was_pulled(vmmgr: Vmmgr, elsewhere: Vmmgr, server: str) -> None:
    place = f"oci://{server}/team/machines"
    vmmgr("up", "machines/hello.toml", "-d", "--wait-for", "> $")
    vmmgr("snapshot", "save", "hello", "ready")
    vmmgr("suspend", "hello")
    digest = vmmgr("push", "hello", place).stdout.strip()
    sent = json.loads(vmmgr("push", "hello:ready", place, "--as", "hello:one", "--json").stdout)
    assert sent["chunks_sent"] < sent["chunks"]
    listed = json.loads(elsewhere("ls", place, "--json").stdout)["snapshots"]
    assert [(one["name"], one["tag"]) for one in listed] == [("hello", "current"), ("hello", "one")]
    assert listed[0]["digest"] == digest

    elsewhere("pull", place, status=2)  # of which there are two
    wrong = digest[:-4] + "0000"
    assert wrong in elsewhere("pull", place, "hello", "--digest", wrong, status=7).stderr
    elsewhere("pull", place, "nosuch", status=3)
    assert json.loads(elsewhere("ls", "--json").stdout)["machines"] == []
    elsewhere("pull", place, "hello", "--digest", digest)
    assert "here already" in elsewhere("pull", place, "hello").stderr
    elsewhere("pull", place, "hello:one", "--as", "hello:current", status=2)
    elsewhere("snapshot", "verify", "hello")
    file = elsewhere.home / "hello.toml"
    file.write_text(elsewhere("snapshot", "show", "--config", "hello").stdout)
    elsewhere("resume", file, "-d")
    elsewhere("pull", place, "hello:one", "--as", "hello:current", status=4)
    elsewhere("send", "hello", "help\\r")
    elsewhere("down", "hello")


def test_a_registry_that_asks_who_is_there_is_told(
    vmmgr: Vmmgr, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmmgr("up", "machines/hello.toml", "-d", "--wait-for", "> $")
    vmmgr("suspend", "hello")
    docker = vmmgr.home / "docker"
    docker.mkdir()
    vmmgr.env["DOCKER_CONFIG"] = str(docker)
    with registry(users=f"me:{SECRET}") as address:
        place = f"oci://{address}/private"
        assert "docker login" in vmmgr("push", "hello", place, status=1).stderr
        vmmgr.env["VMMGR_REGISTRY_USER"] = "me"
        vmmgr.env["VMMGR_REGISTRY_PASSWORD"] = "wrong"
        vmmgr("push", "hello", place, status=1)
        vmmgr.env["VMMGR_REGISTRY_PASSWORD"] = "secret"
        vmmgr("push", "hello", place)
        del vmmgr.env["VMMGR_REGISTRY_USER"]
        login = {"auths": {address: {"auth": "bWU6c2VjcmV0"}}}
        (docker / "config.json").write_text(json.dumps(login))
        assert "current" in vmmgr("ls", place, "--json").stdout


def test_failures_on_the_way_are_tried_again(
    saved: Store, proxy: FaultyProxy, tmp_path: Path
) -> None:
    place = place_of(proxy, tmp_path)
    proxy.failures, proxy.cut = 2, {"up": 500_000}
    first = send(saved, "base", place)
    second = send(saved, "later", place)
    assert second.bytes_sent < first.bytes_sent / 20

    proxy.failures = 1
    proxy.cut = {"down": proxy.passed["down"] + 400_000}
    for tag in ("base", "later"):
        bring(place, tag, tmp_path)
        path = saved.path(tag)
        assert path is not None
        assert content(tmp_path / tag) == content(path)
    assert not proxy.cut


def test_a_bit_changed_on_the_way_is_found(
    saved: Store, proxy: FaultyProxy, tmp_path: Path
) -> None:
    place = place_of(proxy, tmp_path)
    send(saved, "base", place)
    proxy.flip = proxy.passed["down"] + 600_000

    with pytest.raises(SnapshotCorruptError, match="what is kept as sha256:"):
        bring(place, "base", tmp_path)
    assert not (tmp_path / "base").exists()
    bring(place, "base", tmp_path)
    verify_snapshot(tmp_path / "base")


def test_a_registry_that_has_gone_is_named(saved: Store, tmp_path: Path) -> None:
    with registry() as address:
        place = f"oci://{address}/gone"
    with pytest.raises(HostError, match=address):
        send(saved, "base", place)


def test_what_a_killed_push_and_pull_have_moved_does_not_travel_again(
    vmmgr: Vmmgr, elsewhere: Vmmgr, saved: Store, proxy: FaultyProxy, tmp_path: Path
) -> None:
    place = place_of(proxy, tmp_path)
    base = saved.path("base")
    assert base is not None
    Store(vmmgr.home / "state" / "small" / "snapshots").clone(base)
    proxy.hold = {"up": proxy.passed["up"] + 700_000}
    _killed_at_hold(vmmgr, proxy, "push", "small", place)
    assert json.loads(elsewhere("ls", place, "--json").stdout)["snapshots"] == []
    sent = json.loads(vmmgr("push", "small", place, "--json").stdout)
    assert 0 < sent["chunks_sent"] < sent["chunks"]

    proxy.hold = {"down": proxy.passed["down"] + 900_000}
    _killed_at_hold(elsewhere, proxy, "pull", place)
    assert json.loads(elsewhere("ls", "--json").stdout)["machines"] == []
    fetched = json.loads(elsewhere("pull", place, "--json").stdout)
    assert 0 < fetched["chunks_fetched"] < sent["chunks"]
    elsewhere("snapshot", "verify", "small")
    assert not list((elsewhere.home / "state" / ".pulls").iterdir())


def _killed_at_hold(vmmgr: Vmmgr, proxy: FaultyProxy, *arguments: str) -> None:
    """Kill a command once the proxy holds what it moves."""
    proxy.held.clear()
    proxy.release.clear()
    command = [*COMMAND, *arguments, "-j", "2"]
    with subprocess.Popen(command, env=vmmgr.env, cwd=vmmgr.tree) as process:
        assert proxy.held.wait(60)
        process.send_signal(signal.SIGKILL)
    proxy.hold = {}
    proxy.release.set()


def test_two_push_to_one_registry_at_once(saved: Store, proxy: FaultyProxy, tmp_path: Path) -> None:
    place = place_of(proxy, tmp_path)
    threads = [
        Thread(target=send, args=(saved, tag, place, name))
        for tag, name in (("base", "one"), ("later", "one"), ("later", "two"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for tag, name in (("base", "one"), ("later", "one"), ("later", "two")):
        bring(place, tag, tmp_path / name, name=name)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3("machines") as url:
        yield url


@pytest.fixture
def amazon(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A way to the S3 server for this process and those it starts."""
    with faulty(bucket.removeprefix("http://")) as proxy:
        settings = {"ENDPOINT_URL": f"http://{proxy.address}", "DEFAULT_REGION": "us-east-1"}
        settings |= {"ACCESS_KEY_ID": "tests", "SECRET_ACCESS_KEY": "tests"}
        for name, value in settings.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        yield proxy


def test_a_bucket_keeps_machines_despite_failures(
    saved: Store, amazon: FaultyProxy, tmp_path: Path
) -> None:
    place = "s3://machines/a/prefix"
    amazon.failures, amazon.cut = 1, {"up": 400_000}
    first = send(saved, "base", place)
    second = send(saved, "later", place)
    assert second.bytes_sent < first.bytes_sent / 20

    amazon.cut = {"down": amazon.passed["down"] + 400_000}
    bring(place, "base", tmp_path)
    rest = bring(place, "later", tmp_path, [tmp_path / "base"])
    assert rest.bytes_fetched < first.bytes_sent / 20
    verify_snapshot(tmp_path / "later")

    remote = open_remote(place)
    assert remote.prune([StoredName("small", "base")], 3600).blobs == 0
    assert remote.prune([], 0).blobs >= 3
    assert remote.names() == [StoredName("small", "later")]
    bring(place, "later", tmp_path / "again")


def test_a_push_and_a_prune_of_a_bucket_give_way(
    saved: Store, amazon: FaultyProxy, tmp_path: Path
) -> None:
    place = "s3://machines/busy"
    send(saved, "base", place)
    remote = open_remote(place)
    with remote.pushing(), pytest.raises(HostError, match="a push is under way"):
        remote.prune([], 3600)
    remote.prune([], 3600)
    bring(place, "base", tmp_path)


def test_what_is_wrong_with_a_bucket_is_said(vmmgr: Vmmgr, saved: Store) -> None:
    base = saved.path("base")
    assert base is not None
    Store(vmmgr.home / "state" / "small" / "snapshots").clone(base)
    vmmgr.env |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    vmmgr.env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    assert "127.0.0.1:1" in vmmgr("push", "small", "s3://machines/x", status=1).stderr
    vmmgr("push", "small", "nosuch://machines/x", status=2)
    assert "gcsfs" in vmmgr("push", "small", "gs://machines/x", status=1).stderr


CALLS = "openat,mkdir,write,pwrite64,ftruncate,fchmod,fsync,rename,unlink,link,linkat,symlink,flock"


@needs("strace")
@pytest.mark.parametrize("way", ["push", "pull"])
def test_a_kill_at_any_system_call_leaves_whole_snapshots_only(way: str, tmp_path: Path) -> None:
    """VMMGR_THOROUGH=1 takes 60 of the calls."""
    saved, place = neighbours(tmp_path), f"oci-layout:{tmp_path}/shared"
    there = Store(tmp_path / "there")

    def begin_anew() -> None:
        for name in ("shared", "there", "unfinished"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        send(saved, "base" if way == "push" else "later", place)

    begin_anew()
    calls = kills.run(PUSH_ONCE, tmp_path, place, way, calls=CALLS)
    first = next(n for n, call in enumerate(calls) if f"{tmp_path}/mark" in call.line)
    chosen = random.Random(way).sample(calls[first:], 60 if THOROUGH else 1)
    for point in chosen:
        begin_anew()
        kills.run(PUSH_ONCE, tmp_path, place, way, calls=CALLS, at=point)
        for name in open_remote(place).names():
            bring(place, name.tag, tmp_path / f"{point.name}-{point.nth}-{name.tag}")
        kept = there.path("later")
        if kept is not None:
            verify_snapshot(kept)
        kills.run(PUSH_ONCE, tmp_path, place, way, calls=CALLS)
        bring(place, "later", tmp_path / f"{point.name}-{point.nth}")
        if way == "pull":
            assert not list((tmp_path / "unfinished").iterdir())
