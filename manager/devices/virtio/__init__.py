# SPDX-License-Identifier: BSD-2-Clause
"""What all virtio devices have in common: queues in guest RAM, and the PCI transport."""
