"""One setting of a study: its type, allowed range, unit and source, and the sentence that refuses a wrong value.

Standard library only, so that a study file is checked before anything heavy is loaded.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar

from microct.status import StudyError

#: Stands at the end of every source that was not checked against the publication itself.
UNVERIFIED = "(unverified)"


@dataclass(frozen=True)
class Rule:
    """What a setting may be.

    Attributes:
        kind: what the user must write, in words: "number", "whole number", "true or false", "text" ...
        read: turns the raw value into the stored one; raises `ValueError` (any text) where the type is wrong.
        meaning: one line.
        unit: as it is printed, "" where there is none.
        low, high: inclusive bounds, None where there is none.
        usual: the range that is met in practice, without the unit.
        choices: the words allowed, for a choice.
        source: where the default comes from.
        optional: whether the setting may be left out (None).
    """

    kind: str
    read: Callable[[object], object]
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    usual: str = ""
    choices: tuple[str, ...] = ()
    source: str = ""
    optional: bool = False

    @property
    def allowed(self) -> str:
        """The allowed values in words, with unit: "a number from 0 to 100 yr"."""
        if self.choices:
            return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)
        article = "" if self.kind.startswith(("text", "true", "three", "a ")) else "a "
        bounds = f" from {self.low:.10g} to {self.high:.10g}" if self.low is not None and self.high is not None else ""
        return f"{article}{self.kind}{bounds}" + (f" {self.unit}" if self.unit else "")

    def checked(self, where: str, value: object) -> object:
        """Return ``value`` as it is stored, or raise `StudyError` naming place, value, range, unit."""
        value = as_python(value)
        if value is None and self.optional:
            return None
        try:
            stored = self.read(value)
        except (ValueError, TypeError, OverflowError) as problem:
            raise StudyError(self._refusal(where, value, str(problem))) from None
        if self.choices and stored not in self.choices:
            raise StudyError(self._refusal(where, value, did_you_mean(str(stored), self.choices)))
        if isinstance(stored, int | float) and not isinstance(stored, bool):
            too_low = self.low is not None and stored < self.low
            too_high = self.high is not None and stored > self.high
            if too_low or too_high or not math.isfinite(stored):
                raise StudyError(self._refusal(where, value, ""))
        return stored

    def _refusal(self, where: str, value: object, hint: str) -> str:
        usual = f" (usual: {self.usual}{' ' + self.unit if self.unit else ''})" if self.usual else ""
        hint = f"; {hint}" if hint else ""
        return f"{where} = {shown(value)}: expected {self.allowed}{usual}{hint}"


def shown(value: object) -> str:
    """``value`` as a study file would write it, shortened to 60 characters."""
    text = {True: "true", False: "false", None: "nothing"}.get(value) if isinstance(value, bool | None) else None
    text = text or (_quoted(value) if isinstance(value, str) else " ".join(repr(value).split()))
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'did you mean "years"?', or "" where nothing known is close."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else ""


def as_python(value: object) -> object:
    """Numbers, flags and arrays of NumPy (or of what copies it) as Python's own, inside of lists too."""
    if isinstance(value, list | tuple):
        return [as_python(item) for item in value]
    if callable(getattr(type(value), "tolist", None)):
        return value.tolist()  # type: ignore[attr-defined]
    return value


def as_number(value: object) -> float:
    """An int or a float, never a bool, as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        if isinstance(value, str) and _is_numeral(value):
            raise ValueError("write the number without quotes")
        raise ValueError("")
    return float(value)


def as_whole(value: object) -> int:
    """An int, or a float without a fraction, never a bool."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else as_number(value)
    if int(number) != number:
        raise ValueError("")
    return int(number)


def as_flag(value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError("write true or false, without quotes" if isinstance(value, str) else "")
    return value


def as_text(value: object) -> str:
    """Text that can be written into a UTF-8 file."""
    if not isinstance(value, str):
        raise ValueError("write it in quotes")
    value.encode("utf-8")  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return value


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def setting(default: object, rule: Rule) -> Any:
    """A dataclass field that carries its rule."""
    return field(default=default, metadata={"rule": rule})


def number(default: float | None, meaning: str, **rule: Any) -> Any:
    """A real number; None as the default makes it optional."""
    return setting(default, Rule("number", as_number, meaning, optional=default is None, **rule))


def whole(default: int, meaning: str, **rule: Any) -> Any:
    """A whole number."""
    return setting(default, Rule("whole number", as_whole, meaning, **rule))


def flag(default: bool, meaning: str, **rule: Any) -> Any:
    """True or false."""
    return setting(default, Rule("true or false", as_flag, meaning, **rule))


def choice(default: str, choices: tuple[str, ...], meaning: str, **rule: Any) -> Any:
    """One word out of a few."""
    return setting(default, Rule("text", as_text, meaning, choices=choices, **rule))


def text(default: str | None, meaning: str, **rule: Any) -> Any:
    """Free text; None as the default makes it optional."""
    return setting(default, Rule("text in quotes", as_text, meaning, optional=default is None, **rule))


@dataclass(frozen=True)
class Section:
    """A section of a study file: every field carries a `Rule`, and is checked however the section is made."""

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = rule_of(item).checked(f"{self.section}.{item.name}", getattr(self, item.name))
            object.__setattr__(self, item.name, value)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the settings, in order."""
        return tuple(item.name for item in fields(cls))

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Section:
        """Make the section from a mapping; a key that it does not have is refused."""
        if not isinstance(values, Mapping):
            raise StudyError(
                f"{cls.section} = {shown(values)}: expected a section; write [{cls.section}] on a line of its own"
            )
        for key in values:
            if key not in cls.names():
                hint = did_you_mean(str(key), cls.names()) or "it has " + ", ".join(cls.names())
                raise StudyError(f'unknown key "{key}" in [{cls.section}]; {hint}')
        return cls(**values)

    def written(self) -> dict[str, object]:
        """Plain values by name; what was left out (None) is left out."""
        return {key: plain(getattr(self, key)) for key in self.names() if getattr(self, key) is not None}


def rule_of(item: Field[Any]) -> Rule:
    """The rule that a field carries."""
    rule: Rule = item.metadata["rule"]
    return rule


def plain(value: object) -> object:
    """Tuples as lists, all else as it is."""
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def toml_value(value: object) -> str:
    """A value in TOML's notation."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return repr(value)


def _quoted(value: str) -> str:
    """A TOML basic string: control characters, quotes and backslashes escaped."""
    escapes: dict[str, str | int | None] = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    control: dict[str, str | int | None] = {
        char: f"\\u{ord(char):04X}" for char in map(chr, (*range(0x20), 0x7F)) if char not in escapes
    }
    return '"' + value.translate(str.maketrans({**escapes, **control})) + '"'
