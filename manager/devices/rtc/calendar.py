# SPDX-License-Identifier: BSD-2-Clause
"""The time registers of an MC146818: calendar seconds to register bytes and back.

All take the CMOS bytes and register B, whose bits choose the form. Seconds count from
1970-01-01T00:00:00Z. Any register content gives some time; none raises.
"""

from __future__ import annotations

from datetime import date

SECONDS = 0x00
SECONDS_ALARM = 0x01
MINUTES = 0x02
MINUTES_ALARM = 0x03
HOURS = 0x04
HOURS_ALARM = 0x05
WEEKDAY = 0x06  # 1 is Sunday
DAY = 0x07
MONTH = 0x08
YEAR = 0x09
CENTURY = 0x32

TIME_REGISTERS = frozenset((SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY))

B_24H = 0x02
B_BINARY = 0x04
PM = 0x80  # in an hour of the 12-hour form
ANY = 0xC0  # an alarm byte with both top bits set matches every value

DAY_SECONDS = 86_400
EPOCH_DAY = date(1970, 1, 1).toordinal()
FIRST_YEAR, LAST_YEAR = 100, 9_990
EARLIEST = (date(FIRST_YEAR, 1, 1).toordinal() - EPOCH_DAY) * DAY_SECONDS
LATEST = (date(LAST_YEAR + 1, 1, 1).toordinal() - EPOCH_DAY) * DAY_SECONDS


def encode(cmos: bytearray, time: int, reg_b: int) -> None:
    """Put a time into the registers. Beyond EARLIEST and LATEST the date stands still."""
    days, second = divmod(max(EARLIEST, min(time, LATEST)), DAY_SECONDS)
    day = date.fromordinal(EPOCH_DAY + days)
    hour = second // 3600
    cmos[SECONDS] = _code(second % 60, reg_b)
    cmos[MINUTES] = _code(second // 60 % 60, reg_b)
    if reg_b & B_24H:
        cmos[HOURS] = _code(hour, reg_b)
    else:
        cmos[HOURS] = _code((hour + 11) % 12 + 1, reg_b) | (PM if hour >= 12 else 0)
    cmos[WEEKDAY] = _code(day.isoweekday() % 7 + 1, reg_b)
    cmos[DAY] = _code(day.day, reg_b)
    cmos[MONTH] = _code(day.month, reg_b)
    cmos[YEAR] = _code(day.year % 100, reg_b)
    cmos[CENTURY] = _bcd(day.year // 100)


def decode(cmos: bytearray, reg_b: int) -> int:
    """The time that the registers hold. The weekday follows from the date and is not looked at.

    The century is BCD in both forms, as firmware has it. A day, hour, minute or second out of
    range carries over; a month or year out of range is brought to the nearest.
    """
    year = _from_bcd(cmos[CENTURY]) * 100 + _value(cmos[YEAR], reg_b)
    month = min(max(_value(cmos[MONTH], reg_b), 1), 12)
    first = date(min(max(year, FIRST_YEAR), LAST_YEAR), month, 1).toordinal() - EPOCH_DAY
    days = first + _value(cmos[DAY], reg_b) - 1
    hour = _hour(cmos[HOURS], reg_b)
    minute, second = _value(cmos[MINUTES], reg_b), _value(cmos[SECONDS], reg_b)
    time = days * DAY_SECONDS + hour * 3600 + minute * 60 + second
    return min(max(time, EARLIEST), LATEST)


def until_alarm(cmos: bytearray, time: int, reg_b: int) -> int | None:
    """Seconds from `time` to the next that matches the alarm, 0 if `time` does; None if none can.

    At most about 150 steps: whole hours, then minutes, then seconds are passed over.
    """
    bytes_set = cmos[HOURS_ALARM], cmos[MINUTES_ALARM], cmos[SECONDS_ALARM]
    any_hour, any_minute, any_second = (byte >= ANY for byte in bytes_set)
    hour = _hour(bytes_set[0], reg_b)
    minute, second = _value(bytes_set[1], reg_b), _value(bytes_set[2], reg_b)
    if not (
        (any_hour or hour < 24) and (any_minute or minute < 60) and (any_second or second < 60)
    ):
        return None
    at = time
    while True:
        if not any_hour and at // 3600 % 24 != hour:
            at += 3600 - at % 3600
        elif not any_minute and at // 60 % 60 != minute:
            at += 60 - at % 60
        elif not any_second and at % 60 != second:
            at += 1
        else:
            return at - time


def _code(value: int, reg_b: int) -> int:
    return value if reg_b & B_BINARY else _bcd(value)


def _value(byte: int, reg_b: int) -> int:
    return byte if reg_b & B_BINARY else _from_bcd(byte)


def _hour(byte: int, reg_b: int) -> int:
    if reg_b & B_24H:
        return _value(byte, reg_b)
    return _value(byte & ~PM, reg_b) % 12 + (12 if byte & PM else 0)


def _bcd(value: int) -> int:
    return value // 10 << 4 | value % 10


def _from_bcd(byte: int) -> int:
    return (byte >> 4) * 10 + (byte & 0xF)
