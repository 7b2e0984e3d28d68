# SPDX-License-Identifier: BSD-2-Clause
from manager.devices.node import DeviceNode
from no_such_package import anything
