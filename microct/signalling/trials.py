"""Published trials of the drugs, run on the model: who was treated how, what was measured, how far off we may be.

Every outcome says whether a constant was fitted to it ("fitted"), whether it steered a choice without being the
criterion ("in view"), or neither ("held out"). Ages of the women are rounded means of the trials, seen for yearly
zoledronate, denosumab, romosozumab, and hormone replacement at 56 and 63, else unverified; all had their final period
at 51.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from microct.signalling.cell_course import CellCourse, course
from microct.signalling.drugs.schedule import Treatment
from microct.signalling.patient import Patient

MENOPAUSE_AGE_YR = 51.0
LEAD_YR = 1.0  # of the course before the first dose
BMD_BAND = 0.30  # of the effect
MARKER_BAND = 0.30
BIRTHS_BAND = 0.25


@dataclass(frozen=True)
class Outcome:
    """One number of a trial.

    Attributes:
        symbol: CTX, P1NP, LS.BMD, TH.BMD, TMD or Ac.f.
        month: after the first dose.
        percent: what the trial reports.
        versus: "baseline", "placebo", or the name of another arm of `ARMS`.
        role: "fitted", "in view" or "held out".
        source: with "(unverified)" where the number is only remembered.
        low, high: band; NaN: 30 % of the effect, 25 % for Ac.f.
        extreme: "max" or "min" of the months ``month`` to ``until`` instead of one month.
    """

    symbol: str
    month: float
    percent: float
    versus: str
    role: str
    source: str
    low: float = float("nan")
    high: float = float("nan")
    extreme: str = ""
    until: float = 0.0

    @property
    def band(self) -> tuple[float, float]:
        """Lowest and highest value that counts as met."""
        if not np.isnan(self.low):
            return self.low, self.high
        share = {"Ac.f": BIRTHS_BAND, "CTX": MARKER_BAND, "P1NP": MARKER_BAND}.get(self.symbol, BMD_BAND)
        width = share * abs(self.percent)
        return self.percent - width, self.percent + width


@dataclass(frozen=True)
class Arm:
    """Women of one age, what they are given from month 0 on, and what was seen."""

    name: str
    age_yr: float
    treatments: tuple[Treatment, ...]
    outcomes: tuple[Outcome, ...] = ()


def given(drug: str, start_yr: float = 0.0, stop_yr: float | None = None, **more: float) -> Treatment:
    """A treatment that starts ``start_yr`` years after the trial did."""
    stop = None if stop_yr is None else LEAD_YR + stop_yr
    return Treatment(drug, LEAD_YR + start_yr, stop, **more)  # type: ignore[arg-type]


_BASE, _PLACEBO, _FIT, _VIEW, _HELD = "baseline", "placebo", "fitted", "in view", "held out"
_REID = "biopsies, Reid 2010"
_FREEDOM = "FREEDOM"
_STOP = (
    "Cummings 2018: markers above baseline 6 months after a missed dose; x1.5 to 2 of baseline, Bone 2011 (unverified)"
)
_GREY = "Grey 2017"
_MIYAUCHI = "Miyauchi, as quoted in a later paper (second hand)"
_CHAVASSIEUX = "FRAME biopsies, Chavassieux 2019"
_GREENSPAN = "serum CTX of women of 70, Greenspan 2000"
_LABEL = "label of romosozumab"
_COSMAN = "FRAME against its extension, Cosman 2024"

ARMS: tuple[Arm, ...] = (
    Arm("alendronate, 3 yr", 64, (given("alendronate"),), (
        Outcome("Ac.f", 24, -87, _PLACEBO, _FIT, "biopsies, Chavassieux 1997"),
        Outcome("LS.BMD", 36, 8.8, _PLACEBO, _HELD, "10 mg, 3 yr, against placebo"),
        Outcome("TH.BMD", 36, 5.9, _PLACEBO, _HELD, "femoral neck, 10 mg, 3 yr, against placebo"),
        Outcome("CTX", 6, -43.5, _BASE, _HELD, f"{_GREENSPAN}; SD 67 %"),
        Outcome("CTX", 30, -67.3, _BASE, _HELD, f"{_GREENSPAN}; SD 19 %"),
    )),
    Arm("zoledronate, yearly", 73, (given("zoledronate"),), (
        Outcome("Ac.f", 36, -63, _PLACEBO, _FIT, "HORIZON biopsies, Recker 2008: bone turnover"),
        Outcome("CTX", 12, -50, _BASE, _FIT, "HORIZON, median decrease"),
        Outcome("P1NP", 12, -56, _BASE, _HELD, "HORIZON, median decrease"),
        Outcome("LS.BMD", 36, 7.0, _PLACEBO, _HELD, "HORIZON, DXA"),
        Outcome("TH.BMD", 36, 5.7, _PLACEBO, _HELD, "HORIZON, trabecular QCT of the hip"),
        Outcome("TMD", 36, 3.2, _PLACEBO, _FIT, "HORIZON BMDD, Cn.CaMean"),
    )),
    Arm("zoledronate 5 mg once", 65, (given("zoledronate", 0, 0.5),), (
        Outcome("LS.BMD", 24, 5.7, _PLACEBO, _FIT, _GREY),
        Outcome("LS.BMD", 60, 5.1, _PLACEBO, _FIT, _GREY),
        Outcome("TH.BMD", 24, 4.7, _PLACEBO, _VIEW, _GREY),
        Outcome("TH.BMD", 60, 5.4, _PLACEBO, _HELD, _GREY),
    )),
    Arm("zoledronate 1 mg once", 65, (given("zoledronate", 0, 0.5, dose=0.2),), (
        Outcome("LS.BMD", 24, 5.0, _PLACEBO, _FIT, _GREY),
        Outcome("LS.BMD", 60, 2.0, _PLACEBO, _HELD, _GREY, -1.1, 5.0),
        Outcome("TH.BMD", 24, 2.6, _PLACEBO, _VIEW, _GREY),
        Outcome("TH.BMD", 60, 1.8, _PLACEBO, _HELD, _GREY, -0.1, 3.8),
    )),
    Arm("denosumab, 8 yr", 72, (given("denosumab"),), (
        Outcome("CTX", 1, -86, _BASE, _FIT, f"{_FREEDOM} (unverified)"),
        Outcome("CTX", 5.9, -72, _BASE, _FIT, f"{_FREEDOM}, before the second dose (unverified)"),
        Outcome("P1NP", 30, -97, _PLACEBO, _HELD, f"{_REID}: BFR"),
        Outcome("TH.BMD", 12, 3.2, _BASE, _HELD, _FREEDOM),
        Outcome("TH.BMD", 24, 4.4, _BASE, _HELD, _FREEDOM),
        Outcome("TH.BMD", 36, 5.0, _BASE, _FIT, _FREEDOM),
        Outcome("LS.BMD", 36, 9.2, _PLACEBO, _FIT, f"{_FREEDOM} (unverified)"),
        Outcome("LS.BMD", 60, 13.7, _BASE, _VIEW, f"{_FREEDOM} extension"),
        Outcome("TH.BMD", 60, 7.0, _BASE, _VIEW, f"{_FREEDOM} extension"),
        Outcome("LS.BMD", 96, 18.4, _BASE, _VIEW, f"{_FREEDOM} extension"),
        Outcome("TH.BMD", 96, 8.3, _BASE, _VIEW, f"{_FREEDOM} extension"),
    )),
    Arm("denosumab 3 yr, stopped", 72, (given("denosumab", 0, 3),), (
        Outcome("CTX", 36, 60, _BASE, _FIT, _STOP, 50, 100, "max", 48),
        Outcome("CTX", 60, 0, _BASE, _HELD, f"{_STOP}; baseline after 2 yr", -10, 10),
        Outcome("LS.BMD", 48, 0, _BASE, _HELD, "Cummings 2018: baseline a year after a missed dose", -1.5, 3.0),
    )),
    Arm("teriparatide, 2 yr", 69, (given("teriparatide", 0, 2),), (
        Outcome("P1NP", 1, 105, _BASE, _FIT, _MIYAUCHI),
        Outcome("P1NP", 6, 218, _BASE, _FIT, _MIYAUCHI),
        Outcome("CTX", 6, 58, _BASE, _FIT, f"urinary NTX, {_MIYAUCHI}"),
        Outcome("LS.BMD", 21, 9.0, _PLACEBO, _FIT, "Fracture Prevention Trial"),
        Outcome("TH.BMD", 21, 3.0, _PLACEBO, _HELD, "femoral neck, Fracture Prevention Trial"),
    )),
    Arm("romosozumab, 1 yr", 71, (given("romosozumab", 0, 1),), (
        Outcome("P1NP", 0.5, 145, _PLACEBO, _FIT, _LABEL),
        Outcome("CTX", 0.5, -55, _PLACEBO, _HELD, _LABEL),
        Outcome("P1NP", 2, 144, _PLACEBO, _FIT, f"{_CHAVASSIEUX}: MS/BS 5.64 against 2.31 %"),
        Outcome("P1NP", 11.9, -15, _PLACEBO, _FIT, f"{_LABEL}; {_CHAVASSIEUX}: formation below placebo", -60, 0),
        Outcome("CTX", 11.9, -25, _PLACEBO, _HELD, _LABEL),
        Outcome("CTX", 2, -47, _PLACEBO, _FIT, f"{_CHAVASSIEUX}: ES/BS 1.8 against 3.4 %"),
        Outcome("LS.BMD", 12, 13.3, _BASE, _FIT, "FRAME: 13 %, Cosman 2018; .3 unverified"),
        Outcome("TH.BMD", 12, 7, _BASE, _HELD, "FRAME, Cosman 2018"),
    )),
    Arm("romosozumab, then denosumab", 71, (given("romosozumab", 0, 1), given("denosumab", 1)), (
        Outcome("LS.BMD", 24, 9.3, "denosumab, 8 yr", _HELD, _COSMAN),
        Outcome("TH.BMD", 24, 4.4, "denosumab, 8 yr", _HELD, _COSMAN),
    )),
    Arm("raloxifene", 67, (given("raloxifene"),), (
        Outcome("LS.BMD", 36, 2.5, _PLACEBO, _FIT, "MORE: +2 to 3 %"),
        Outcome("CTX", 12, -24.9, _PLACEBO, _HELD, "urinary CTX, Lufkin 1998"),
    )),
    Arm("hormone replacement at 51", 51, (given("hrt"),), (
        Outcome("LS.BMD", 12, 2.5, _BASE, _HELD, "Rosen 1997"),
    )),
    Arm("hormone replacement at 56", 56, (given("hrt"),), (
        Outcome("LS.BMD", 36, 4.25, _BASE, _FIT, "PEPI: +3.5 to 5 %"),
        Outcome("TH.BMD", 36, 1.7, _BASE, _VIEW, "PEPI"),
    )),
    Arm("hormone replacement at 63", 63, (given("hrt"),), (
        Outcome("TH.BMD", 36, 3.56, _PLACEBO, _HELD, "WHI: +3.7 against +.14 %"),
    )),
)  # fmt: skip

LONGEST_MONTHS = 96


def woman(age_yr: float) -> Patient:
    """A woman who enters a trial at an age; her study begins `LEAD_YR` before the first dose."""
    start = age_yr - LEAD_YR
    return Patient("natural", start, MENOPAUSE_AGE_YR - start)


@cache
def followed(age_yr: float, treatments: tuple[Treatment, ...]) -> CellCourse:
    """Her course from the first dose on, twenty times a month."""
    return course(woman(age_yr), LEAD_YR + np.arange(0, 20 * LONGEST_MONTHS + 1) / 240, treatments=treatments)


def series(age_yr: float, treatments: tuple[Treatment, ...], symbol: str) -> np.ndarray:
    """One quantity of her course."""
    at = followed(age_yr, treatments)
    return at.activation_frequency_per_yr if symbol == "Ac.f" else at.readouts[symbol]


def reached(arm: Arm, outcome: Outcome) -> float:
    """Our value of an outcome [%]."""
    treated = series(arm.age_yr, arm.treatments, outcome.symbol)
    change = treated / treated[0]
    if outcome.versus != _BASE:
        others = {one.name: one for one in ARMS}
        against = () if outcome.versus == _PLACEBO else others[outcome.versus].treatments
        other = series(arm.age_yr, against, outcome.symbol)
        change = 1 + change - other / other[0] if outcome.symbol.endswith("BMD") else change / (other / other[0])
    places = np.arange(round(20 * outcome.month), round(20 * max(outcome.until, outcome.month)) + 1)
    values = 100 * (change[places] - 1)
    return float(values.max() if outcome.extreme == "max" else values.min())
