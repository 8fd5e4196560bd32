"""Numbers out of text headers (NRRD, MetaImage): strict, bounded, each refusal naming the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from microct.io.source import MAX_HEADER_BYTES, opened, refusal
from microct.status import InputError

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?|[+-]?(nan|inf(inity)?)", re.IGNORECASE)


def beginning(path: Path) -> bytes:
    """The first `MAX_HEADER_BYTES` of a file."""
    with opened(path) as stream:
        return stream.read(MAX_HEADER_BYTES)


class Fields:
    """The fields of one header, by name, with typed access.

    Attributes:
        name: the file's name, for errors.
        entries: field name -> text.
        labels: field name -> how the format spells it, for errors.
    """

    def __init__(self, name: str, entries: Mapping[str, str], labels: Mapping[str, str]) -> None:
        self.name = name
        self.entries = entries
        self.labels = labels

    def refuse(self, key: str, expected: str, given: object) -> InputError:
        """The error that names the file and the field."""
        return refusal(self.name, self.labels.get(key, key), expected, given)

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def text(self, key: str, default: str | None = None) -> str:
        """The field's text; `InputError` where it is missing and there is no default."""
        if key in self.entries:
            return self.entries[key]
        if default is None:
            raise self.refuse(key, "this field in the header", "none")
        return default

    def choice(self, key: str, allowed: Mapping[str, object], default: str | None = None, expected: str = "") -> object:
        """``allowed[text]``, without regard to case; ``expected`` says in short what is allowed."""
        text = self.text(key, default)
        if text.lower() not in allowed:
            raise self.refuse(key, expected or "one of " + ", ".join(allowed), repr(text))
        return allowed[text.lower()]

    def whole(self, key: str, default: int | None = None) -> int:
        """One whole number."""
        if key not in self.entries and default is not None:
            return default
        return self.wholes(key, 1)[0]

    def wholes(self, key: str, count: int) -> tuple[int, ...]:
        """``count`` whole numbers."""
        words = self.text(key).split()
        if len(words) != count or not all(_WHOLE.fullmatch(word) for word in words):
            raise self.refuse(key, f"{count} whole number{'s'[: count - 1]}", repr(self.text(key)))
        return tuple(int(word) for word in words)

    def reals(self, key: str, count: int) -> tuple[float, ...]:
        """``count`` numbers, NaN and infinity included (the caller judges them)."""
        return self.parsed(key, self.text(key), count)

    def parsed(self, key: str, text: str, count: int) -> tuple[float, ...]:
        """``count`` numbers out of ``text``, which came from field ``key``."""
        words = text.split()
        if len(words) != count or not all(_REAL.fullmatch(word) for word in words):
            raise self.refuse(key, f"{count} numbers", repr(text))
        return tuple(float(word) for word in words)
