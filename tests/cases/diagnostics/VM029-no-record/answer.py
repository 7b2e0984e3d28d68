# SPDX-License-Identifier: BSD-2-Clause
from manager.devices.device import Device
from manager.devices.node import DeviceNode


class Answer(Device):
    def read_port(self, offset):
        return 42


class AnswerNode(DeviceNode):
    SECTION = "lpc"
