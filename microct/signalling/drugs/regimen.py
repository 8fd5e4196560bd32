"""How a drug is usually given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Regimen:
    """The usual dose and the usual time between two of them; ``route`` and ``source`` for the documents."""

    dose: float
    unit: str
    interval_d: float
    route: str
    source: str
