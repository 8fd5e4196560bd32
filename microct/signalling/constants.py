"""How a constant is written down: value, unit, meaning, source, whether the source was seen, whether it is fitted.

A family of constants is a frozen dataclass registered as a pytree of floats, so that a new value never recompiles and
a whole ensemble can be mapped over it; the records ride on its fields.

``verified`` means that the number was seen in the source named. A number that is only remembered, assumed or fitted
is not verified; where nothing was seen at all, the source says "unverified".
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from microct.status import StudyError

ASSUMED = "unverified: assumption of this model"


@dataclass(frozen=True)
class Constant:
    """One constant: its name, value, unit ("1" if none), meaning, source, and its standing."""

    name: str
    value: float
    unit: str
    meaning: str
    source: str
    verified: bool
    fitted: bool


def constant(
    value: float, unit: str, meaning: str, source: str = ASSUMED, *, verified: bool = False, fitted: bool = False
) -> float:
    """A dataclass field that carries its record."""
    record = {"unit": unit, "meaning": meaning, "source": source, "verified": verified, "fitted": fitted}
    return dataclasses.field(default=value, metadata=record)  # type: ignore[no-any-return]


def records(family: Any, before: str = "") -> Iterator[Constant]:
    """The record of every constant of a family, in order; families within it are named ``outer.inner``."""
    for field in dataclasses.fields(family):
        value = getattr(family, field.name)
        if dataclasses.is_dataclass(value):
            yield from records(value, f"{before}{field.name}.")
        else:
            yield Constant(name=before + field.name, value=value, **field.metadata)


def refuse_impossible(family: Any, before: str = "") -> None:
    """Refuse a constant that is not finite or is negative.

    Raises:
        StudyError: with the name, the value, and the usual value.
    """
    for one in records(family, before):
        value = float(one.value)
        if not math.isfinite(value) or value < 0:
            usual = {other.name: other.value for other in records(type(family)(), before)}[one.name]
            raise StudyError(f"{one.name} must be finite and not negative, got {value:g} (usual: {usual:g})")


def in_unit(family: Any, unit: str) -> list[float]:
    """The values of every constant of a family that has a unit."""
    return [float(one.value) for one in records(family) if one.unit == unit]
