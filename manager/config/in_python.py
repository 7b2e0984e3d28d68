# SPDX-License-Identifier: BSD-2-Clause
"""Diagnostics that point into a Python file of the user's."""

from __future__ import annotations

from manager.config.diagnostics import Diagnostic, Span
from manager.devices import own


def diagnostic(fault: own.Fault, help: str, *named: Span) -> Diagnostic:
    """VM029 for a fault in a device of the user's own; `named` are places in the machine file."""
    if fault.line == own.NOWHERE and named:
        return Diagnostic("VM029", fault.message, named[0], named[1:], help)
    length = fault.length or max(1, len(fault.text.rstrip()) - fault.column + 1)
    span = Span(own.shown(fault.file), fault.line, fault.column, length, fault.text)
    message = f"{fault.message} (in {fault.where})" if fault.where else fault.message
    return Diagnostic("VM029", message, span, named, help)
