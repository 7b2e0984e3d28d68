# SPDX-License-Identifier: BSD-2-Clause
"""What the process that runs a guest gives up once it has what it needs: docs/security.md."""
