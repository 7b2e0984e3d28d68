# SPDX-License-Identifier: BSD-2-Clause
"""What deterministic machines make possible: record, replay, verify, rewind, bisect."""
