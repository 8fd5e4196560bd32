"""Loads of daily life and of falls, and how near to its strength they bring a bone.

The formulas are mean values of a population; a ratio above 1 says that the load exceeds the strength.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from microct.mechanics.material import checked
from microct.status import StudyError

GRAVITY = 9.81  # m/s2


@dataclass(frozen=True)
class Load:
    """A load: what happens, force as a function of body mass [kg] and height [m], and where the formula is from."""

    name: str
    force_n: Callable[[float, float], float]
    source: str


def _hip_fall(mass_kg: float, height_m: float) -> float:
    """Impact of a sideways fall on the hip, without the fat that pads it: sqrt(2 g h k m)."""
    return float(np.sqrt(2 * GRAVITY * 0.51 * height_m * 71_060.0 * mass_kg * 7 / 20))


#: Cases that `load_to_strength` knows by name. All formulas are from memory (unverified).
LOADS: Mapping[str, Load] = MappingProxyType(
    {
        "hip": Load(
            "sideways fall on the hip",
            _hip_fall,
            "Robinovitch et al. 1991, doi:10.1115/1.2895414: stiffness 71 kN/m, height 0.51 h, mass 7/20 (unverified)",
        ),
        "spine": Load(
            "lifting 10 kg with the trunk bent, first lumbar vertebra",
            lambda mass_kg, height_m: (3.3 * mass_kg + 9.0 * 10.0) * GRAVITY,
            "order of magnitude of Duan et al. 2001, doi:10.1359/jbmr.2001.16.12.2276; simplified (unverified)",
        ),
        "wrist": Load(
            "fall from standing on the outstretched hand",
            lambda mass_kg, height_m: float(np.sqrt(2 * GRAVITY * 0.5 * height_m * 12_000.0 * 0.4 * mass_kg)),
            "two-mass model of Chiu, Robinovitch 1998, doi:10.1016/S0021-9290(98)00137-7; simplified (unverified)",
        ),
    }
)


def load_to_strength(failure_load_n: float, case: str, mass_kg: float, height_m: float) -> float:
    """Load of a case over the failure load; above 1 the bone is expected to break.

    Args:
        failure_load_n: of the whole bone under that load; a biopsy's failure load does not compare.
        case: "hip", "spine" or "wrist".
        mass_kg: of the body.
        height_m: of the body.
    """
    if case not in LOADS:
        raise StudyError(f"case: expected one of {', '.join(LOADS)}, got {case!r}")
    checked(mass_kg, "mass_kg", 20, 300, "45 to 110 kg")
    checked(height_m, "height_m", 0.8, 2.5, "1.5 to 1.9 m")
    if failure_load_n == 0 or not np.isfinite(failure_load_n):
        raise StudyError(f"failure_load_n: expected a force other than 0, got {failure_load_n}")
    return LOADS[case].force_n(mass_kg, height_m) / abs(failure_load_n)
