"""The sections [modeling] and [compartments] of a study: formation without resorption, and where the cortex is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microct.simulation.settings import UNVERIFIED, Section, choice, flag, number, shown, text
from microct.status import StudyError


@dataclass(frozen=True)
class Modeling(Section):
    """Formation on quiescent surface, without resorption before it."""

    section: ClassVar[str] = "modeling"

    drug: bool = flag(True, "whether it answers to drugs (romosozumab, teriparatide)")
    load_um_per_year: float = number(
        6.0, "bone formed in a year at saturation of the stimulus, where load is felt; 0: none", unit="um/yr",
        low=0, high=200, usual="2 to 30",
        source="set so that some 4 % of an untreated woman's formation is modeling; of surface 3.8 %: Eriksen 2022",
    )  # fmt: skip
    packet_um: float = number(
        30.0, "mean thickness that one site forms", unit="um", low=5, high=60, usual="20 to 40",
        source=f"ours {UNVERIFIED}: packets without scalloped reversal line are thinner than walls of remodeling",
    )  # fmt: skip


@dataclass(frozen=True)
class Compartments(Section):
    """Where the cortex is, and how it turns over beside trabecular bone; all values relative to healthy trabeculae."""

    section: ClassVar[str] = "compartments"

    find: str = choice(
        "none", ("none", "scan"), "whether the cortex is looked for; bone that has none is all trabecular"
    )
    mask: str | None = text(None, "file whose nonzero voxels are cortex, pores included; instead of find")
    thickest_trabecula_um: float = number(
        450.0, "bone that is thicker, its pores closed, is cortex", unit="um", low=100, high=2000, usual="400 to 600",
        source="ours; dual-threshold contours of HR-pQCT close pores alike: Buie et al. 2007",
    )  # fmt: skip
    widest_pore_um: float = number(
        200.0, "pores that are closed before cortex is looked for", unit="um", low=0, high=1000, usual="100 to 300",
        source="ours",
    )  # fmt: skip
    inner_um: float = number(
        100.0, "depth of cortex that counts as endocortical, or as periosteal", unit="um", low=20, high=500,
        usual="60 to 150", source="ours: about two erosion depths",
    )  # fmt: skip
    endocortical_births: float = number(
        1.85, "activation frequency of endocortical surface", low=0, high=20, usual="1 to 2.5",
        source="FRAME biopsies: ES/BS 6.3 % endocortical, 3.4 % cancellous",
    )  # fmt: skip
    intracortical_births: float = number(
        0.75, "activation frequency of the surface of canals", low=0, high=20, usual="0.5 to 2",
        source="tuned: lowered from 1.5, with which a made shaft went from 9 to 29 % porosity in 17 years, to 2 to 3 % "
        f"of the cortex a year {UNVERIFIED}; Agerbaek 1991: 7, unit in doubt",
    )  # fmt: skip
    periosteal_births: float = number(
        0.2, "activation frequency of periosteal surface", low=0, high=20, usual="0.1 to 0.5", source="ours"
    )
    endocortical_depth: float = number(
        1.0, "erosion depth and wall thickness of endocortical surface", low=0.2, high=3, usual="0.8 to 1.3",
        source="ours",
    )  # fmt: skip
    intracortical_depth: float = number(
        1.3, "erosion depth and wall thickness in canals", low=0.2, high=3, usual="1 to 1.6",
        source="Agerbaek 1991: osteons 76 um deep with a canal of 14.5 um radius, wall 62 um",
    )  # fmt: skip
    periosteal_depth: float = number(
        1.0, "erosion depth and wall thickness of periosteal surface", low=0.2, high=3, usual="0.8 to 1.3",
        source="ours",
    )  # fmt: skip

    cutting_cones: bool = flag(
        False, "whether osteonal BMUs renew the canals, tunneling along the bone's axis, instead of BMUs of surface"
    )
    osteon_axis: str = choice("z", ("z", "y", "x"), "axis of the bone, along which they tunnel")
    osteon_radius_um: float = number(
        76.0, "radius of an osteon's cement line, in health", unit="um", low=20, high=200, usual="70 to 110",
        source="Agerbaek 1991: erosion depth 76 um",
    )  # fmt: skip
    osteon_wall_um: float = number(
        62.0, "wall of an osteon, in health", unit="um", low=1, high=200, usual="50 to 80",
        source="Agerbaek 1991; the rest is the canal",
    )  # fmt: skip
    osteon_length_um: float = number(
        1200.0, "length of an osteon", unit="um", low=100, high=10000, usual="1000 to 4000",
        source="40 um a day through the resorption period",
    )  # fmt: skip
    osteon_rate_um_per_day: float = number(
        40.0, "speed at which the tip of a cutting cone travels along the axis", unit="um/day", low=1, high=1000,
        usual="20 to 60", source="Jaworski, Lok 1972: 39 (SD 14), rib of dogs",
    )  # fmt: skip
    osteon_resorption_days: float = number(
        27.0, "time in which a slice of a tunnel is cut, from its middle to the cement line", unit="day", low=1,
        high=200, usual="20 to 40", source="Agerbaek 1991",
    )  # fmt: skip
    osteon_formation_days: float = number(
        89.0, "time in which a slice of a tunnel closes to its canal", unit="day", low=1, high=400, usual="60 to 120",
        source="Agerbaek 1991; reversal is remodeling.reversal_days",
    )  # fmt: skip
    endocortical_cones: float = number(
        0.3, "cutting cones that start from endocortical surface, relative to those of as much surface of canals",
        low=0, high=1, usual="0 to 1", source="ours, not fitted",
    )  # fmt: skip
    canal_radius_um: float = number(
        25.0, "mean radius of the canals of the scan, by which their surface becomes length", unit="um", low=5,
        high=200, usual="20 to 40", source="ours",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cutting_cones and not self.wanted:
            raise StudyError('compartments.cutting_cones = true: expected find = "scan" or a mask too, for the cortex')
        if self.mask is not None and self.find != "none":
            raise StudyError(
                f"compartments.mask = {shown(self.mask)} and compartments.find = {shown(self.find)}: "
                "expected one of the two"
            )

    @property
    def wanted(self) -> bool:
        """Whether there may be a cortex at all."""
        return self.find != "none" or self.mask is not None

    @property
    def relative(self) -> tuple[tuple[float, float], ...]:
        """(births, depth) of endocortical, intracortical and periosteal surface, relative to trabeculae."""
        return (
            (self.endocortical_births, self.endocortical_depth),
            (self.intracortical_births, self.intracortical_depth),
            (self.periosteal_births, self.periosteal_depth),
        )
