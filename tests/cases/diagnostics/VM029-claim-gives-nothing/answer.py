# SPDX-License-Identifier: BSD-2-Clause
from manager.devices.node import DeviceNode


class AnswerNode(DeviceNode):
    SECTION = "lpc"

    @classmethod
    def claim(cls, table, place):
        cls(*place)
