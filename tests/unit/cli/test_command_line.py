# SPDX-License-Identifier: BSD-2-Clause
"""Reading command lines, and the exit codes of what goes wrong before a machine is touched."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

import pytest

import manager
from manager.cli import main as main_module
from manager.cli.arguments import unescape
from manager.cli.main import VERBS, main
from manager.cli.verbs import run as run_verb
from manager.errors import ExitCode, SnapshotCorruptError


def parse_run(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run_verb.register(parser.add_subparsers())
    return parser.parse_args(["run", "x.toml", *argv])


def test_until_and_send_keep_their_order() -> None:
    args = parse_run("--send", "a", "--until", "l: $", "--send", r"r\n", "--until", "# $")

    assert [(option, getattr(value, "source", value)) for option, value in args.steps] == [
        ("--send", b"a"),
        ("--until", "l: $"),
        ("--send", b"r\n"),
        ("--until", "# $"),
    ]


def test_no_steps_are_no_steps() -> None:
    assert list(parse_run().steps) == []


def test_one_command_line_does_not_leak_into_the_next() -> None:
    parse_run("--until", "x")

    assert [step[1].source for step in parse_run("--until", "y").steps] == ["y"]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (r"root\n", b"root\n"),
        (r"\r\t\\n", b"\r\t\\n"),
        (r"\x1b[A\xff", b"\x1b[A\xff"),
        ("ü", b"\xc3\xbc"),
        ("\udcff", b"\xff"),
        ("", b""),
    ],
)
def test_escapes_of_text(text, data) -> None:
    assert unescape(text) == data


@pytest.mark.parametrize("text", ["\\", r"\q", r"\x4", r"\xzz"])
def test_wrong_escapes_are_refused(text) -> None:
    with pytest.raises(ValueError, match="is no escape"):
        unescape(text)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["frobnicate"],
        ["up"],
        ["run", "x.toml", "--until", "("],
        ["run", "x.toml", "--max-time", "soon"],
        ["run", "x.toml", "--send", r"\q"],
        ["wait", "demo", "happy"],
        ["status", "No_Such"],
        ["up", "missing.toml"],
        ["status", "missing.toml"],
        ["up", "--bogus"],
        ["logs", "demo", "-n", "-1"],
        ["events", "demo", "--until", "lunch"],
    ],
)
def test_wrong_command_lines_are_exit_code_2(argv, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert main(argv) == 2
    assert capsys.readouterr().err


def test_a_wrong_option_gets_the_usage_of_its_verb(capsys) -> None:
    assert main(["ls", "--bogus"]) == 2
    told = capsys.readouterr().err
    assert "usage: vmmgr ls [-h] [--json]" in told
    assert "unrecognized arguments: --bogus" in told


def test_a_mistyped_verb_gets_a_proposal(capsys) -> None:
    assert main(["statsu"]) == 2
    assert "did you mean `vmmgr status`?" in capsys.readouterr().err


def test_version_and_help(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vmmgr {manager.__version__}\n"

    assert main(["--help"]) == 0
    help = capsys.readouterr().out
    assert all(f"    {verb} " in help for verb in VERBS)


@pytest.mark.parametrize("verb", ["up", "run", "suspend", "resume", "down", "ls", "logs", "send"])
def test_every_verb_has_help(verb, capsys) -> None:
    assert main([verb, "--help"]) == 0
    assert "usage: vmmgr" in capsys.readouterr().out


def raiser(error: BaseException):
    def dispatch(argv):
        raise error

    return dispatch


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (SnapshotCorruptError("bad", help="redo"), 7, "error: bad\n   = help: redo\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (BrokenPipeError(), 1, ""),
        (OSError(28, "No space left on device"), 1, "error: No space left on device\n"),
        (OSError(36, "File name too long", "x"), 1, "error: x: File name too long\n"),
    ],
)
def test_errors_become_exit_codes(monkeypatch, capfd, error, code, told) -> None:
    monkeypatch.setattr(main_module, "_dispatch", raiser(error))
    monkeypatch.setattr(main_module.os, "dup2", lambda *_: None)

    assert main([]) == code
    assert capfd.readouterr().err == told


def vmmgr(*words: str | bytes, redirection: str = "") -> subprocess.CompletedProcess[bytes]:
    """The command in a shell of its own, with `redirection` after it."""
    script = f'"$0" -c "from manager.cli.main import entry; entry()" "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", script, sys.executable, *words], check=False, capture_output=True
    )


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(redirection) -> None:
    ended = vmmgr("schema", redirection=redirection)

    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_full_disk_behind_standard_output_is_told_in_one_line() -> None:
    ended = vmmgr("schema", redirection=">/dev/full")

    assert (ended.returncode, ended.stderr) == (1, b"error: No space left on device\n")


def test_a_file_name_that_is_no_text_can_be_reported() -> None:
    ended = vmmgr("validate", b"\xff.toml")

    assert ended.returncode == 2
    assert rb"cannot read \udcff.toml" in ended.stdout


def test_errors_are_coloured_for_terminals_only(monkeypatch, capsys) -> None:
    monkeypatch.setattr(main_module, "_dispatch", raiser(SnapshotCorruptError("bad", help="redo")))
    monkeypatch.setattr(main_module, "has_colour", lambda stream: True)

    assert main([]) == 7
    told = capsys.readouterr().err
    assert told.startswith("\x1b[1;31merror\x1b[0m")
    assert re.sub(r"\x1b\[[0-9;]*m", "", told) == "error: bad\n   = help: redo\n"


def test_an_internal_error_is_one_line_unless_debugged(monkeypatch, capsys) -> None:
    monkeypatch.setattr(main_module, "_dispatch", raiser(RuntimeError("oops")))
    monkeypatch.delenv("VMMGR_DEBUG", raising=False)

    assert main([]) == ExitCode.FAILURE
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "RuntimeError: oops" in err

    monkeypatch.setenv("VMMGR_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main([])


def test_help_and_ls_load_neither_the_engine_nor_the_schema(tmp_path) -> None:
    script = (
        "import sys; from manager.cli.main import main; main(['--help']); main(['ls']);"
        "sys.exit(any(name in sys.modules for name in ('unicorn', 'pydantic', 'cbor2')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"VMMGR_STATE_HOME": str(tmp_path), "PATH": ""},
        check=False,
        capture_output=True,
    )

    assert result.returncode == 0
