# SPDX-License-Identifier: BSD-2-Clause
from manager.devices.claims import MemoryRange
from manager.devices.node import DeviceNode


class AnswerNode(DeviceNode):
    SECTION = "lpc"

    @classmethod
    def claim(cls, table, place):
        return cls(*place, memory=(MemoryRange(0x100000, 0x1000),))
