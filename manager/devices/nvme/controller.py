# SPDX-License-Identifier: BSD-2-Clause
"""An NVMe controller with one namespace: commands are carried out one at a time, each in its time.

Source: NVM Express 1.3. A command stays in its submission queue, in guest RAM, until its time has
come: the record only knows whose turn it is and when it is over. So a suspend may fall anywhere.
"""

from __future__ import annotations

from typing import Protocol

from manager.bus.blocks import Blocks
from manager.bus.clock import Clock
from manager.bus.dma import Dma
from manager.bus.record import NEVER
from manager.devices.nvme import registers as nvme
from manager.devices.nvme.admin import Admin
from manager.devices.nvme.commands import Io
from manager.devices.nvme.queues import QUEUES, Command, complete, fetch, is_full
from manager.devices.nvme.state import NO_QUEUE, ControllerState

VECTORS = QUEUES
ADMIN_TIME = 10_000
"""ns that a command of the admin queue takes."""


class Interrupts(Protocol):
    """The PCI function: messages, and the pin."""

    def signal(self, vector: int) -> bool:
        """Interrupt by message; False when the guest has not enabled any."""

    def set(self, level: bool) -> None:
        """Drive the pin."""


class Controller:
    """The registers in BAR 0, for `MmioDevice`, and what carries out commands.

    The device nests `state` and puts another one in its place after a restore.
    """

    def __init__(
        self, dma: Dma, clock: Clock, blocks: Blocks, interrupts: Interrupts, vendor: int
    ) -> None:
        self.state = ControllerState()
        self._dma = dma
        self._clock = clock
        self._interrupts = interrupts
        self._admin = Admin(dma, blocks, vendor)
        self._io = Io(dma, blocks)
        self._timer = clock.timer(self._due)

    def settle(self) -> None:
        """Make timer and pin agree with the record."""
        if self.state.due == NEVER:
            self._timer.disarm()
        else:
            self._timer.arm(self.state.due)
        self._drive()

    # -- registers ------------------------------------------------------------------------------

    def read_mmio(self, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes; doorbells read as 0."""
        state = self.state
        words = {
            nvme.CAP: nvme.CAP_VALUE & 0xFFFFFFFF,
            nvme.CAP + 4: nvme.CAP_VALUE >> 32,
            nvme.VS: nvme.VERSION,
            nvme.INTMS: state.mask,
            nvme.INTMC: state.mask,
            nvme.CC: state.configuration,
            nvme.CSTS: state.status,
            nvme.AQA: state.admin_sizes,
            nvme.ASQ: state.admin_submission & 0xFFFFFFFF,
            nvme.ASQ + 4: state.admin_submission >> 32,
            nvme.ACQ: state.admin_completion & 0xFFFFFFFF,
            nvme.ACQ + 4: state.admin_completion >> 32,
        }
        value = words.get(offset & ~3, 0) >> 8 * (offset & 3)
        return value & (1 << 8 * size) - 1

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Write a whole register; parts of one are dropped."""
        state = self.state
        if offset >= nvme.DOORBELLS:
            self._doorbell((offset - nvme.DOORBELLS) // 4, value & 0xFFFF)
        elif size != 4:
            return
        elif offset == nvme.INTMS:
            state.mask |= value
            self._drive()
        elif offset == nvme.INTMC:
            state.mask &= ~value
            self._drive()
        elif offset == nvme.CC:
            self._configure(value & nvme.CC_BITS)
        elif state.configuration & nvme.CC_ENABLE:
            return
        elif offset == nvme.AQA:
            state.admin_sizes = value & 0x0FFF_0FFF
        elif offset == nvme.ASQ:
            state.admin_submission = state.admin_submission >> 32 << 32 | value & 0xFFFF_F000
        elif offset == nvme.ASQ + 4:
            state.admin_submission = state.admin_submission & 0xFFFF_FFFF | value << 32
        elif offset == nvme.ACQ:
            state.admin_completion = state.admin_completion >> 32 << 32 | value & 0xFFFF_F000
        elif offset == nvme.ACQ + 4:
            state.admin_completion = state.admin_completion & 0xFFFF_FFFF | value << 32

    def _configure(self, value: int) -> None:
        state = self.state
        before, state.configuration = state.configuration, value
        if value & nvme.CC_ENABLE and not before & nvme.CC_ENABLE:
            self._enable()
        elif before & nvme.CC_ENABLE and not value & nvme.CC_ENABLE:
            self._disable()
        if value & nvme.CC_SHUTDOWN and not before & nvme.CC_SHUTDOWN:
            state.status |= nvme.CSTS_SHUTDOWN_DONE
        elif not value & nvme.CC_SHUTDOWN:
            state.status &= ~nvme.CSTS_SHUTDOWN_DONE

    def _enable(self) -> None:
        state = self.state
        submission, completion = state.submissions[0], state.completions[0]
        submission.size = (state.admin_sizes & 0xFFF) + 1
        submission.base = state.admin_submission
        completion.size = (state.admin_sizes >> 16 & 0xFFF) + 1
        completion.base = state.admin_completion
        completion.interrupts = True
        if min(submission.size, completion.size) < 2:
            self._fatal()
        else:
            state.status |= nvme.CSTS_READY

    def _disable(self) -> None:
        """A controller reset: all but the admin queue's place, CC and the mask is as new."""
        fresh, state = ControllerState(), self.state
        for name in ("status", "submissions", "completions", "turn", "serving", "due"):
            setattr(state, name, getattr(fresh, name))
        state.events, state.waiting, state.features = fresh.events, 0, fresh.features
        self._timer.disarm()
        self._drive()

    def _fatal(self) -> None:
        self.state.status |= nvme.CSTS_FATAL
        self.state.serving, self.state.due = NO_QUEUE, NEVER
        self._timer.disarm()

    def _doorbell(self, number: int, value: int) -> None:
        state = self.state
        index, is_completion = divmod(number, 2)
        if index >= QUEUES or not state.status & nvme.CSTS_READY:
            return
        queue = state.completions[index] if is_completion else state.submissions[index]
        if value >= queue.size:
            return
        if is_completion:
            state.completions[index].head = value
            self._drive()
        else:
            state.submissions[index].tail = value
        self._begin()

    # -- commands -------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Take the next queue in turn that has a command, unless one is under way."""
        state = self.state
        if state.serving != NO_QUEUE or state.status & nvme.CSTS_FATAL:
            return
        for step in range(QUEUES):
            index = (state.turn + step) % QUEUES
            queue = state.submissions[index]
            if not queue.size or queue.head == queue.tail:
                continue
            if is_full(state.completions[queue.completions]):
                continue  # the guest's next look at that queue brings us back here
            command = fetch(self._dma, queue)
            if command is None:
                self._fatal()
                return
            state.turn = (index + 1) % QUEUES
            state.serving = index
            time = ADMIN_TIME if index == 0 else self._io.time(command)
            state.due = self._clock.now() + time
            self._timer.arm(state.due)
            return

    def _due(self) -> None:
        state = self.state
        index, state.serving, state.due = state.serving, NO_QUEUE, NEVER
        queue = state.submissions[index]
        command = fetch(self._dma, queue) if queue.size else None
        if command is None:
            self._fatal()
            return
        queue.head = (queue.head + 1) % queue.size
        answer = self._carry_out(index, command)
        if answer is not None:
            self._answer(index, command.id, *answer)
        self._begin()

    def _carry_out(self, index: int, command: Command) -> tuple[int, int] | None:
        """Status and result; None when the answer comes later."""
        if index == 0:
            return self._admin.carry_out(self.state, command)
        return self._io.carry_out(command), 0

    def _answer(self, index: int, id: int, status: int, result: int) -> None:
        state = self.state
        source = state.submissions[index]
        number = source.completions
        queue = state.completions[number]
        if not queue.size or is_full(queue):
            return
        queue.tail %= queue.size
        if not complete(self._dma, queue, (index, source.head), id, status, result):
            self._fatal()
            return
        if queue.interrupts and not self._interrupts.signal(queue.vector):
            self._drive()

    def _drive(self) -> None:
        """The pin is high while an unmasked queue has what the guest has not looked at."""
        state = self.state
        self._interrupts.set(
            any(
                queue.interrupts and queue.head != queue.tail and not state.mask >> queue.vector & 1
                for queue in state.completions
                if queue.size
            )
        )
