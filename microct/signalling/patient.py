"""Whose cells: how and when her menopause comes, how old she is, whether she ages."""

from __future__ import annotations

import math
from dataclasses import dataclass

from microct.signalling.estrogen import COURSES
from microct.signalling.spelling import refused
from microct.status import StudyError

EARLY_BEFORE_YR = 45.0
#: Body mass index for which the model is asked [kg/m2].
BMI_KG_M2 = (15.0, 50.0)
#: Least age at which a study can start [yr].
YOUNGEST_YR = 18.0
_AGES_YR = (YOUNGEST_YR, 100.0)
MENOPAUSE_AGES_YR = {"natural": (30.0, 65.0), "early": (18.0, EARLY_BEFORE_YR), "surgical": (18.0, 90.0)}


@dataclass(frozen=True)
class Patient:
    """One woman on the study clock.

    Attributes:
        menopause: "none" (estrogen stays), "natural", "early" (the natural course, before 45 years of age) or
            "surgical" (both ovaries removed).
        age_at_start_yr: her age when the study starts [yr].
        menopause_after_start_yr: final menstrual period or operation, after the start of the study [yr]; negative if
            it is past.
        ageing: False stops every effect of age; estrogen alone remains.
        bmi_kg_m2: her body mass index [kg/m2], which sets how much estrogen is left after menopause; None: that of the
            women whose course is used.

    Raises:
        StudyError: an unknown menopause, an age outside 18 to 100 years, a menopause at an age where it is none, a
            body mass index outside 15 to 50.
    """

    menopause: str = "natural"
    age_at_start_yr: float = 50.0
    menopause_after_start_yr: float = 1.0
    ageing: bool = True
    bmi_kg_m2: float | None = None

    def __post_init__(self) -> None:
        if self.menopause not in COURSES:
            raise refused("menopause", self.menopause, COURSES)
        low, high = _AGES_YR
        if not (math.isfinite(self.age_at_start_yr) and low <= self.age_at_start_yr <= high):
            raise StudyError(f"age_at_start_yr must be {low:g} to {high:g} yr, got {self.age_at_start_yr} (usual: 50)")
        if not math.isfinite(self.menopause_after_start_yr):
            raise StudyError(
                f"menopause_after_start_yr must be a number of years, got {self.menopause_after_start_yr} (usual: 1)"
            )
        low, high = BMI_KG_M2
        if self.bmi_kg_m2 is not None and not low <= self.bmi_kg_m2 <= high:
            raise StudyError(f"bmi_kg_m2 must be {low:g} to {high:g} kg/m2, got {self.bmi_kg_m2} (usual: 20 to 35)")
        if self.menopause == "none":
            return
        low, high = MENOPAUSE_AGES_YR[self.menopause]
        if not low <= self.menopause_age_yr <= high:
            raise StudyError(
                f"{self.menopause} menopause comes at {low:g} to {high:g} yr of age, got {self.menopause_age_yr:g} yr "
                f"(age_at_start_yr {self.age_at_start_yr:g} + menopause_after_start_yr "
                f"{self.menopause_after_start_yr:g})"
            )

    @property
    def menopause_age_yr(self) -> float:
        """Age at the final menstrual period or the operation [yr]."""
        return self.age_at_start_yr + self.menopause_after_start_yr
