# SPDX-License-Identifier: BSD-2-Clause
"""Firmware by name: found where it is, and told how to get where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config import firmware
from manager.config.diagnostics import ConfigError
from manager.config.firmware import Firmware
from manager.graph.build import load_graph
from manager.graph.nodes import FirmwareBoot

MACHINE = '[boot]\nfirmware = "{name}"\n[slots.0]\ndevice = "hostbridge"\n'


def test_the_first_place_with_all_its_files_is_taken(tmp_path: Path) -> None:
    for name in ("a/code", "b/code", "b/variables", "c/code", "c/variables"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    places = tuple((f"{tmp_path}/{n}/code", f"{tmp_path}/{n}/variables") for n in "xabc")

    found = Firmware("Some", "nowhere", places).find()

    assert found == (tmp_path / "b/code", tmp_path / "b/variables")


@pytest.mark.parametrize("name", firmware.NAMED)
def test_a_name_is_no_path_of_the_folder(tmp_path: Path, name: str) -> None:
    file = tmp_path / "pc.toml"
    file.write_text(MACHINE.format(name=name))

    boot = load_graph(file).boot

    assert isinstance(boot, FirmwareBoot)
    assert boot.firmware == firmware.find(name)[0]
    assert boot.firmware.is_absolute()
    assert not boot.firmware.is_relative_to(tmp_path)


def test_a_file_of_that_name_is_named_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "pc.toml"
    file.write_text(MACHINE.format(name="./ovmf"))

    boot = load_graph(file).boot

    assert isinstance(boot, FirmwareBoot)
    assert boot.firmware == tmp_path / "ovmf"


def test_what_is_not_installed_names_its_package_for_each_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = firmware.NAMED["seabios"]
    nowhere = Firmware(known.title, known.packages, ((f"{tmp_path}/bios.bin", None),))
    monkeypatch.setattr(firmware, "NAMED", {"seabios": nowhere})
    file = tmp_path / "pc.toml"
    file.write_text(MACHINE.format(name="seabios"))

    with pytest.raises(ConfigError) as caught:
        load_graph(file, require_files=True)

    (problem,) = caught.value.diagnostics
    assert problem.code == "VM070"
    assert problem.message.endswith("SeaBIOS is not installed")
    for package in ("apt install seabios", "dnf install seabios-bin", "pacman -S seabios"):
        assert package in str(problem.help)
