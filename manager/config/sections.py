# SPDX-License-Identifier: BSD-2-Clause
"""The tables that a machine file has once: processor, memory, clock, boot, readiness, debugging."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from manager.config import values
from manager.config.table import Table
from manager.config.units import MIB
from manager.config.values import Duration, FilePath, GuestAddress, Pattern, fault
from manager.names import CPU_MODELS

CPUS_MAX = 32
FAIR = "fair"


class Schedule(Table):
    """Whose turn it is when, and when interrupts come: drawn by a seed, alike in each run."""

    seed: int | None = Field(
        default=None,
        ge=0,
        lt=1 << 63,
        description="The same seed is the same schedule; another one is another. With a seed a "
        "turn may end between any two instructions.",
        examples=[7],
    )
    jitter: Duration = Field(
        default=20_000,
        le=10_000_000,
        description="How long an interrupt waits at most: 0s to 10ms.",
        examples=["20us"],
    )
    tear: bool = Field(
        default=True,
        description="Whether an instruction that reads and writes memory without a LOCK prefix may "
        "be torn in two by another CPU, as on real ones.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _has_a_seed(self) -> Schedule:
        if self.model_fields_set and self.seed is None:
            help = 'write `schedule = { seed = 7 }`, or `schedule = "fair"`'
            raise fault("VM013", "a schedule by seed needs a seed", help, ())
        return self


class CpuTable(Table):
    """The processors."""

    model: Literal[CPU_MODELS] = Field(  # type: ignore[valid-type]
        default="qemu64",
        description="The CPU model; features that are not emulated are masked in CPUID.",
        examples=["qemu64", "kvm64"],
    )
    count: int = Field(
        default=1,
        ge=1,
        le=CPUS_MAX,
        description=f"How many CPUs, 1 to {CPUS_MAX}. They run in turns on one clock.",
        examples=[2, 4],
    )
    quantum: Duration = Field(
        default=50_000,
        ge=1_000,
        le=100_000_000,
        description="How long a turn lasts while other CPUs have something to do: 1us to 100ms.",
        examples=["50us"],
    )
    schedule: Annotated[Schedule, BeforeValidator(lambda value: {} if value == FAIR else value)] = (
        Field(
            default=Schedule(),
            description='"fair": turns of one quantum each, one CPU after the other. { seed = N }: '
            "the generator with this seed draws them; see `vmmgr explore`.",
            examples=["fair", {"seed": 7}],
        )
    )


class MemoryTable(Table):
    """RAM."""

    size: values.Memory = Field(
        default=64 * MIB,
        description="Bytes of RAM, 1M to 64G: a number with K, M or G (powers of two), or a "
        "number of bytes. What is beyond 3 GiB lies above 4 GiB.",
        examples=["256M", "2G"],
    )


class ClockTable(Table):
    """Virtual time."""

    mode: Literal["paced", "virtual"] = Field(
        default="paced",
        description='"paced": never ahead of the host\'s clock. "virtual": as fast as it goes, '
        "and idle time is skipped. The guest cannot tell them apart.",
        examples=["paced"],
    )
    epoch: values.Epoch = Field(
        default=values.DEFAULT_EPOCH,
        description="What the real-time clock shows at virtual time 0: a date with a time and a "
        "time zone, years 1970 to 2099.",
        examples=["2024-01-01T00:00:00Z"],
    )


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
    cmdline: str | None = Field(
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
    bits: Literal[16, 32, 64] | None = Field(
        default=None,
        description="The CPU's mode at entry: 16 is real mode, 32 protected, 64 long.",
        examples=[16],
    )
    firmware: FilePath | None = Field(
        default=None,
        description="A ROM that ends at 4 GiB and starts at the reset vector: SeaBIOS, say. With "
        "`kernel`, `initrd` and `cmdline` it is told to boot that Linux, or UEFI firmware that EFI "
        "application.",
        examples=["bios-256k.bin"],
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
                message = f"`{key}` does not go with `{ways[0]}`"
                raise fault("VM032", message, f"it belongs to `{way}`", (key, ways[0]))
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
}
"""Each key of `[boot]` and the way to boot that it belongs to."""
_FIRMWARE_KERNEL = ("kernel", "initrd", "cmdline")
"""Keys of a Linux kernel that firmware can be told to boot."""


class ReadyTable(Table):
    """When `up` counts as ready."""

    port: str | None = Field(
        default=None,
        description="The serial port to watch; the first one when it is not given.",
        examples=["com1", "slots.4"],
    )
    wait_for: Pattern = Field(
        description="The machine is ready once the port's output matches this regular expression; "
        "`$` matches at the end of what was printed so far.",
        examples=["login: $"],
    )
    fail_on: Pattern | None = Field(
        default=None,
        description="`up` fails as soon as the output matches this regular expression.",
        examples=["Kernel panic"],
    )
    timeout: Duration = Field(
        default=120_000_000_000,
        description="How long to wait: a number with ns, us, ms, s, m or h.",
        examples=["120s", "500ms"],
    )
    cache: bool = Field(
        default=False,
        description="Keep the machine as it is when it is ready, and let the next `up` go on from "
        "there instead of booting.",
        examples=[True],
    )


class RecordTable(Table):
    """What is recorded of a run, for `replay` and `rewind`."""

    enabled: bool = Field(
        default=True,
        description="Whether everything that comes to the guest from outside is recorded.",
        examples=[False],
    )
    rewind: Duration = Field(
        default=0,
        description="How far back checkpoints go, in the machine's time, so that `rewind` is "
        "fast; none by default: `rewind` then runs the machine again from its start.",
        examples=["60s"],
    )


class DebugTable(Table):
    """Help for debugging a guest."""

    strict_io: bool = Field(
        default=False,
        description="Whether an access to a port that no device has is an error. Otherwise it "
        "reads as all ones, as on a PC.",
        examples=[True],
    )
    on_triple_fault: Literal["stop", "reset"] = Field(
        default="stop",
        description='What a triple fault does: "stop" ends the machine with exit code 6 and tells '
        'where; "reset" starts it again, as a PC does.',
        examples=["reset"],
    )
    on_reset: Literal["reset", "stop"] = Field(
        default="reset",
        description='What a reset does: "reset" starts the machine again; "stop" ends it, as '
        "QEMU's -no-reboot does.",
        examples=["stop"],
    )
    trace: Annotated[tuple[Literal["ports", "irq", "pci", "msr"], ...], Field(strict=False)] = (
        Field(
            default=(),
            description="What to write a trace of: port I/O, interrupts, PCI configuration, MSRs.",
            examples=[["ports", "irq"]],
        )
    )
    trace_file: FilePath | None = Field(
        default=None,
        description="Where the trace goes; into the machine's state directory by default.",
        examples=["trace.log"],
    )
