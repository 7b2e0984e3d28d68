# SPDX-License-Identifier: BSD-2-Clause
"""What is at the other end of a network card's cable, on the host."""
