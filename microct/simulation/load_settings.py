"""The section [load] of a study: whether, how and when load is felt by the bone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from microct.simulation.settings import Rule, Section, as_number, choice, flag, number, setting, shown
from microct.status import StudyError

AXES = ("none", "z", "y", "x", "estimated")


def _as_activity(value: object) -> tuple[tuple[float, float], ...]:
    """Pairs (year, activity), in order of time."""
    pairs = [tuple(pair) for pair in value] if isinstance(value, list | tuple) else []  # type: ignore[arg-type]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError("for instance [[0, 1.0], [5, 0.3], [5.5, 1.0]]")
    numbers = tuple((as_number(year), as_number(factor)) for year, factor in pairs)
    if any(not 0.0 <= factor <= 5.0 for _, factor in numbers):
        raise ValueError("each activity must be from 0 to 5")
    if any(later[0] <= earlier[0] for earlier, later in pairwise(numbers)):
        raise ValueError("years must rise")
    return numbers


@dataclass(frozen=True)
class Load(Section):
    """Load in the loop: micro-FE from time to time, and a bone that follows it."""

    section: ClassVar[str] = "load"

    axis: str = choice(
        "none",
        AXES,
        'axis of the daily compression; "estimated": along all three, so that the bone is loaded as evenly as can be; '
        '"none": load is not felt',
        source="estimate: after Christen et al. 2012",
    )
    every_months: float = number(
        6.0, "time between two solutions of micro-FE", unit="month", low=0.25, high=120, usual="1 to 12"
    )
    activity: tuple[tuple[float, float], ...] = setting(
        ((0.0, 1.0),),
        Rule(
            "list of pairs [year, activity]", _as_activity,
            "load relative to the usual, from each year on: 0.3 for bed rest, 1.5 for training",
        ),
    )  # fmt: skip
    turned_axis: str = choice("none", ("none", "z", "y", "x"), "axis to which the load turns, if it does")
    turned_at_years: float = number(0.0, "year in which it turns", unit="yr", low=0, high=100, usual="0 to 10")
    lazy_zone: float = number(
        0.2, "share by which the stimulus may differ from the set point without an answer", low=0, high=0.9,
        usual="0.1 to 0.3", source="coupled models of the mechanostat; not fitted (unverified)",
    )  # fmt: skip
    saturation: float = number(
        3.0, "stimulus, relative to the set point, beyond which more load adds no more bone", low=1.5, high=20,
        usual="2 to 5", source="piecewise linear with saturation: Marques et al. 2023; the value is ours, not fitted",
    )  # fmt: skip
    births_gain: float = number(
        2.5, "births added where nothing is felt, relative to the demand", low=0, high=2.9, usual="1 to 2.5",
        source="ours, not fitted",
    )  # fmt: skip
    wall_loss: float = number(
        0.15, "share of the wall that is not refilled where nothing is felt", low=0, high=0.9, usual="0.05 to 0.2",
        source="ours, not fitted",
    )  # fmt: skip
    wall_gain: float = number(
        0.2, "share of the wall that is added at saturation", low=0, high=0.25, usual="0.05 to 0.2",
        source="ours, not fitted",
    )  # fmt: skip
    estrogen_share: float = number(
        0.67, "share of the answer to overload that needs estrogen: it is lost where none is left", low=0, high=1,
        usual="0 to 0.7", source="Lee et al. 2003: a third is left in female mice without ER-alpha (unverified)",
    )  # fmt: skip
    sensing_um: float = number(
        150.0, "distance over which osteocytes feel (standard deviation)", unit="um", low=10, high=1000,
        usual="100 to 200", source="Mullender, Huiskes 1995: 100 um (unverified)",
    )  # fmt: skip
    mineral: bool = flag(
        False,
        "whether micro-FE knows the mineral of tissue: young bone is softer, old bone stiffer than the scan's was",
        source="calcium by age of tissue, modulus by calcium: docs/science-tissue.md",
    )
    strength: bool = flag(False, "whether stiffness and failure load are reported at every reporting time")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.turned_axis != "none" and self.axis == "none":
            raise StudyError(
                f"load.turned_axis = {shown(self.turned_axis)}: expected load.axis too, from which the load turns"
            )

    @property
    def felt(self) -> bool:
        """Whether load is in the loop at all."""
        return self.axis != "none"

    def anabolic(self, estradiol: float) -> float:
        """Share of the answer to overload that is given, for estradiol relative to health."""
        return 1.0 - self.estrogen_share * (1.0 - min(max(estradiol, 0.0), 1.0))

    def activity_at(self, year: float) -> float:
        """Load relative to the usual; before the first pair that of the first."""
        found = self.activity[0][1]
        for start, factor in self.activity:
            if year >= start:
                found = factor
        return found
