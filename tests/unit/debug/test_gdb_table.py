# SPDX-License-Identifier: BSD-2-Clause
"""`[gdb]` in a machine file: who may connect."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config.diagnostics import ConfigError
from manager.graph.build import load_graph
from manager.graph.identity import full_hash, identity_hash
from manager.graph.nodes import Graph
from manager.graph.plain import from_plain, to_plain

HELLO = Path(__file__).parents[3] / "machines/hello.toml"


def graph(*settings: str) -> Graph:
    return load_graph(HELLO, [f"gdb.{setting}" for setting in settings])


@pytest.mark.parametrize("listen", ["127.0.0.1:1234", "127.9.9.9:0", "localhost:1", "[::1]:65535"])
def test_loopback_addresses_are_taken_as_they_are(listen: str) -> None:
    gdb = graph(f"listen={listen}").gdb

    assert gdb is not None
    assert (gdb.listen, gdb.is_path, gdb.wait) == (listen, False, False)


@pytest.mark.parametrize("listen", ["0.0.0.0:1234", "[::]:1234", "example.org:1", "192.168.0.1:2"])
def test_others_need_an_explicit_word(listen: str) -> None:
    with pytest.raises(ConfigError, match="allow-remote"):
        graph(f"listen={listen}")

    assert graph(f"listen={listen}", "allow-remote=true").gdb is not None


@pytest.mark.parametrize("listen", ["port", ":1234", "127.0.0.1", "127.0.0.1:65536", "gdb.sock"])
def test_what_is_no_address_is_named(listen: str) -> None:
    with pytest.raises(ConfigError, match="is not a network address"):
        graph(f"listen={listen}")


def test_path_counts_from_the_machine_file(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(f'extends = ["{HELLO}"]\n[gdb]\nlisten = "./gdb.sock"\n')
    gdb = load_graph(file).gdb

    assert gdb is not None
    assert Path(gdb.listen) == tmp_path / "gdb.sock"
    assert gdb.is_path


def test_debugger_is_wiring() -> None:
    with_gdb, without = graph("listen=127.0.0.1:1", "wait=true"), load_graph(HELLO)

    assert identity_hash(with_gdb) == identity_hash(without)
    assert full_hash(with_gdb) != full_hash(without)
    assert from_plain(to_plain(with_gdb)) == with_gdb
