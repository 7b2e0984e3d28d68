# SPDX-License-Identifier: BSD-2-Clause
"""A machine on disk: its directory, lock and record, suspended states, logs, warm starts."""
