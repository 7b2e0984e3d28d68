# SPDX-License-Identifier: BSD-2-Clause
"""Reads a snapshot. Knows docs/snapshot-format.md and nothing of vmmgr."""

import struct
import sys
import zlib
from pathlib import Path

import blake3
import cbor2

folder = Path(sys.argv[1])
data = (folder / "snapshot.vmms").read_bytes()
magic, major, minor, mark, start, length, digest = struct.unpack_from("<8sHHIQQ32s", data)
assert magic == b"\x89VMMS\r\n\x1a"
assert (mark, major) == (0x01020304, 1)
assert struct.unpack_from("<I", data, 124)[0] == zlib.crc32(data[:124])
assert blake3.blake3(data[start : start + length]).digest() == digest
manifest = cbor2.loads(data[start : start + length])
print(f"format {major}.{minor}, machine {manifest['header']['machine']}")
for chunk in manifest["chunks"]:
    content = data[chunk["offset"] : chunk["offset"] + chunk["stored"]]
    assert blake3.blake3(content).digest() == chunk["hash"]
    if chunk["type"] == "cpu.x86":
        cpu = cbor2.loads(content)
        print(f"RIP {cpu['rip']:#x}, CR0 {cpu['cr0']:#x}, halted: {cpu['halted']}")
for ram in manifest["ram"]:
    memory = (folder / ram["file"]).read_bytes()[ram["offset"] :][: ram["length"]]
    where = memory.find(b"Hello from ")
    print(f"RAM at {ram['base']:#x}: {ram['length'] >> 10} KiB", end="")
    print(f", at {ram['base'] + where:#x}: {memory[where:][:16]!r}" if where >= 0 else "")
