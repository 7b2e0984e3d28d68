# SPDX-License-Identifier: BSD-2-Clause
from dataclasses import dataclass

from manager.bus.record import Record
from manager.devices.device import Device


@dataclass(slots=True)
class AnswerState(Record):
    TYPE = "answer"

    reads: int = 0


class Answer(Device[AnswerState]):
    STATE = AnswerState
