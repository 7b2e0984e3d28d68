# SPDX-License-Identifier: BSD-2-Clause
"""The tables that a machine file has once: processor, memory, clock, boot, readiness, debugging."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from manager.config import values
from manager.config.table import Table
from manager.config.units import MIB
from manager.config.values import Duration, FilePath, Pattern, fault
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


_Paths = Annotated[tuple[FilePath, ...], Field(strict=False)]


class SandboxTable(Table):
    """What the process that runs the guest gives up; docs/security.md."""

    enabled: bool = Field(
        default=True,
        description="Whether it gives up, as soon as its files, ports and sockets are open, what "
        "it does not need of the host, as far as the kernel can hold it to that.",
        examples=[False],
    )
    read: _Paths = Field(
        default=(),
        description="Files and folders that it may read all the same: what devices of your own "
        "open while the guest runs.",
        examples=[["data"]],
    )
    write: _Paths = Field(
        default=(),
        description="Files and folders in which it may read, write, make and remove.",
        examples=[["results"]],
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
