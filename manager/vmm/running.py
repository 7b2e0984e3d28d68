# SPDX-License-Identifier: BSD-2-Clause
"""A running machine: what clients, gdb and signals may do with it, and how its time passes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from manager.errors import VmmgrError, WrongStateError
from manager.state.disks import MachineDisks
from manager.vmm.advice import Advice
from manager.vmm.events import Events
from manager.vmm.holds import Holds
from manager.vmm.networks import NetworkConnections
from manager.vmm.outcome import Outcome
from manager.vmm.restored import RestoredState
from manager.vmm.sinks import Sinks
from manager.vmm.waiting import Waiting

if TYPE_CHECKING:
    from manager.machine.inputs import Input
    from manager.machine.machine import Machine
    from manager.replay.timeline import Rewound
    from manager.sandbox.layers import Layer
    from manager.state.directory import MachineDirectory
    from manager.vmm.connections import SerialConnections
    from manager.vmm.recorder import RunRecorder

OnTerm = Literal["down", "suspend"]
"""What SIGTERM does."""


class RunningMachine:
    """A machine with its ports connected, until its end.

    Without a `directory` it keeps no state, without a `recorder` there is no way back.
    """

    called, step = "the machine", 1

    def __init__(  # noqa: PLR0913  the parts of a running machine, each handed in once
        self,
        machine: Machine,
        connections: SerialConnections,
        *,
        paused: bool = False,
        on_term: OnTerm = "down",
        directory: MachineDirectory | None = None,
        recorder: RunRecorder | None = None,
        say: Callable[[str], None] = lambda text: None,
        advise: Callable[[str], None] | None = None,
    ) -> None:
        self.connections = connections
        self.events = Events(self.now)
        self.networks = NetworkConnections(machine, self.events, say)
        self.waiting = Waiting(self.events)
        self.sinks = Sinks(connections, self.networks, self.events, say)
        self._advice = Advice(self.events, advise or say)
        self.holds = Holds(connections, self.events, say, paused=paused)
        self.holds.watch_disks(machine)
        self.restored = RestoredState(self.holds, self.events, say)
        self._machine = machine
        self._directory = directory
        self._recorder = recorder
        self._on_term = on_term
        self.started = time.monotonic()  # when this process began with it
        self._outcome: Outcome | None = None
        self._postponed: list[Callable[[], None]] = []
        self.rewinds = 0
        self.sandbox: tuple[Layer, ...] = ()
        """What this process gave up of the host."""

    @property
    def machine(self) -> Machine:
        """The machine as it is now; another one after `rewind`."""
        return self._machine

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or will at the next chance; None while it goes on."""
        return self._outcome and replace(self._outcome, resets=self._machine.resets)

    @property
    def is_untouched(self) -> bool:
        """Whether nothing came from outside since the start; false where that is not recorded."""
        inputs = self._recorder.inputs if self._recorder is not None else None
        return inputs == 0 and self._machine.inputs.last_at is None

    # -- its states ---------------------------------------------------------------------------

    def suspend(self) -> dict[str, Any]:
        """Save the machine and end; a failure leaves it running. Raises VmmgrError."""
        self.refuse_if_ending()
        if self._directory is None:
            raise WrongStateError(
                "this machine keeps no state", help="start it with `vmmgr up` to suspend it"
            )
        self.connections.pump()
        began = time.monotonic()
        try:
            self.restored.require_sound()
            saved = self._directory.suspend(self._machine)
        except VmmgrError as error:
            self.events.publish("suspend-failed", message=error.message)
            raise
        seconds = time.monotonic() - began
        if self._recorder is not None:
            self._recorder.suspended(saved.path)
        self.finish(Outcome("suspended", detail=str(saved.path)))
        result = {"snapshot": str(saved.path), "size": saved.size, "seconds": round(seconds, 6)}
        self.events.publish("suspended", **result)
        return result

    def save_snapshot(self, tag: str | None) -> dict[str, Any]:
        """Take a snapshot and run on. Raises VmmgrError."""
        self.refuse_if_ending()
        if self._directory is None:
            raise WrongStateError("this machine keeps no state")
        self.restored.require_sound()
        self.connections.pump()
        began = time.monotonic()
        path = self._directory.save_snapshot(self._machine, tag)
        if self._recorder is not None:
            self._recorder.saved(path, tag)
        seconds = time.monotonic() - began
        self.events.publish("snapshot-saved", snapshot=str(path), tag=tag)
        return {"snapshot": str(path), "tag": tag, "seconds": round(seconds, 6)}

    def rewind(self, *, back: int | None, to: int | None, inputs: int | None) -> dict[str, Any]:
        """Go back in virtual time; see RunRecorder.rewind. Raises VmmgrError."""
        self.refuse_if_ending()
        if self._recorder is None:
            raise WrongStateError("this machine keeps no state")
        self._recorder.require_way_back()
        if self.waiting.is_on:
            raise WrongStateError("the machine is not ready yet", help="wait until it is")
        self.restored.require_sound()
        began, before = time.monotonic(), self.now()
        self.connections.pump()
        rewound = self._recorder.rewind(back=back, to=to, inputs=inputs, go_on_with=self._replace)
        self.networks.cut()
        result = {
            "from": before,
            "virtual-time": self.now(),
            "replayed": rewound.replayed,
            "seconds": round(time.monotonic() - began, 6),
        }
        self.events.publish("rewound", **result)
        return result

    def _replace(self, rewound: Rewound) -> None:
        """Go on with an earlier self."""
        before, self._machine = self._machine, rewound.machine
        self.rewinds += 1
        self.waiting.rewound()
        self.connections.rewind(self._machine.ports, rewound.sent)
        self.networks.rewind(self._machine)
        if self._directory is not None:
            MachineDisks(self._directory.paths).adopt(self._machine.graph, self._machine.disks)
        self.holds.watch_disks(self._machine)
        self.restored.begin_at_checkpoint(rewound.start, self._machine)
        before.close()
        del before
        gc.collect()  # its RAM and its engine are in cycles

    def history(self) -> tuple[int, list[Input]] | None:
        """When the record of this run begins, and all input since; None without a way back."""
        if self._recorder is None or self.waiting.is_on:
            return None
        return self._recorder.history()

    # -- its end ------------------------------------------------------------------------------

    def finish(self, outcome: Outcome) -> None:
        """End at the next chance; the first reason given counts."""
        if self._outcome is None:
            self._outcome = outcome
            self._machine.stop()

    def power_off(self) -> None:
        """Pull the plug: the machine is over."""
        self.refuse_if_ending()
        self.finish(Outcome("down"))

    def quit(self) -> None:
        """End the process and leave the last suspended state as it is."""
        self.refuse_if_ending()
        self.finish(Outcome("quit", self.restored.status, self.restored.damage or ""))

    def stop_as_told(self) -> None:
        """What SIGTERM does. Raises VmmgrError when the machine cannot be saved.

        What was saved before stays when the machine is not to be saved, for it is damaged.
        """
        if self._on_term != "suspend" or self._directory is None:
            self.power_off()
        elif self.restored.finish() is not None:
            self.quit()
        else:
            self.suspend()

    def refuse_if_ending(self) -> None:
        """Raise WrongStateError when the machine is about to end."""
        if self._outcome is not None:
            raise WrongStateError("the machine is ending")

    def wind_up(self) -> None:
        """The machine ran to its end: pass on its last output, and report what was lost."""
        self.connections.pump()
        self._machine.trace.close()
        self.sinks.look(self._machine, self._recorder)

    def close(self) -> None:
        """Let go of the host."""
        self.restored.close()
        self.connections.close()
        self.networks.close()
        self._machine.close()
        self.sinks.look(self._machine, self._recorder)

    # -- what comes from outside --------------------------------------------------------------

    def press_power_button(self) -> None:
        """Press the machine's power button."""
        self.refuse_if_ending()
        self._machine.inputs.post("power-button")

    def feed(self, port: str | None, data: bytes) -> str:
        """Send `data` to a port, the console unless named; returns the port's id."""
        self.refuse_if_ending()
        connection = self.connections.find(port)
        connection.offer(data)
        return connection.port.id

    def send_break(self, port: str) -> str:
        """Send a break to a port; returns its id."""
        self.refuse_if_ending()
        id = self.connections.find(port).port.id
        self._machine.inputs.post("break", id)
        self.events.publish("break", port=id)
        return id

    # -- how its time passes ------------------------------------------------------------------

    def now(self) -> int:
        """Virtual time in ns."""
        return self._machine.now()

    def idle_until(self) -> int | None:
        """None: busy; else the deadline that the halted CPU waits for, or NEVER."""
        return self._machine.idle_until()

    def is_held(self) -> bool:
        """Whether time is to stand still."""
        return self.holds.look()

    def hold(self, held: bool) -> None:
        """Let virtual time stand still for a debugger, or go on if nothing else holds it."""
        self.holds.debug(held)

    def when_still(self, action: Callable[[], None]) -> None:
        """Call `action` soon, between two slices; for what cannot be done inside the run."""
        self._postponed.append(action)
        self._machine.stop()

    def poll(self) -> None:
        """Let backends and peers do what is due by the host's time; once a second is enough."""
        self.connections.poll()
        self.networks.poll()

    def run_to(self, until: int) -> None:
        """Run until then, or until the event loop is due."""
        before = self._machine.resets
        ended = self._machine.run(until, yielding=True)
        self.connections.arrived()
        self.networks.arrived()
        if self._machine.resets != before:
            self.events.publish("reset", resets=self._machine.resets)
        if ended is not None and self._outcome is None:
            from manager.debug.story import story_of

            story = story_of(self._machine, ended)
            if ended.is_fault and (damage := self.restored.finish()) is not None:
                story = (damage, *story)
            self._outcome = Outcome.of_guest(ended, story)

    def rest(self) -> None:
        """Between two slices: pass on what was sent, and do what needs a machine at rest."""
        self.connections.pump()
        if self._outcome is None:
            postponed, self._postponed = self._postponed, []
            for action in postponed:
                action()
            if self._recorder is not None and self.restored.is_sound:
                self._recorder.between_slices()
        self.sinks.look(self._machine, self._recorder)
        self._advice.look(self._machine)
