# SPDX-License-Identifier: BSD-2-Clause
"""`up --watch`: a machine that is built and booted anew when its files change."""
