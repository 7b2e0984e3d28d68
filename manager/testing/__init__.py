# SPDX-License-Identifier: BSD-2-Clause
"""Testing guests with pytest. The fixtures and markers are in docs/pytest-plugin.md."""

from manager.testing.states import state

__all__ = ["state"]
