# SPDX-License-Identifier: BSD-2-Clause
"""Several machines in one process, and the wires between them."""
