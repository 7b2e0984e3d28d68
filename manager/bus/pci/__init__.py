# SPDX-License-Identifier: BSD-2-Clause
"""PCI: the bus, its functions, and what a device needs to be one.

A device makes a PciFunction of a PciHeader and the PciSlot it is plugged into, says what is behind
each BAR, and nests the function's PciConfigState in its own record. manager/devices/uart/pci.py is
a small one.
"""

from manager.bus.pci.bars import BarMemory as BarMemory
from manager.bus.pci.bus import PciBus as PciBus
from manager.bus.pci.capabilities import Capability as Capability
from manager.bus.pci.capabilities import vendor_specific as vendor_specific
from manager.bus.pci.function import PciFunction as PciFunction
from manager.bus.pci.function import PciSlot as PciSlot
from manager.bus.pci.header import PciHeader as PciHeader
from manager.bus.pci.msi import Msi as Msi
from manager.bus.pci.msix import Msix as Msix
from manager.bus.pci.state import MsiState as MsiState
from manager.bus.pci.state import MsixState as MsixState
from manager.bus.pci.state import PciConfigState as PciConfigState
