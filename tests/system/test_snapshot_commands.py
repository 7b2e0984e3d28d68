# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot` on machines that run: save, go on, restore, clone, carry elsewhere."""

from __future__ import annotations

import json
from typing import Any

from support.vmmgr import Vmmgr

HELLO = "machines/hello.toml"


def listed(vmmgr: Vmmgr) -> dict[str, dict[str, Any]]:
    """Each snapshot by machine and tag."""
    found = json.loads(vmmgr("snapshot", "ls", "--json").stdout)["snapshots"]
    return {f"{one['machine']}:{tag}": one for one in found for tag in one["tags"]}


def test_a_running_machine_is_saved_goes_on_and_can_be_taken_back(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("snapshot", "save", "hello", "fresh")
    vmmgr("send", "hello", "help\\r")
    assert "hello:save-1 saved in" in vmmgr("snapshot", "save", "hello").stderr
    assert "running" in vmmgr("status", "hello").stdout
    vmmgr("snapshot", "restore", "hello", "fresh", status=4)
    vmmgr("suspend", "hello")

    found = listed(vmmgr)
    assert list(found) == ["hello:fresh", "hello:save-1", "hello:current"]
    assert found["hello:save-1"]["parent"] == found["hello:fresh"]["id"]
    assert found["hello:current"]["parent"] == found["hello:save-1"]["id"]
    for tag in ("hello", "hello:fresh", "hello:save-1"):
        vmmgr("snapshot", "verify", tag)

    vmmgr("snapshot", "restore", "hello", "fresh")
    vmmgr("resume", "hello", "-d")
    vmmgr("suspend", "hello")
    assert listed(vmmgr)["hello:current"]["parent"] == found["hello:fresh"]["id"]


def test_a_clone_and_an_import_run_beside_the_original(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("suspend", "hello")
    vmmgr("snapshot", "clone", "hello", "twin")
    archive = vmmgr.home / "hello.vmms.tar.zst"
    vmmgr("snapshot", "export", "hello", archive)

    vmmgr("resume", "hello", "-d")
    vmmgr("resume", "twin", "-d")
    vmmgr("send", "twin", "help\\r")
    states = json.loads(vmmgr("ls", "--json").stdout)["machines"]
    assert {one["name"]: one["state"] for one in states} == {"hello": "running", "twin": "running"}

    vmmgr("suspend", "twin")
    vmmgr("snapshot", "verify", "twin")
    vmmgr("down", "hello")
    vmmgr("snapshot", "import", archive, "hello")
    vmmgr("resume", "hello", "-d")
    vmmgr("down", "hello")


def test_what_was_run_from_an_import_is_replayed_while_its_beginning_is_kept(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("suspend", "hello")
    archive = vmmgr.home / "hello.vmms.tar.zst"
    vmmgr("snapshot", "export", "hello", archive)
    for name, tag in (("gone", ()), ("kept", ("start",))):
        vmmgr("snapshot", "import", archive, name, *tag)
        if tag:
            vmmgr("snapshot", "restore", name, *tag)
        vmmgr("resume", name, "-d")
        vmmgr("down", name)

    told = vmmgr("replay", "gone", status=5).stderr
    assert "the state that the recording begins with is gone" in told
    assert "under a TAG stays" in told
    assert "the same" in vmmgr("replay", "kept").stderr


def test_show_config_of_a_snapshot_is_a_file_that_resumes_it(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("suspend", "hello")
    old = vmmgr.home / "old.toml"
    old.write_text(vmmgr("snapshot", "show", "--config", "hello").stdout)

    vmmgr("validate", old)
    # Only the printed file is left to go by.
    (vmmgr.home / "state" / "hello" / "machine.json").unlink()
    vmmgr("resume", old, "-d")
    assert str(old) in vmmgr("ls").stdout
    vmmgr("down", "hello")
