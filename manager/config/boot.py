# SPDX-License-Identifier: BSD-2-Clause
"""[boot]: what the machine starts with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from manager.config.table import Table
from manager.config.values import FilePath, GuestAddress, GuestText, exactly, fault

BootProtocol = Literal["linux16", "linux32", "linux64", "pvh", "multiboot", "multiboot2"]


class BootTable(Table):
    """What the machine starts with: exactly one of `kernel`, `image` and `firmware`.

    `firmware` may come with `kernel`, `initrd` and `cmdline`: the Linux that it is to boot.
    """

    kernel: FilePath | None = Field(
        default=None,
        description="A Linux bzImage or vmlinux, or a multiboot ELF, recognised by its content; "
        "it may be packed by gzip, xz, bzip2 or zstd.",
        examples=["vmlinuz"],
    )
    initrd: FilePath | None = Field(
        default=None, description="Linux's initial RAM disk.", examples=["initrd.img"]
    )
    cmdline: GuestText | None = Field(
        default=None, description="The kernel's command line.", examples=["console=ttyS0"]
    )
    modules: Annotated[tuple[FilePath, ...], Field(strict=False)] = Field(
        default=(),
        description="Multiboot modules: each a path, then what the kernel is told about it, behind "
        "the file's name.",
        examples=[["initrd.img root=/"]],
    )
    protocol: BootProtocol | None = Field(
        default=None,
        description="How the kernel is entered, where its file leaves a choice.",
        examples=["linux64"],
    )
    image: FilePath | None = Field(
        default=None,
        description="A flat binary; needs `load`, `entry` and `bits` as well.",
        examples=["hello.bin"],
    )
    load: GuestAddress | None = Field(
        default=None,
        description="The physical address that the image is loaded to.",
        examples=[0x7C00],
    )
    entry: GuestAddress | None = Field(
        default=None,
        description="The physical address of the image's first instruction.",
        examples=[0x7C00],
    )
    bits: Annotated[Literal[16, 32, 64] | None, BeforeValidator(exactly)] = Field(
        default=None,
        description="The CPU's mode at entry: 16 is real mode, 32 protected, 64 long.",
        examples=[16],
    )
    firmware: FilePath | None = Field(
        default=None,
        description='"seabios" or "ovmf", where a distribution puts it, or the path of a ROM that '
        "ends at 4 GiB and starts at the reset vector. With "
        "`kernel`, `initrd` and `cmdline` it is told to boot that Linux, or UEFI firmware that EFI "
        "application.",
        examples=["seabios", "bios-256k.bin"],
    )
    variables: FilePath | None = Field(
        default=None,
        description="What UEFI firmware's variables begin with, when `firmware` is its code alone. "
        'They are kept on the disk "firmware-variables". "ovmf" brings its own.',
        examples=["OVMF_VARS_4M.fd"],
    )
    boot_order: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="What firmware is to boot from, first things first: devices with a disk, such "
        'as "slots.5", and drives of an IDE controller, such as "ide.primary-slave".',
        examples=[["slots.5", "ide.secondary-master"]],
    )
    help: str | None = Field(
        default=None,
        description="What to do when one of the files is missing; shown with the error.",
        examples=["run ./fetch.sh"],
    )

    @model_validator(mode="after")
    def _one_way(self) -> BootTable:
        given = {key: name for key, name in _BOOT_KEYS.items() if key in self.model_fields_set}
        ways = tuple(way for way in ("kernel", "image", "firmware") if way in given)
        if ways == ("kernel", "firmware"):
            ways = ("firmware",)  # which is to boot the kernel
            given |= {key: "firmware" for key in _FIRMWARE_KERNEL if key in given}
        if not ways:
            raise fault("VM030", "`[boot]` does not say what to boot", BOOT_HELP)
        if len(ways) > 1:
            names = " and ".join(f"`{way}`" for way in ways)
            help = "keep one; `replace = true` in `[boot]` drops what the extended files have there"
            raise fault("VM031", f"{names} are different ways to boot", help, ways)
        for key, way in given.items():
            if way != ways[0]:
                named = key.replace("_", "-")
                message = f"`{named}` does not go with `{ways[0]}`"
                raise fault("VM032", message, f"it belongs to `{way}`", (named, ways[0]))
        missing = [key for key in ("load", "entry", "bits") if key not in given]
        if ways[0] == "image" and missing:
            names = ", ".join(f"`{key}`" for key in missing)
            help = "such as load = 0x7c00, entry = 0x7c00, bits = 16"
            raise fault("VM013", f"`image` needs {names} as well", help, ("image",))
        return self


BOOT_HELP = "set one of `kernel`, `image` and `firmware` in `[boot]`"
_BOOT_KEYS = {
    "kernel": "kernel",
    "initrd": "kernel",
    "cmdline": "kernel",
    "modules": "kernel",
    "protocol": "kernel",
    "image": "image",
    "load": "image",
    "entry": "image",
    "bits": "image",
    "firmware": "firmware",
    "variables": "firmware",
    "boot_order": "firmware",
}
"""Each key of `[boot]` and the way to boot that it belongs to."""
_FIRMWARE_KERNEL = ("kernel", "initrd", "cmdline")
"""Keys of a Linux kernel that firmware can be told to boot."""
