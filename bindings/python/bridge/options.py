"""What an argument may be: each check names it, and says what is expected.

A value of a wrong type is a `TypeError`, a wrong value an `InvalidError`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from math import ceil
from typing import NoReturn

from . import core as _core
from .errors import InvalidError, RangeError

__all__: list[str] = []

ITEMS_MAX: int = _core.QUEUE_ITEMS_MAX
QUEUE_BYTES_MAX = 2**39
SIZE_MAX = 2**64 - 1
PROCESSORS = 64

STOPS: dict[str, int] = {
    "cooperative": _core.STOP_COOPERATIVE,
    "prompt": _core.STOP_PROMPT,
    "strict": _core.STOP_STRICT,
}

_UNITS: dict[str, int] = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}


def _type(what: str, expected: str, value: object) -> NoReturn:
    raise TypeError(f"{what} is {expected}, not {value!r}")


def _value(what: str, expected: str, value: object) -> NoReturn:
    raise InvalidError(f"{what} is {expected}, not {value!r}")


def _integer(what: str, expected: str, value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        _type(what, expected, value)
    return operator.index(value)


def check_64_bits(what: str, value: object) -> None:
    """Of a call that was refused: raise what is wrong with a number, if anything is."""
    whole = _integer(what, "a whole number", value)
    if not -(2**63) <= whole < 2**63:
        raise RangeError(f"{what} is a number of 64 bits, not {value!r}")


def _within(what: str, whole: int, most: int, value: object) -> int:
    if whole < 1 or whole > most:
        plain = whole < 1 and most == SIZE_MAX
        _value(what, "1 or more" if plain else f"1 to {most:,}", value)
    return whole


def number(what: str, value: int | None, most: int) -> int:
    """A number from 1; 0, which the library takes for its default, from None."""
    if value is None:
        return 0
    return _within(what, _integer(what, "a whole number", value), most, value)


def size(what: str, value: int | str | None, most: int) -> int:
    """Bytes, from a number or a text like "64MiB"; 0 from None."""
    if value is None:
        return 0
    expected = "bytes or a text like '64MiB'"
    if not isinstance(value, str):
        return _within(what, _integer(what, expected, value), most, value)
    match = re.fullmatch(r"\s*([0-9]{1,20})\s*([A-Za-z]*)\s*", value)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        _value(what, expected, value)
    return _within(what, int(match[1]) * unit, most, value)


def memory_size(limit: int | str | None, old: int | str | None) -> int:
    """The limit of memory, by its name or the one that it had before."""
    if limit is not None and old is not None:
        raise InvalidError("memory is the old name of memory_limit: give one of them")
    if old is not None:
        return size("memory", old, SIZE_MAX)
    return size("memory_limit", limit, SIZE_MAX)


def flag(what: str, value: bool) -> bool:
    """A truth value, and not something that only counts as one."""
    if not isinstance(value, bool):
        _type(what, "True or False", value)
    return value


def text(what: str, value: str | bytes | None) -> str | bytes | None:
    """A text that C can have: no NUL is within."""
    if value is None:
        return None
    if not isinstance(value, (str, bytes)):
        _type(what, "a text", value)
    if ("\0" in value) if isinstance(value, str) else (b"\0" in value):
        _value(what, "a text without NULs", value)
    return value


def program(what: str, value: str | bytes) -> str | bytes:
    """The text of a program, with whatever bytes are in it."""
    if not isinstance(value, (str, bytes)):
        _type(what, "a text or bytes", value)
    return value


def chunk(what: str, value: str | bytes | None) -> str | bytes | None:
    """The text of a program, or None."""
    return None if value is None else program(what, value)


def names(what: str, value: str | Iterable[str] | None) -> str | None:
    """Names with commas between them, or a row of names; None for all."""
    expected = "None, or names in a text or a list"
    if value is not None and not isinstance(value, str):
        if isinstance(value, bytes) or not isinstance(value, Iterable):
            _type(what, expected, value)
        row = list(value)
        if not all(isinstance(each, str) for each in row):
            _type(what, expected, row)
        value = ",".join(row)
    if value is not None and "\0" in value:
        _value(what, "names without NULs", value)
    return value


def choice(what: str, value: str, choices: dict[str, int]) -> int:
    """The number of one of some names."""
    expected = "one of " + ", ".join(map(repr, choices))
    if not isinstance(value, str):
        _type(what, expected, value)
    if value not in choices:
        _value(what, expected, value)
    return choices[value]


def seconds(what: str, value: float | None) -> float | None:
    """How long to wait; None is for ever."""
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not (
        hasattr(value, "__float__") or hasattr(value, "__index__")
    ):
        _type(what, "None or seconds", value)
    if not value >= 0:  # also what is no number
        _value(what, "None or seconds from 0", value)
    return value


def milliseconds(value: float | None) -> int:
    """For the library; what is longer than 24 days takes 24 days."""
    most = 2**31 - 1
    return most if value is None or value * 1000 >= most else ceil(value * 1000)


def limit(what: str, value: float | None) -> int:
    """Milliseconds that something may take at most; 0, which is no limit, from
    None."""
    if value is None:
        return 0
    if isinstance(value, bool):
        _type(what, "None or seconds", value)
    checked = seconds(what, value)
    if not checked:
        _value(what, "None or seconds above 0", value)
    if checked >= 2**31 / 1000:
        return 0  # 24 days
    return ceil(checked * 1000)  # never sooner than asked


def stop_level(what: str, value: str | None) -> int:
    """How a script is stopped; None for the default."""
    if value is None:
        return _core.STOP_DEFAULT
    return choice(what, value, STOPS)


def processors(what: str, value: Iterable[int] | None) -> int:
    """A bit for each processor; 0, which is all, from None."""
    expected = f"None, or numbers of processors from 0 to {PROCESSORS - 1}"
    if value is None:
        return 0
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        _type(what, expected, value)
    bits = 0
    for each in value:
        at = _integer(what, expected, each)
        if not 0 <= at < PROCESSORS:
            _value(what, expected, each)
        bits |= 1 << at
    if bits == 0:
        _value(what, expected, value)
    return bits
