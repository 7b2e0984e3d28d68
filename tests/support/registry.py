# SPDX-License-Identifier: BSD-2-Clause
"""A real registry: Debian's docker-registry, on a port of the loopback, until the block ends."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from support.debian import package


@contextmanager
def registry(*, users: str = "") -> Iterator[str]:
    """HOST:PORT of an empty registry; `users` is a file of htpasswd's, to require a login."""
    program = shutil.which("docker-registry")
    program = program or str(package("docker-registry") / "usr/bin/docker-registry")
    with tempfile.TemporaryDirectory(prefix="vmmgr-registry-") as folder:
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": folder}, "delete": {"enabled": True}},
            "http": {"addr": "127.0.0.1:0", "secret": "of no use"},
        }
        if users:
            (Path(folder) / "htpasswd").write_text(users)
            config["auth"] = {"htpasswd": {"realm": "tests", "path": f"{folder}/htpasswd"}}
        file = Path(folder) / "config.yml"
        file.write_text(json.dumps(config))  # which is YAML too
        command = [program, "serve", file]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                lines = iter(process.stderr.readline, "")
                found = next(filter(None, (re.search(r"listening on (\S+:\d+)", s) for s in lines)))
                rest = Thread(target=process.stderr.read)  # or it waits for a reader one day
                rest.start()
                yield found[1]
            finally:
                process.terminate()
                rest.join()
