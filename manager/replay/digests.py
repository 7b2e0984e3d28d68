# SPDX-License-Identifier: BSD-2-Clause
"""Short names for long state: digests of records, RAM and console output."""

from __future__ import annotations

from collections.abc import Mapping

from blake3 import blake3

from manager import cbor
from manager.bus.memory import Memory
from manager.bus.record import Record, to_plain

STATE_BYTES = 4
"""Bytes of one record's digest in a check: enough to tell which one differs."""
OUTPUT_BYTES = 16
"""Bytes of the digest of what a port sent, and of all records together."""


def of_records(records: Mapping[str, Record]) -> dict[str, bytes]:
    """The digest of each record, by its id."""
    return {id: blake3(cbor.encode(to_plain(record))).digest() for id, record in records.items()}


def joined(records: Mapping[str, Record]) -> bytes:
    """STATE_BYTES of each record's digest, then OUTPUT_BYTES of one of all of them."""
    digests = of_records(records).values()
    short = b"".join(digest[:STATE_BYTES] for digest in digests)
    return short + blake3(b"".join(digests)).digest(OUTPUT_BYTES)


def differing(ids: list[str], one: bytes, two: bytes) -> list[str]:
    """The ids whose digests differ in two results of `joined`."""
    if one == two:
        return []
    found = [
        id
        for number, id in enumerate(ids)
        if one[number * STATE_BYTES : (number + 1) * STATE_BYTES]
        != two[number * STATE_BYTES : (number + 1) * STATE_BYTES]
    ]
    return found or ids


def of_ram(memory: Memory) -> str:
    """The digest of all memory, in hex."""
    digest = blake3()
    for region in memory.everything:
        digest.update(region.memory)
    return digest.hexdigest()
