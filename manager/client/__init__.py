# SPDX-License-Identifier: BSD-2-Clause
"""What talks to a running machine: the control protocol, its client, the console."""
