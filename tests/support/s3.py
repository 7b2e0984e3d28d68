# SPDX-License-Identifier: BSD-2-Clause
"""A real S3 server: moto's, on a port of the loopback, until the block ends."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread


@contextmanager
def s3(bucket: str) -> Iterator[str]:
    """The URL of a server with one empty bucket."""
    command = [sys.executable, "-m", "moto.server", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            found = next(filter(None, (re.search(r"http://127[.0-9]+:\d+", s) for s in lines)))
            rest = Thread(target=process.stderr.read)  # or it waits for a reader one day
            rest.start()
            make = urllib.request.Request(f"{found[0]}/{bucket}", method="PUT")
            with urllib.request.urlopen(make, timeout=60):
                yield found[0]
        finally:
            process.terminate()
            rest.join()
