# SPDX-License-Identifier: BSD-2-Clause
"""Text -> model: spans, extends, vars, schema, diagnostics. Pure but for reading machine files."""
