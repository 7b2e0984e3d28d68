# SPDX-License-Identifier: BSD-2-Clause
"""One module per verb: parse, call, print; nothing else."""
