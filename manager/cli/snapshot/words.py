# SPDX-License-Identifier: BSD-2-Clause
"""State in the words of the datasheets: names of register bits, and a line about a device.

Works on the named fields that are in a snapshot, and passes over what it does not know: a snapshot
of a newer or older version is shown as far as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from manager.bus.record import NEVER, Plain

Fields = Mapping[str, Any]

_UART = {
    "ier": "RX THRE LINE MODEM",
    "fcr": "FIFO - - DMA - - TRIGGER0 TRIGGER1",
    "lcr": "WLS0 WLS1 STOP2 PARITY EVEN STICK BREAK DLAB",
    "mcr": "DTR RTS OUT1 OUT2 LOOP",
    "msr": "DCTS DDSR TERI DDCD CTS DSR RI DCD",
}
_IRQS = " ".join(f"IR{n}" for n in range(8))
BITS: dict[str, dict[str, str]] = {
    "uart16550": _UART,
    "pic-controller": dict.fromkeys(("pins", "irr", "isr", "imr", "elcr"), _IRQS),
    "port92": {"control": "RESET A20"},
    "acpi-pm": {
        "status": "TMR - - - BM GBL - - PWRBTN",
        "enable": "TMR - - - - GBL - - PWRBTN",
        "control": "SCI_EN BM_RLD",
    },
    "cpu.x86": {
        "rflags": "CF ~ PF - AF - ZF SF TF IF DF OF IOPL0 IOPL1 NT - RF VM AC VIF VIP ID",
        "cr0": "PE MP EM TS ET NE - - - - - - - - - - WP - AM - - - - - - - - - - NW CD PG",
        "cr4": "VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP LA57 - - - FSGSBASE "
        "PCIDE OSXSAVE - SMEP SMAP PKE",
        "efer": "SCE - - - - - - - LME - LMA NXE",
        "xcr0": "X87 SSE AVX",
        "mxcsr": "IE DE ZE OE UE PE DAZ IM DM ZM OM UM PM RC0 RC1 FZ",
    },
}
"""Record type -> field -> names of its bits from bit 0 on; `-` for one without a name, `~` for
one that is always set."""
GPR = ("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", *(f"R{n}" for n in range(8, 16)))
_SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr")


def bits(type: str, field: str, value: Plain) -> str:
    """The names of the bits that are set, or an empty string where bits have no names.

    >>> bits("uart16550", "ier", 3), bits("uart16550", "scr", 3)
    ('RX|THRE', '')
    """
    names = BITS.get(type, {}).get(field, "").split()
    if not names or isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return ""
    found = []
    for n in range(value.bit_length()):
        name = names[n] if n < len(names) else "-"
        if value >> n & 1 and name != "~":
            found.append(f"bit{n}" if name == "-" else name)
    return "|".join(found) or "0"


def amount(value: Plain, unit: str = "") -> str:
    """A plain value for people."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        if unit == "ns" and value == NEVER:
            return "never"
        return f"{value} {unit}" if unit else f"{value:#x}"
    if isinstance(value, bytes):
        more = f"... ({len(value)} bytes)" if len(value) > 32 else ""
        return (value[:32].hex(" ") or "empty") + more
    if isinstance(value, list):
        more = f", ... ({len(value)})" if len(value) > 16 else ""
        return "[" + ", ".join(amount(item, unit) for item in value[:16]) + more + "]"
    return repr(value)


def about(type: str, fields: Fields) -> str:
    """One line on the state of a device; empty for a type that has none."""
    describe = _ABOUT.get(type)
    try:
        return describe(fields) if describe is not None else ""
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return ""


def _uart(fields: Fields) -> str:
    parts = [f"{name.upper()}={bits('uart16550', name, fields[name])}" for name in ("ier", "mcr")]
    lcr = fields["lcr"]
    parity = "OEMS"[lcr >> 4 & 3] if lcr & 8 else "N"
    parts.append(f"{5 + (lcr & 3)}{parity}{2 if lcr & 4 else 1}")
    divisor = fields["dlm"] << 8 | fields["dll"]
    parts.append(f"divisor {divisor}")
    parts.append("FIFO on" if fields["fcr"] & 1 else "FIFO off")
    count = len(fields["received"])
    parts.append(f"{count} byte{'' if count == 1 else 's'} in RX FIFO")
    parts += [
        text
        for name, text in (
            ("thre_pending", "THRE interrupt pending"),
            ("timeout_pending", "time-out pending"),
            ("overrun", "overrun"),
        )
        if fields[name]
    ]
    return ", ".join(parts)


def _pci_uart(fields: Fields) -> str:
    return _uart(fields["uart"])


def _pic(fields: Fields) -> str:
    parts = []
    for name in ("master", "slave"):
        chip = fields[name]
        registers = [
            f"{key.upper()}={bits('pic-controller', key, chip[key])}"
            for key in ("irr", "isr", "imr")
        ]
        parts.append(f"{name} at vector {chip['vector']:#x} {' '.join(registers)}")
    return "; ".join(parts)


def _pit(fields: Fields) -> str:
    counters = [
        f"counter {n}: mode {one['mode']}, reload {one['reload'] or 0x10000}"
        for n, one in enumerate(fields["counters"])
        if one["loaded"]
    ]
    return "; ".join([*counters, f"IRQ 0 {'high' if fields['irq_level'] else 'low'}"])


def _rtc(fields: Fields) -> str:
    cmos = fields["cmos"]
    return f"index {fields['index']:#x}, register B {cmos[0xB]:#x}, C {cmos[0xC]:#x}"


def _keyboard(fields: Fields) -> str:
    waiting = f"{fields['output']:#x} waits" if fields["output_full"] else "output empty"
    return f"{waiting}, A20 {'open' if fields['a20'] else 'closed'}"


def _lapic(fields: Fields) -> str:
    timer = fields["timer"]
    vectors = [f"{n:#x}" for n in range(256) if fields["irr"][n >> 3] >> (n & 7) & 1]
    serving = [f"{n:#x}" for n in range(256) if fields["isr"][n >> 3] >> (n & 7) & 1]
    return (
        f"{'on' if fields['svr'] >> 8 & 1 else 'off'}, TPR {fields['tpr']:#x}, "
        f"requested {' '.join(vectors) or 'none'}, in service {' '.join(serving) or 'none'}, "
        f"timer {amount(timer['deadline'], 'ns')}"
    )


def _cpu(fields: Fields) -> str:
    mode = "real mode"
    if fields["efer"] >> 10 & 1:
        mode = "64-bit mode" if fields["cs"]["attributes"] >> 21 & 1 else "compatibility mode"
    elif fields["cr0"] & 1:
        mode = "protected mode"
    level = fields["cs"]["selector"] & 3
    where = f"{fields['cs']['selector']:04x}:{fields['rip']:x}"
    return f"{mode}, ring {level}, at {where}{', halted' if fields['halted'] else ''}"


def _serial(fields: Fields) -> str:
    count = len(fields["pending"])
    return f"{count} bytes of input on their way" if count else "no input on its way"


_ABOUT: dict[str, Callable[[Fields], str]] = {
    "uart16550": _uart,
    "pci-uart": _pci_uart,
    "pic": _pic,
    "pit": _pit,
    "rtc": _rtc,
    "keyboard": _keyboard,
    "lapic": _lapic,
    "cpu.x86": _cpu,
    "serial-port": _serial,
}


def registers(fields: Fields) -> Iterator[str]:
    """The registers of an x86 CPU, several to a line."""
    try:
        values = [*zip(GPR, fields["gpr"], strict=True), ("RIP", fields["rip"])]
        for start in range(0, len(values), 4):
            row = values[start : start + 4]
            yield "  ".join(f"{name:>3}={value:016x}" for name, value in row)
        for name in ("rflags", "cr0", "cr4", "efer"):
            value = fields[name]
            yield f"{name.upper()}={value:#x} {bits('cpu.x86', name, value)}"
        yield f"CR2={fields['cr2']:#x}  CR3={fields['cr3']:#x}"
        for name in _SEGMENTS:
            one = fields[name]
            yield (
                f"{name.upper()}={one['selector']:04x} base={one['base']:#x} "
                f"limit={one['limit']:#x} attributes={one['attributes']:#x}"
            )
        for name in ("gdtr", "idtr"):
            yield f"{name.upper()} base={fields[name]['base']:#x} limit={fields[name]['limit']:#x}"
    except (KeyError, TypeError, ValueError):
        return
