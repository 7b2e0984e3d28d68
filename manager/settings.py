# SPDX-License-Identifier: BSD-2-Clause
"""What `--set` gives."""

from __future__ import annotations

from pathlib import Path


class Setting(str):
    """KEY=VALUE, and the folder from which relative paths in it count: that of the command."""

    __slots__ = ("folder",)
    folder: Path

    def __new__(cls, text: str, folder: Path | None = None) -> Setting:
        """Without a folder, the present one."""
        setting = super().__new__(cls, text)
        setting.folder = folder if folder is not None else Path.cwd()
        return setting

    @classmethod
    def of(cls, text: str) -> Setting:
        """`text` itself when it knows its folder already, else as given here and now."""
        return text if isinstance(text, cls) else cls(text)
