# SPDX-License-Identifier: BSD-2-Clause
"""Registries that lie, redirect, ask for passwords and never end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from manager.errors import HostError, SnapshotCorruptError, UsageError, VmmgrError
from manager.stores.form import MOST_MANIFEST, Descriptor, descriptor_of
from manager.stores.names import StoredName
from manager.stores.places import open_remote

BLOB = b"a chunk"
NAME = StoredName("demo", "current")

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """HOST:PORT of a server, and the (path, Authorization) of what it was asked."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            answer(self)

        do_GET = do_HEAD = do_POST = do_PUT = do

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def say(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMMGR_REGISTRY_USER", "me")
    monkeypatch.setenv("VMMGR_REGISTRY_PASSWORD", "secret")


def test_a_redirect_to_elsewhere_is_followed_without_the_password() -> None:
    def challenge(request: BaseHTTPRequestHandler) -> None:
        if request.headers.get("Authorization") is None:
            say(request, 401, WWW_Authenticate='Basic realm="r"')
        else:
            say(request, 307, Location=f"http://{elsewhere}/there?signed=1")

    with (
        serving(lambda request: say(request, 200, BLOB)) as (elsewhere, asked_there),
        serving(challenge) as (address, asked),
    ):
        remote = open_remote(f"oci://{address}/team/vms")
        assert remote.get(descriptor_of(BLOB)) == BLOB

    assert asked[-1][1] == "Basic bWU6c2VjcmV0"
    assert asked_there == [("/there?signed=1", None)]


def test_a_token_is_asked_for_and_used() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path.startswith("/token"):
            assert request.headers["Authorization"] == "Basic bWU6c2VjcmV0"
            say(request, 200, json.dumps({"token": "t0ken"}).encode())
        elif request.headers.get("Authorization") == "Bearer t0ken":
            say(request, 200, BLOB)
        else:
            realm = f"http://{request.headers['Host']}/token"
            scope = "repository:team/vms:pull"
            value = f'Bearer realm="{realm}",service="reg",scope="{scope}"'
            say(request, 401, WWW_Authenticate=value)

    with serving(answer) as (address, asked):
        remote = open_remote(f"oci://{address}/team/vms")
        assert remote.get(descriptor_of(BLOB)) == BLOB
        assert remote.get(descriptor_of(BLOB)) == BLOB
    assert sum(path.startswith("/token") for path, _ in asked) == 1
    assert "service=reg&scope=repository%3Ateam%2Fvms%3Apull" in asked[1][0]


def endless(request: BaseHTTPRequestHandler) -> None:
    """A body without an end."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(bytes(1 << 16))
    except OSError:
        pass


def test_a_body_without_an_end_is_not_read_to_its_end() -> None:
    with serving(endless) as (address, _):
        remote = open_remote(f"oci://{address}/team/vms")
        assert len(remote.get(Descriptor(descriptor_of(BLOB).digest, 5000))) == 5001
        with pytest.raises(SnapshotCorruptError, match=f"more than {MOST_MANIFEST} bytes"):
            remote.manifest(NAME)
        with pytest.raises(SnapshotCorruptError, match="list of tags"):
            remote.names()


LIES: dict[str, Answer] = {
    "redirects in a circle": lambda request: say(request, 307, Location=request.path),
    "a redirect to a file": lambda request: say(request, 307, Location="file:///etc/passwd"),
    "a token from a file": lambda request: say(
        request, 401, WWW_Authenticate='Bearer realm="file:///etc/passwd"'
    ),
    "a token from nowhere": lambda request: say(request, 401, WWW_Authenticate="Bearer x"),
    "never content with who we are": lambda request: say(
        request, 401, WWW_Authenticate='Basic realm="r"'
    ),
    "forbidden": lambda request: say(request, 403, b'{"errors": [{"message": "go away"}]}'),
    "an error that is none": lambda request: say(request, 418, b'{"errors": 7}'),
}


@pytest.mark.parametrize("lie", LIES)
def test_nonsense_is_one_clear_error(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manager.stores.http._FIRST_DELAY", 0.001)
    with serving(LIES[lie]) as (address, _):
        remote = open_remote(f"oci://{address}/team/vms")
        for action in (
            lambda: remote.get(descriptor_of(BLOB)),
            lambda: remote.put(descriptor_of(BLOB), BLOB),
            remote.names,
            lambda: remote.manifest(NAME),
        ):
            with pytest.raises(VmmgrError) as caught:
                action()
            assert address in caught.value.message
            assert caught.value.help


def test_tags_that_go_on_elsewhere_are_not_followed() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        more = '<http://127.0.0.1:1/v2/team/vms/tags/list?last=x>; rel="next"'
        say(request, 200, b'{"tags": ["demo.current", "latest"]}', Link=more)

    with serving(answer) as (address, _), pytest.raises(HostError, match="goes on elsewhere"):
        open_remote(f"oci://{address}/team/vms").names()


def test_tags_in_several_pages_are_all_found() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if "last=" in request.path:
            say(request, 200, b'{"tags": ["demo.b"]}')
        else:
            more = '</v2/team/vms/tags/list?last=demo.a>; rel="next"'
            say(request, 200, b'{"tags": ["demo.a", "latest"]}', Link=more)

    with serving(answer) as (address, _):
        found = open_remote(f"oci://{address}/team/vms").names()
    assert [name.shown for name in found] == ["demo:a", "demo:b"]


@pytest.mark.parametrize(
    "place",
    [
        "oci://",
        "oci://host",
        "oci://host/",
        "oci://host/UPPER",
        "oci://host/a//b",
        "oci://host/a/../b",
        "oci://me:pw@host/a",
        "oci+http://h/",
        "store",
        "",
        "oci-layout:",
        "/folder",
    ],
)
def test_what_is_no_place_is_said_to_be_none(place: str) -> None:
    with pytest.raises(UsageError):
        open_remote(place)


def test_a_credential_helper_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VMMGR_REGISTRY_USER")
    helper = tmp_path / "docker-credential-tests"
    helper.write_text(
        '#!/bin/sh\nread host\necho "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"x\\"}"\n'
    )
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "tests"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    from manager.stores.credentials import of_host

    assert of_host("reg.example:5000") == ("reg.example:5000", "x")
