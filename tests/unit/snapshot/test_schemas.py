# SPDX-License-Identifier: BSD-2-Clause
"""The schemas of all records, and the goldens: a change of the format is never an accident.

`VMMGR_ACCEPT_FORMAT=1 pytest tests/unit/snapshot` writes tests/goldens anew. Once a version is
released, its goldens are frozen: a record that changes then gets a new VERSION and an upgrade.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from support.records import record_types

from manager.bus.record import Plain, describe

SCHEMAS = Path(__file__).parents[2] / "goldens" / "schemas.json"
ACCEPT = os.environ.get("VMMGR_ACCEPT_FORMAT") == "1"


def present() -> dict[str, dict[str, Plain]]:
    return {type: describe(kind) for type, kind in sorted(record_types().items())}


def test_no_schema_has_changed_without_being_accepted() -> None:
    if ACCEPT:
        SCHEMAS.write_text(json.dumps(present(), indent=1, sort_keys=True) + "\n")
    known = json.loads(SCHEMAS.read_text())

    changed = [
        type
        for type in sorted({*known, *present()})
        if known.get(type) != json.loads(json.dumps(present().get(type)))
    ]

    assert changed == [], (
        f"the state of {', '.join(changed)} has changed. In a released version that takes a new "
        "VERSION with an upgrade; then accept it with VMMGR_ACCEPT_FORMAT=1"
    )


def test_every_version_that_can_be_read_has_its_upgrade() -> None:
    for kind in record_types().values():
        assert 1 <= kind.MIN_READABLE <= kind.VERSION
        assert set(kind.UPGRADES) >= set(range(kind.MIN_READABLE, kind.VERSION)), kind.TYPE


def test_every_field_says_what_it_is() -> None:
    for kind in record_types().values():
        fields = describe(kind)["fields"]
        assert isinstance(fields, dict)
        for name, entry in fields.items():
            assert isinstance(entry, dict)
            assert entry["doc"], f"{kind.TYPE}.{name}"
