# SPDX-License-Identifier: BSD-2-Clause
from manager.devices.node import DeviceNode


class AnswerNode(DeviceNode):
    SECTION = "lpc"
