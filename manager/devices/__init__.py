# SPDX-License-Identifier: BSD-2-Clause
"""One device per file: registers, state record, read, write. None knows files, sockets or TOML."""
