# SPDX-License-Identifier: BSD-2-Clause
"""The device graph: what a machine is made of, who owns what, and what the guest can see of it."""
