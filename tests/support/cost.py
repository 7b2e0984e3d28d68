# SPDX-License-Identifier: BSD-2-Clause
"""What it costs a new process to do something: memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.vmmgr import ROOT

MIB = 1 << 20
_SCRIPT = """
import json, sys, time
from pathlib import Path
{imports}
def peak():
    # Of this program; rusage knows what the parent's process had too.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10
path = Path(sys.argv[1])
before, began, said = peak(), time.process_time(), ""
try:
    {action}
except Exception as error:
    said = f"{{type(error).__name__}}: {{error}}"
print(json.dumps([peak() - before, time.process_time() - began, said]))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one action."""

    memory: int
    """Bytes that it took at its peak."""
    seconds: float
    """Of the processor."""
    said: str
    """Type and text of what it raised, if anything."""


def cost(path: Path, action: str, *, imports: str) -> Cost:
    """Carry out a line of Python on `path` in a new process that has imported what it takes."""
    script = _SCRIPT.format(imports=imports, action=action)
    result = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=ROOT,
    )
    return Cost(*json.loads(result.stdout))
