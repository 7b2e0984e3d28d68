# SPDX-License-Identifier: BSD-2-Clause
"""Where state, logs and sockets go."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from manager.errors import HostError, UsageError
from manager.state import paths
from manager.state.paths import MachinePaths, machine_names, require_private, state_home


def test_own_state_home_wins_over_xdg(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path))

    assert state_home() == tmp_path


def test_xdg_state_home_gets_a_directory_of_ours(monkeypatch) -> None:
    monkeypatch.delenv("VMMGR_STATE_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/var/me")

    assert str(state_home()) == "/var/me/vmmgr"


@pytest.mark.parametrize("shared", ["", "relative"])
def test_home_is_the_default(monkeypatch, shared) -> None:
    monkeypatch.delenv("VMMGR_STATE_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", shared)
    monkeypatch.setenv("HOME", "/home/me")

    assert str(state_home()) == "/home/me/.local/state/vmmgr"


@pytest.mark.parametrize("name", ["", "Demo", "../x", "a/b/c", "/a", "a/", "a/B", "-a", "a\n"])
def test_what_is_no_name_is_refused(name) -> None:
    with pytest.raises(UsageError):
        MachinePaths.of(name)


def test_directories_are_private(state_home) -> None:
    machine = MachinePaths.of("demo")

    machine.make()

    assert stat.S_IMODE(state_home.stat().st_mode) == 0o700
    assert stat.S_IMODE(machine.directory.stat().st_mode) == 0o700
    assert machine_names() == ["demo"]


def test_sockets_go_to_the_runtime_directory(monkeypatch, state_home) -> None:
    with tempfile.TemporaryDirectory() as runtime:  # a short path: a socket's may be no longer
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)

        socket = MachinePaths.of("demo").socket()

        assert socket.parent == Path(runtime) / "vmmgr"
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_machines_of_one_name_in_two_homes_have_two_sockets(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    sockets = {MachinePaths.of("demo", tmp_path / home).socket() for home in ("a", "b")}

    assert len(sockets) == 2


def test_without_a_runtime_directory_the_socket_is_with_the_state(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    machine = MachinePaths.of("demo", tmp_path)

    assert machine.socket() == tmp_path / "demo" / "control.sock"


@pytest.mark.parametrize("runtime", ["/proc", "/etc/passwd", "/proc/no-such-directory"])
def test_a_runtime_directory_of_another_user_is_passed_over(monkeypatch, tmp_path, runtime) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)

    assert MachinePaths.of("demo", tmp_path).socket() == tmp_path / "demo" / "control.sock"


def test_a_user_without_a_home_directory_is_told_what_to_set(monkeypatch) -> None:
    def nobody(text: str) -> str:
        return text  # as os.path does for a user that the system does not know

    for variable in ("VMMGR_STATE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os.path, "expanduser", nobody)

    with pytest.raises(HostError, match="VMMGR_STATE_HOME"):
        state_home()


def test_a_path_that_is_too_long_moves_to_tmp(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    machine = MachinePaths.of("demo", tmp_path / ("x" * 100))

    socket = machine.socket()

    assert len(os.fsencode(socket)) < paths.SOCKET_PATH_LIMIT
    assert str(socket.parent) == f"/tmp/vmmgr-{os.getuid()}"


def test_a_directory_that_others_can_enter_is_refused(tmp_path) -> None:
    tmp_path.chmod(0o755)

    with pytest.raises(HostError):
        require_private(tmp_path)


def test_a_link_in_place_of_the_private_directory_is_refused(tmp_path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")

    with pytest.raises(HostError):
        require_private(tmp_path / "link")


def test_another_users_state_is_said_to_be_so(tmp_path, monkeypatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)

    with pytest.raises(HostError, match="cannot read the state directory") as caught:
        machine_names(tmp_path)

    assert "another user's" in str(caught.value.help)
