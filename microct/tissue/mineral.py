"""Mineral of bone tissue by its age: the law of mineralization, and density and modulus by mineral.

New osteoid waits for `MineralLaw.lag_days`. Then calcium rises as the sum of a fast (primary) and a slow (secondary)
saturation, each a hyperbola ``c t / (t + tau)``: form and slow half-time of Ruffoni et al. 2007 (Bone 40:1308), fast
half-time fitted to what three years of zoledronate do to mean calcium.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from microct.quantities import DAYS_PER_YEAR
from microct.status import StudyError

#: Calcium in hydroxyapatite, Ca10(PO4)6(OH)2, by mass (stoichiometry).
CALCIUM_IN_HYDROXYAPATITE = 0.3989
#: Density of mineral and organic matrix [g/cm3], share of volume that is organic (Martinez-Reina 2019, its code).
MINERAL_DENSITY, ORGANIC_DENSITY, ORGANIC_SHARE = 3.2, 1.1, 3.0 / 7.0
#: Density of the resin that takes the place of water where calcium is measured, in backscattered electron images of
#: embedded bone [g/cm3] (polymethyl methacrylate; unverified that all water is replaced).
RESIN_DENSITY = 1.18
#: Turnover of healthy bone, by volume [1/yr]: Ac.f 0.13 /yr x E.De 47 um x BS/BV 16 /mm (Recker 2004, Eriksen 1999;
#: BS/BV typical). The scan's own bone has lived at this rate, but for what a patient's past changes (`past`).
HEALTHY_TURNOVER_PER_YR = 0.13 * 0.047 * 16.0
#: Modulus of tissue by ash fraction, E = 84.37 alpha^2.74 GPa (Hernandez et al. 2001, Bone 29:74, at BV/TV = 1).
MODULUS_GPA, MODULUS_EXPONENT = 84.37, 2.74


@dataclass(frozen=True)
class MineralLaw:
    """Calcium content of bone tissue by age.

    Attributes:
        lag_days: from apposition of osteoid to its first mineral (Martinez-Reina 2019, in its code).
        fast_ca, fast_years: size [Ca wt %] and half-time [yr] of the fast part. Half-time: fitted, so that three years
            at 0.37 of a turnover of 0.216 /yr add 3.2 % to mean calcium (HORIZON, Misof 2013). Size: fitted, so that
            the peak of the BMDD at healthy turnover lies at 22.94 wt % (Roschger).
        slow_ca, slow_years: of the slow part. Half-time: Ruffoni 2007, from code that implements it; size: so that the
            limit is 31.1 wt %, as there.
    """

    lag_days: float = 12.0
    fast_ca: float = 22.68
    fast_years: float = 0.055
    slow_ca: float = 8.42
    slow_years: float = 150.0

    def __post_init__(self) -> None:
        sizes = (self.fast_ca, self.fast_years, self.slow_ca, self.slow_years)
        if not (0.0 <= self.lag_days < math.inf and all(0.0 < size < math.inf for size in sizes)):
            raise StudyError(
                f"law of mineralization {self}: expected a lag of 0 days or more and sizes and half-times above 0 "
                "(usual: 12 d; 22.7 wt %, 0.06 yr; 8.4 wt %, 150 yr)"
            )

    @property
    def parts(self) -> tuple[tuple[float, float], ...]:
        """(size [Ca wt %], half-time [yr]) of each part."""
        return (self.fast_ca, self.fast_years), (self.slow_ca, self.slow_years)

    @property
    def lag_years(self) -> float:
        """The lag [yr]."""
        return self.lag_days / DAYS_PER_YEAR

    def calcium(self, age_yr: np.ndarray | float) -> np.ndarray:
        """Calcium [wt %] of tissue formed ``age_yr`` years ago (any shape)."""
        since = np.maximum(np.asarray(age_yr, np.float64) - self.lag_years, 0.0)
        return np.asarray(sum(size * since / (since + half) for size, half in self.parts))

    def steady_calcium(self, turnover_per_yr: float, idle_yr: float = 0.0) -> float:
        """Mean calcium [wt %] of a steady population: integral of ``calcium(a) f exp(-f a)`` over ages, closed form.

        Args:
            turnover_per_yr: f, share of bone volume renewed in a year, at random.
            idle_yr: years for which this population has since aged without any renewal.
        """
        if not (0.0 < turnover_per_yr < math.inf and idle_yr >= 0.0):
            raise StudyError(
                f"turnover {turnover_per_yr:g} /yr, idle for {idle_yr:g} yr: expected a turnover above 0 "
                "(usual: 0.02 to 0.5 /yr) and 0 or more years"
            )
        f = turnover_per_yr
        ahead = idle_yr - self.lag_years
        mature, late = math.exp(f * min(ahead, 0.0)), max(ahead, 0.0)
        # Integral of f exp(-f a) tau / (a + late + tau) is f tau e^x E1(x) at x = f (tau + late).
        return mature * sum(size * (1.0 - f * half * scaled_e1(f * (half + late))) for size, half in self.parts)


def scaled_e1(x: float) -> float:
    """``exp(x)`` times the exponential integral E1(x), for x > 0 (Abramowitz, Stegun 1964, 5.1.11 and 5.1.22)."""
    if x < 1.0:
        term, total = 1.0, 0.0
        for k in range(1, 30):
            term *= -x / k
            total -= term / k
        return math.exp(x) * (total - math.log(x) - 0.57721566490153286)
    fraction = 0.0
    for k in range(120, 0, -1):
        fraction = k / (1.0 + k / (x + fraction))
    return 1.0 / (x + fraction)


def mineral_share(calcium_wt: np.ndarray | float) -> np.ndarray:
    """Volume of mineral for each volume of tissue, of tissue whose embedded calcium content is this [wt %]."""
    ca = np.asarray(calcium_wt, np.float64)
    salt = ca / (100.0 * CALCIUM_IN_HYDROXYAPATITE)
    rest = ORGANIC_DENSITY * ORGANIC_SHARE + RESIN_DENSITY * (1.0 - ORGANIC_SHARE)
    return salt * rest / (MINERAL_DENSITY - salt * (MINERAL_DENSITY - RESIN_DENSITY))


def tissue_density(calcium_wt: np.ndarray | float) -> np.ndarray:
    """Tissue mineral density [mgHA/cm3] by calcium content [wt %]."""
    return 1000.0 * MINERAL_DENSITY * mineral_share(calcium_wt)


def ash_fraction(calcium_wt: np.ndarray | float) -> np.ndarray:
    """Mass of mineral for each mass of mineral and organic matrix, by calcium content [wt %]."""
    mineral = MINERAL_DENSITY * mineral_share(calcium_wt)
    return mineral / (mineral + ORGANIC_DENSITY * ORGANIC_SHARE)


def tissue_modulus(calcium_wt: np.ndarray | float) -> np.ndarray:
    """Young's modulus of tissue [MPa] by calcium content [wt %]."""
    return 1000.0 * MODULUS_GPA * ash_fraction(calcium_wt) ** MODULUS_EXPONENT
