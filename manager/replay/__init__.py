# SPDX-License-Identifier: BSD-2-Clause
"""What follows from a machine that behaves the same every time: record, replay, prove, rewind."""
