# SPDX-License-Identifier: BSD-2-Clause
"""Text that has to stay as it was written down."""

from __future__ import annotations

import difflib
from pathlib import Path

from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Golden:
    """Compares text with the files in `directory`, or writes them when `update` is set."""

    directory: Path
    update: bool

    def __call__(self, name: str, text: str) -> None:
        """`text` must be what the file `name` holds."""
        __tracebackhide__ = True
        path = self.directory / name
        text = text if text.endswith("\n") else text + "\n"
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        if not path.exists():
            raise AssertionError(f"there is no {path}; run pytest with --vmmgr-update to write it")
        expected = path.read_text()
        if text != expected:
            rows = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), str(path), "now", lineterm=""
            )
            raise AssertionError(
                "\n".join([*rows, "if it is meant to change, run pytest with --vmmgr-update"])
            )
