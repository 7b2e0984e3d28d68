# SPDX-License-Identifier: BSD-2-Clause
"""The 8259A interrupt controllers."""
