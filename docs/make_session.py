# SPDX-License-Identifier: BSD-2-Clause
"""Writes docs/a-session.md: a normal session as it looks on a terminal, played in tmux.

usage: python docs/make_session.py    (needs tmux; overwrites docs/a-session.md)
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROMPT = "$ "
WIDTH, HEIGHT = 100, 26

# REUSE-IgnoreStart: the notice of the page, not of this file.
NOTICE = "<!-- SPDX-License-Identifier: BSD-2-Clause -->"
# REUSE-IgnoreEnd


@dataclass(frozen=True)
class Scene:
    """Some keys, and what the screen shows in the end."""

    title: str
    steps: tuple[tuple[str, str], ...]
    """(keys for tmux, a pattern to wait for)."""


SCENES = (
    Scene(
        "A machine boots, and its console is the terminal. `Ctrl-]` leaves it running.",
        (
            ("vmmgr up machines/hello.toml^M", r"^>$"),
            ("u^M", r"ticks"),
            ("^]", r"comes back"),
        ),
    ),
    Scene(
        "Back at the console; Enter `~?` lists the keys, Enter `~s` suspends.",
        (
            ("clear; vmmgr console hello^M", r"^>$"),
            ("^M~?", r"after Enter only"),
            ("~s", r"resume it with"),
        ),
    ),
    Scene(
        "It goes on where it was, this time in the background.",
        (
            ("clear; vmmgr ls^M", r"suspended"),
            ("vmmgr resume hello -d^M", r"resumed"),
            (r"vmmgr send hello 'u\r'^M", r"\$$"),
            ("vmmgr logs hello -n 3; echo^M", r"ticks"),
            ("vmmgr down hello^M", r"powered off"),
        ),
    ),
)


class Screen:
    """One tmux session on a server of its own."""

    def __init__(self, home: Path) -> None:
        self._socket = home / "tmux"
        env = {
            **os.environ,
            "PS1": PROMPT,
            "VMMGR_STATE_HOME": str(home / "state"),
            "XDG_RUNTIME_DIR": str(home),
        }
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        shell = ["bash", "--norc", "--noprofile", "-i"]
        self._tmux("-f", os.devnull, "new-session", "-d", *size, "-c", str(ROOT), *shell, env=env)
        self.wait(r"\$$")

    def keys(self, text: str) -> None:
        """Type; ^X stands for a control key."""
        for part in re.split(r"(\^[A-Z\]])", text):
            if re.fullmatch(r"\^[A-Z\]]", part):
                self._tmux("send-keys", f"C-{part[1].lower()}")
            elif part:
                self._tmux("send-keys", "-l", part)

    def wait(self, pattern: str, patience: float = 20) -> None:
        """Wait until the screen's text matches."""
        give_up = time.monotonic() + patience
        while not re.search(pattern, self.text(), re.MULTILINE):
            if time.monotonic() > give_up:
                raise SystemExit(f"no {pattern!r} on the screen:\n{self.text()}")
            time.sleep(0.05)
        time.sleep(0.3)  # the rest of the line

    def text(self) -> str:
        """What the screen shows."""
        lines = [line.rstrip() for line in self._tmux("capture-pane", "-p").splitlines()]
        return "\n".join(lines).rstrip("\n")

    def close(self) -> None:
        """End the session."""
        self._tmux("kill-server")

    def _tmux(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        return subprocess.run(
            ["tmux", "-S", str(self._socket), *arguments],
            env=env, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip


def main() -> None:
    """Play all scenes and write the page."""
    page = [
        NOTICE,
        "<!-- made by docs/make_session.py; do not edit -->",
        "# A session",
        "",
        "Screens of a terminal, as they were.",
    ]
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder:
        screen = Screen(Path(folder))
        for scene in SCENES:
            for keys, pattern in scene.steps:
                screen.keys(keys)
                screen.wait(pattern)
            text = screen.text().rstrip().removesuffix("$").rstrip()
            text = text.replace(f"{folder}/state", "~/.local/state/vmmgr")
            text = text.replace(str(ROOT), "~/vmmgr")
            page += ["", scene.title, "", "```text", text, "```"]
        screen.close()
    (ROOT / "docs" / "a-session.md").write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
