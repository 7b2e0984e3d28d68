# SPDX-License-Identifier: BSD-2-Clause
"""The engine on the stock PyPI wheel of Unicorn 2.1.4, and its native half."""
