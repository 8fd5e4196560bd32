"""One drug of a study: which, from when, how often, until when, with which holidays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from microct.simulation.settings import (
    UNVERIFIED,
    Rule,
    Section,
    as_number,
    as_text,
    number,
    setting,
    shown,
)
from microct.status import StudyError

DRUG_NAMES = ("alendronate", "zoledronate", "denosumab", "teriparatide", "romosozumab", "raloxifene", "hrt")


def _as_holidays(value: object) -> tuple[tuple[float, float], ...]:
    """Pairs (from, until) in years."""
    pairs = [tuple(pair) for pair in value] if isinstance(value, list | tuple) else None  # type: ignore[arg-type]
    if pairs is None or any(len(pair) != 2 for pair in pairs):
        raise ValueError("for instance [[5, 7]]")
    numbers = tuple((as_number(begin), as_number(end)) for begin, end in pairs)
    if any(not begin <= end for begin, end in numbers):
        raise ValueError("a holiday must end after it begins")
    return numbers


@dataclass(frozen=True)
class Drug(Section):
    """One drug that is given; several tables make a combination or a sequence."""

    section: ClassVar[str] = "drug"

    name: str = setting("", Rule("text", as_text, "which drug", choices=DRUG_NAMES))
    start_years: float = number(
        0.0, "first dose, after the start of the study; negative: she comes with it", unit="yr", low=-60, high=100,
        usual="0 to 10",
    )  # fmt: skip
    stop_years: float | None = number(
        None, "no dose from here on; left out, it is never stopped", unit="yr", low=-60, high=100, usual="1 to 10"
    )
    interval_days: float | None = number(
        None, "time between two doses; left out, the usual one of the drug", unit="day", low=1, high=7305,
        usual="1 to 365", source=f"labels of the drugs {UNVERIFIED}",
    )  # fmt: skip
    dose: float = number(
        1.0, "in usual doses; 0 is no treatment, to the last bit", low=0, high=20, usual="1",
        source="70 mg alendronate, 5 mg zoledronate, 60 mg denosumab, 20 ug teriparatide, 210 mg romosozumab, "
        f"60 mg raloxifene, 0.625 mg estrogens {UNVERIFIED}",
    )  # fmt: skip
    holidays: tuple[tuple[float, float], ...] = setting(
        (), Rule("list of pairs [from, until] in yr", _as_holidays, "times without a dose")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stop_years is not None and self.stop_years < self.start_years:
            raise StudyError(
                f"drug.stop_years = {shown(self.stop_years)}: expected at least drug.start_years = {self.start_years:g}"
            )


def drugs_of(value: object) -> tuple[Drug, ...]:
    """The drugs of a study from what the file holds: a list of tables.

    Raises:
        StudyError: not a list of tables, or a drug that is refused.
    """
    tables = [value] if isinstance(value, Mapping) else value
    if not isinstance(tables, list | tuple):
        raise StudyError(f"drug = {shown(value)}: expected tables; write [[drug]] on a line of its own")
    return tuple(one if isinstance(one, Drug) else _drug(one) for one in tables)


def _drug(values: object) -> Drug:
    made = Drug.from_dict(values)  # type: ignore[arg-type]
    assert isinstance(made, Drug)
    return made
