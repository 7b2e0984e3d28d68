# SPDX-License-Identifier: BSD-2-Clause
"""Admin commands.

Source: NVM Express 1.3, section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from manager.bus.blocks import Blocks
from manager.bus.dma import Dma
from manager.devices.nvme import identify
from manager.devices.nvme import registers as nvme
from manager.devices.nvme.queues import QUEUES, Command, CompletionState, SubmissionState, data_of
from manager.devices.nvme.state import MOST_EVENTS, ControllerState

NUMBER_OF_QUEUES = 0x07
FEATURES = {0x01, 0x02, 0x04, 0x05, 0x06, NUMBER_OF_QUEUES, 0x08, 0x09, 0x0A, 0x0B}
"""Arbitration, power, temperature, errors, cache, queues, interrupts, atomicity, events."""
_LOGS: Mapping[int, Callable[[], bytes]] = {
    0x01: lambda: bytes(64),  # no errors
    0x02: identify.smart,
    0x03: lambda: bytes([1]).ljust(512, b"\0"),  # firmware slot 1
}
_REFUSED = nvme.DO_NOT_RETRY
_IN_ONE_PIECE = 1
_INTERRUPTS = 2

Answer = tuple[int, int]
"""Status and result."""


class Admin:
    """Carries out admin commands on a controller's state."""

    def __init__(self, dma: Dma, blocks: Blocks, vendor: int) -> None:
        self._dma = dma
        self._blocks = blocks
        self._vendor = vendor

    def carry_out(self, state: ControllerState, command: Command) -> Answer | None:
        """Status and result; None for a request whose answer comes with an event."""
        match command.opcode:
            case nvme.IDENTIFY:
                return self._identify(command), 0
            case nvme.CREATE_CQ:
                return self._create_completion(state, command), 0
            case nvme.CREATE_SQ:
                return self._create_submission(state, command), 0
            case nvme.DELETE_CQ:
                return self._delete_completion(state, command), 0
            case nvme.DELETE_SQ:
                return self._delete_submission(state, command), 0
            case nvme.SET_FEATURES:
                return self._set_features(state, command)
            case nvme.GET_FEATURES:
                return self._get_features(state, command)
            case nvme.GET_LOG_PAGE:
                return self._log_page(command), 0
            case nvme.ABORT:
                return nvme.SUCCESS, 1  # nothing was aborted: it is done or about to be
            case nvme.ASYNC_EVENT_REQUEST:
                return self._event_request(state, command)
        return nvme.INVALID_OPCODE | _REFUSED, 0

    def _store(self, command: Command, data: bytes) -> int:
        segments = data_of(self._dma, command, len(data))
        if segments is None:
            return nvme.INVALID_PRP_OFFSET | _REFUSED
        well = self._dma.scatter(segments, data) == len(data)
        return nvme.SUCCESS if well else nvme.DATA_TRANSFER_ERROR

    def _identify(self, command: Command) -> int:
        what = command.words[0] & 0xFF
        if what == identify.CONTROLLER:
            return self._store(command, identify.controller(self._blocks, self._vendor))
        if what == identify.ACTIVE_LIST:
            return self._store(command, identify.active_list(command.namespace))
        if what not in (identify.NAMESPACE, identify.DESCRIPTORS):
            return nvme.INVALID_FIELD | _REFUSED
        if command.namespace != 1:
            return nvme.INVALID_NAMESPACE | _REFUSED
        if what == identify.NAMESPACE:
            return self._store(command, identify.namespace(self._blocks))
        return self._store(command, identify.descriptors(self._blocks))

    # -- queues ---------------------------------------------------------------------------------

    def _create_completion(self, state: ControllerState, command: Command) -> int:
        number, size, flags = _queue_words(command)
        if fault := _wrong_queue(number, size, command, state.completions):
            return fault
        vector = command.words[1] >> 16
        if vector >= QUEUES:
            return nvme.INVALID_VECTOR | _REFUSED
        state.completions[number] = CompletionState(
            size, command.prp1, vector=vector, interrupts=bool(flags & _INTERRUPTS)
        )
        return nvme.SUCCESS

    def _create_submission(self, state: ControllerState, command: Command) -> int:
        number, size, _ = _queue_words(command)
        if fault := _wrong_queue(number, size, command, state.submissions):
            return fault
        completions = command.words[1] >> 16
        if not 0 < completions < QUEUES or not state.completions[completions].size:
            return nvme.INVALID_CQ | _REFUSED
        state.submissions[number] = SubmissionState(size, command.prp1, completions=completions)
        return nvme.SUCCESS

    def _delete_completion(self, state: ControllerState, command: Command) -> int:
        number = command.words[0] & 0xFFFF
        if not 0 < number < QUEUES or not state.completions[number].size:
            return nvme.INVALID_QUEUE_ID | _REFUSED
        if any(queue.size and queue.completions == number for queue in state.submissions):
            return nvme.INVALID_QUEUE_DELETION | _REFUSED
        state.completions[number] = CompletionState()
        return nvme.SUCCESS

    def _delete_submission(self, state: ControllerState, command: Command) -> int:
        number = command.words[0] & 0xFFFF
        if not 0 < number < QUEUES or not state.submissions[number].size:
            return nvme.INVALID_QUEUE_ID | _REFUSED
        state.submissions[number] = SubmissionState()
        return nvme.SUCCESS

    # -- features, logs, events -------------------------------------------------------------------

    def _set_features(self, state: ControllerState, command: Command) -> Answer:
        number, value = command.words[0] & 0xFF, command.words[1]
        if number not in FEATURES:
            return nvme.INVALID_FIELD | _REFUSED, 0
        if number == NUMBER_OF_QUEUES:
            return nvme.SUCCESS, QUEUES - 2 | QUEUES - 2 << 16
        state.features[number] = value
        return nvme.SUCCESS, 0

    def _get_features(self, state: ControllerState, command: Command) -> Answer:
        number = command.words[0] & 0xFF
        if number not in FEATURES:
            return nvme.INVALID_FIELD | _REFUSED, 0
        if number == NUMBER_OF_QUEUES:
            return nvme.SUCCESS, QUEUES - 2 | QUEUES - 2 << 16
        return nvme.SUCCESS, state.features[number]

    def _log_page(self, command: Command) -> int:
        page = _LOGS.get(command.words[0] & 0xFF)
        if page is None:
            return nvme.INVALID_LOG_PAGE | _REFUSED
        length = 4 * ((command.words[0] >> 16 | (command.words[1] & 0xFFFF) << 16) + 1)
        offset = command.words[2] | command.words[3] << 32
        content = page()
        return self._store(command, content[offset : offset + min(length, len(content))])

    def _event_request(self, state: ControllerState, command: Command) -> Answer | None:
        if state.waiting >= MOST_EVENTS:
            return nvme.ASYNC_LIMIT | _REFUSED, 0
        state.events[state.waiting] = command.id
        state.waiting += 1
        return None


def _queue_words(command: Command) -> tuple[int, int, int]:
    """Queue id, entries, flags."""
    return command.words[0] & 0xFFFF, (command.words[0] >> 16) + 1, command.words[1] & 0xFFFF


def _wrong_queue(
    number: int,
    size: int,
    command: Command,
    there: list[CompletionState] | list[SubmissionState],
) -> int:
    """Why there cannot be such a queue, or 0."""
    if not 0 < number < QUEUES or there[number].size:
        return nvme.INVALID_QUEUE_ID | _REFUSED
    if not 2 <= size <= nvme.MOST_ENTRIES:
        return nvme.INVALID_QUEUE_SIZE | _REFUSED
    if not command.words[1] & _IN_ONE_PIECE or command.prp1 % nvme.PAGE:
        return nvme.INVALID_FIELD | _REFUSED
    return 0
