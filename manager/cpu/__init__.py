# SPDX-License-Identifier: BSD-2-Clause
"""The CPU: an engine behind a narrow protocol, and its architectural state by name."""
