# SPDX-License-Identifier: BSD-2-Clause
"""Text that is not ours: patterns that users write, and what guests print."""
