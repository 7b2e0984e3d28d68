# SPDX-License-Identifier: BSD-2-Clause
"""AML's encodings, read back by a reader of this file's own and by ACPICA's disassembler."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.needs import needs

from manager.boot.acpi import aml
from manager.boot.acpi.tables import table

EDGES = [0, 1, 61, 62, 63, 64, 4092, 4093, 4094, 4095, (1 << 20) - 4, (1 << 20) - 3, 1 << 20]
lengths = st.integers(0, (1 << 28) - 5) | st.sampled_from(EDGES)


def read_length(encoded: bytes) -> tuple[int, int]:
    """(value, bytes taken) of a PkgLength."""
    more = encoded[0] >> 6
    if not more:
        return encoded[0], 1
    assert not encoded[0] & 0x30
    return int.from_bytes(encoded[1 : 1 + more], "little") << 4 | encoded[0] & 0x0F, 1 + more


@given(lengths)
def test_a_package_length_counts_itself_and_what_follows(content: int) -> None:
    encoded = aml.package_length(content)

    assert read_length(encoded) == (content + len(encoded), len(encoded))


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (0, 1), (62, 1), (63, 2), (4093, 2), (4094, 3), ((1 << 20) - 4, 3), ((1 << 20) - 3, 4),
        ((1 << 28) - 5, 4),
    ],
)  # fmt: skip
def test_a_package_length_is_as_short_as_it_can_be(content: int, size: int) -> None:
    assert len(aml.package_length(content)) == size


@pytest.mark.parametrize("encode", [aml.package_length, aml.field_length])
def test_a_length_beyond_28_bits_is_refused(encode: Callable[[int], bytes]) -> None:
    with pytest.raises(ValueError, match="more than AML can hold"):
        encode(1 << 28)


@given(st.integers(0, (1 << 28) - 1))
def test_a_field_length_does_not_count_itself(bits: int) -> None:
    encoded = aml.field_length(bits)

    assert read_length(encoded) == (bits, len(encoded))


@given(st.integers(2, (1 << 64) - 1))
def test_an_integer_takes_the_shortest_form(value: int) -> None:
    encoded = aml.integer(value)

    size = {0x0A: 1, 0x0B: 2, 0x0C: 4, 0x0E: 8}[encoded[0]]
    assert len(encoded) == 1 + size
    assert int.from_bytes(encoded[1:], "little") == value
    assert size == 1 or value >= 1 << 4 * size


def test_zero_and_one_are_bytes_of_their_own() -> None:
    assert (aml.integer(0), aml.integer(1)) == (b"\x00", b"\x01")


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_an_integer_that_64_bits_cannot_hold_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        aml.integer(value)


@pytest.mark.parametrize(
    ("path", "encoded"),
    [
        ("\\", b"\\\0"),
        ("COM1", b"COM1"),
        ("\\_SB", b"\\_SB_"),
        ("^^PIC", b"^^PIC_"),
        ("\\_SB.PCI0", b"\\\x2e_SB_PCI0"),
        ("\\_SB.PCI0.LPCB.PIRA", b"\\\x2f\x04_SB_PCI0LPCBPIRA"),
    ],
)
def test_names_are_padded_and_counted(path: str, encoded: bytes) -> None:
    assert aml.name_string(path) == encoded


@pytest.mark.parametrize("path", ["com1", "1COM", "COM10", "A..B", "A.^B", "_SB."])
def test_what_is_no_name_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        aml.name_string(path)


def test_an_eisa_id_is_compressed() -> None:
    assert aml.eisa_id("PNP0A03") == b"\x0c\x41\xd0\x0a\x03"


@pytest.mark.parametrize("text", ["PNP0A0", "pnp0a03", "ACPI0007"])
def test_what_is_no_eisa_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        aml.eisa_id(text)


def test_a_package_of_256_elements_is_refused() -> None:
    assert aml.package([0] * 255)[3] == 255
    with pytest.raises(ValueError, match="too long"):
        aml.package([0] * 256)


@needs("iasl")
@pytest.mark.parametrize("size", [1, 50, 56, 57, 58, 59, 60, 61, 62, 4080, 4085, 4090, 4096])
def test_objects_of_any_size_nest(size: int, tmp_path: Path) -> None:
    inside = aml.name("BUF", aml.buffer(bytes(size)))
    body = aml.scope("_SB", aml.device("DEV", aml.name("_ADR", 0), inside)) + aml.name("END", 0)
    (tmp_path / "dsdt.aml").write_bytes(table(b"DSDT", 2, body))

    subprocess.run(["iasl", "-d", "dsdt.aml"], cwd=tmp_path, check=True, capture_output=True)

    text = (tmp_path / "dsdt.dsl").read_text()
    (buffer,) = re.findall(r"Name \(BUF, Buffer \((\w+)\)", text)
    assert int(buffer.replace("One", "1"), 16) == size
    assert "Name (END, Zero)" in text
