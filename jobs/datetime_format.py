"""How files write dates and moments: those of Spark's datetime patterns that leave no doubt.

Spark reads the tables, and Python reads the same texts before it (drafts, checks) and in its place
(erasures). So that both read the same, a text must first have the shape of its format, which is one
regular expression for both; then only the calendar decides.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
SHORT = tuple(name[:3] for name in MONTHS)
# No place on earth is further from UTC than 14 hours.
OFFSET = r"(?:0[0-9]|1[0-4])"


@dataclass(frozen=True)
class Sign:
    """What some equal letters of a format stand for.

    Attributes:
        part: of a moment.
        shape: of its text, as a regular expression for Java and for Python.
        is_fixed: whether its digits are always as many.
        ways: the shape of the texts that mean this part of a moment; None if that is not known,
            as of a zone.
    """

    part: str
    shape: str
    is_fixed: bool = True
    ways: Callable[[dt.datetime], str] | None = None

    @property
    def is_digits(self) -> bool:
        return self.shape.endswith("}")


def _number(part: str, of: Callable[[dt.datetime], int]) -> dict[int, Sign]:
    """A part by one letter, with one digit or two, and by two letters, always with two."""
    return {
        1: Sign(part, "[0-9]{1,2}", False, lambda at: f"0?{of(at)}"),
        2: Sign(part, "[0-9]{2}", True, lambda at: f"{of(at):02}"),
    }


def _names(names: tuple[str, ...]) -> Sign:
    return Sign("month", f"(?i:{'|'.join(names)})", True, lambda at: f"(?i:{names[at.month - 1]})")


DAY, HOUR, TWELFTH, MINUTE, SECOND = (
    _number("day", lambda at: at.day),
    _number("hour", lambda at: at.hour),
    _number("twelfth", lambda at: at.hour % 12 or 12),
    _number("minute", lambda at: at.minute),
    _number("second", lambda at: at.second),
)
MONTH = _number("month", lambda at: at.month)
SIGNS = {
    "yyyy": Sign("year", "(?!0000)[0-9]{4}", True, lambda at: f"{at.year:04}"),
    # Of the century that has begun in 2000, as Java has it.
    "yy": Sign("year", "[0-9]{2}", True, lambda at: f"{at.year % 100:02}"),
    "MMMM": _names(MONTHS),
    "MMM": _names(SHORT),
    **{"MM": MONTH[2], "M": MONTH[1], "dd": DAY[2], "d": DAY[1]},
    **{"HH": HOUR[2], "H": HOUR[1], "hh": TWELFTH[2], "h": TWELFTH[1]},
    **{"mm": MINUTE[2], "m": MINUTE[1], "ss": SECOND[2], "s": SECOND[1]},
    "a": Sign("half", "(?i:AM|PM)", True, lambda at: f"(?i:{'AM' if at.hour < 12 else 'PM'})"),
    "XXX": Sign("zone", rf"(?:Z|[+-]{OFFSET}:[0-5][0-9])"),
    "XX": Sign("zone", rf"(?:Z|[+-]{OFFSET}[0-5][0-9])"),
    "Z": Sign("zone", rf"[+-]{OFFSET}[0-5][0-9]"),
    **{"S" * n: Sign("fraction", f"[0-9]{{1,{n}}}", False) for n in range(1, 10)},
}
KNOWN = "yyyy, yy, M, MM, MMM, MMMM, d, dd, H, HH, h, hh, a, m, mm, s, ss, SSS, XXX, XX, Z"
NEEDED = {"year": "yyyy", "month": "M", "day": "d"}
TOKEN = re.compile(r"'[^']+'|([A-Za-z])\1*|[^A-Za-z']")
# What means something else in Java.
RESERVED = "{}#"


@dataclass(frozen=True)
class DatetimeFormat:
    """A format that was looked at.

    Attributes:
        written: as in the use-case file.
        signs: in their order.
        has_zone: whether a text says its zone.
    """

    written: str
    signs: tuple[Sign, ...]

    @property
    def has_zone(self) -> bool:
        return any(sign.part == "zone" for sign in self.signs)

    @cached_property
    def shape(self) -> str:
        """A regular expression that a whole text must match, with a group for each sign."""
        return _joined(self.written, lambda sign: f"({sign.shape})")

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        # As Java does, which knows no other letters that are an S in small.
        return re.compile(self.shape, re.ASCII)

    def naming(self, at: dt.datetime, *, day_only: bool = False) -> str:
        """A regular expression of the texts that mean a moment, or only its day.

        Args:
            at: as it is local to the texts; in UTC where they say their zone.
        """

        def ways(sign: Sign) -> str:
            if sign.ways is None or (day_only and sign.part not in NEEDED):
                return f"(?:{sign.shape})"
            return sign.ways(at)

        return _joined(self.written, ways)

    def read(self, text: str) -> dt.datetime | None:
        """What a text says, aware of its zone if it has one; None if it does not read so."""
        found = self._compiled.fullmatch(text)
        if found is None:
            return None
        parts = {
            sign.part: said
            for sign, said in zip(self.signs, found.groups(), strict=True)
            if said is not None
        }
        try:
            return _moment(parts)
        except ValueError:
            return None


@lru_cache(maxsize=256)
def datetime_format(written: str) -> DatetimeFormat:
    """Look at a format.

    Raises:
        ValueError: it cannot be read, or leaves a doubt; a sentence without its end.
    """
    _require_brackets(written)
    signs = tuple(sign for _, sign in _parts(written) if sign)
    parts = [sign.part for sign in signs]
    if twice := next((part for part in parts if parts.count(part) > 1), None):
        raise ValueError(f"{written!r} has the {_said(twice)} twice")
    always = [sign.part for _, sign in _parts(re.sub(r"\[[^]]*\]", "", written)) if sign]
    for part, letters in NEEDED.items():
        if part not in always:
            raise ValueError(f"{written!r} does not say the {part} ({letters})")
    if ("twelfth" in parts) != ("half" in parts):
        raise ValueError(f"in {written!r} h and a need each other; of 24 hours they are H")
    _require_apart(written)
    return DatetimeFormat(written, signs)


def _parts(written: str) -> Iterator[tuple[str, Sign | None]]:
    """The format piece by piece: what stands for a part has its sign, and other text has none."""
    end = 0
    for found in TOKEN.finditer(written):
        piece = found[0]
        if found.start() != end or piece in RESERVED:
            raise ValueError(f"{written!r} has a {written[end]} too many")
        end = found.end()
        if found[1] and piece not in SIGNS:
            raise ValueError(
                f"{written!r} has {piece!r}, and what is read is {KNOWN}; other text is in quotes, "
                "such as 'T'"
            )
        yield piece, SIGNS.get(piece)
    if end != len(written):
        raise ValueError(f"{written!r} has a {written[end]} too many")


def _joined(written: str, of: Callable[[Sign], str]) -> str:
    """A regular expression of the format, with the signs as they are asked for."""
    brackets = {"[": "(?:", "]": ")?"}
    return "".join(
        of(sign) if sign else brackets.get(piece) or re.escape(piece.strip("'"))
        for piece, sign in _parts(written)
    )


def _require_brackets(written: str) -> None:
    """What need not be there is in pairs of brackets that are no part of one another."""
    outside = re.sub(r"\[[^][]+\]", "", written)
    if "[" in outside or "]" in outside:
        raise ValueError(f"{written!r} has brackets that are no pair, or within others")


def _require_apart(written: str) -> None:
    """Digits whose number is not known cannot be told from those that follow them."""
    before: Sign | None = None
    for piece, sign in _parts(written):
        if piece in ("[", "]"):
            continue
        digits = sign is not None and sign.is_digits
        if before and digits and sign and not (before.is_fixed and sign.is_fixed):
            said = f"the {_said(before.part)} and the {_said(sign.part)} with nothing between them"
            raise ValueError(f"{written!r} has {said}: only letters such as yyyyMMdd can be so")
        before = sign if digits else None


def _said(part: str) -> str:
    return {"twelfth": "hour", "half": "AM or PM"}.get(part, part)


def _moment(parts: dict[str, str]) -> dt.datetime:
    """The moment that texts of its parts say.

    Raises:
        ValueError: there is no such day or time.
    """
    hour = int(parts.get("hour", 0))
    if "half" in parts:
        twelfth = int(parts["twelfth"])
        if not 1 <= twelfth <= 12:
            raise ValueError(f"no clock shows {twelfth}")
        hour = twelfth % 12 + 12 * (parts["half"].upper() == "PM")
    year = parts["year"]
    return dt.datetime(
        int(year) if len(year) == len("yyyy") else 2000 + int(year),
        _month(parts["month"]),
        int(parts["day"]),
        hour,
        int(parts.get("minute", 0)),
        int(parts.get("second", 0)),
        int(parts.get("fraction", "").ljust(6, "0")[:6]),
        _zone(parts["zone"]) if "zone" in parts else None,
    )


def _month(text: str) -> int:
    return int(text) if text.isdigit() else SHORT.index(text[:3].capitalize()) + 1


def _zone(text: str) -> dt.tzinfo:
    if text == "Z":
        return dt.UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = dt.timedelta(hours=hours, minutes=minutes)
    return dt.timezone(-offset if text[0] == "-" else offset)
