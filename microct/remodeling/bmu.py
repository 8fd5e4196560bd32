"""What a BMU is, in the field's units, and the static tables that the kernels take for it.

Activation, resorption, reversal, formation, quiescence (Frost 1969). A BMU takes a patch of surface as large as a
disc of radius `BMU.footprint_radius_um`, erodes it in `resorption_days`, waits `reversal_days` and refills it in
`formation_days`.
The front moves at constant speed in both directions (formation slows down: Parfitt 1994, abstract; kept linear).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from microct.kernels.bmu_table import Schedule, Widths
from microct.kernels.cavity import (
    BONE,
    DEEPEST_VOXEL,
    FRONT,
    FRONT_LIMIT,
    FULL,
    MOST_ENTRIES,
    PROFILE_EXPONENT,
    Geometry,
)
from microct.status import InputError

#: The deepest BMU that is drawn, in standard deviations of the logarithm of depth.
_TAIL = 2.2
_SHARES = 1024
#: A BMU that waits for a floor longer than this gives up: its hole is a perforation.
GIVE_UP_DAYS = 180.0
#: Bone thinner than this carries no osteoblasts and is no floor: about one lamella, 3 to 7 um (ours, not fitted).
#: A thickness rather than a share of a voxel, so that perforation does not depend on voxel size.
FLOOR_UM = 4.0
#: No trabecula is narrower than this (ours, not fitted): narrower bone that hangs on next to nothing is a thread.
TRABECULA_UM = 40.0
#: Voxels beyond this share of the footprint's radius cannot show a cavity at all.
_COARSEST = 0.6
#: A list holds at most so many times what lies beneath a plane, and voxels that far around the depth of the cavity:
#: around canals of 80 um cavities took up to 2.7 times as much. Few are longer than so many times the usual.
_MOST_BENEATH, _RIM, _USUAL_SHARE = 4.0, 2.2, 1.6


@dataclass(frozen=True)
class BMU:
    """The unit, in the field's units (study section ``remodeling``)."""

    footprint_radius_um: float
    resorption_days: float
    reversal_days: float
    formation_days: float
    erosion_depth_cv: float

    @property
    def footprint_mm2(self) -> float:
        """Surface that one BMU remodels [mm2]."""
        return math.pi * (self.footprint_radius_um / 1000.0) ** 2

    @property
    def open_days(self) -> float:
        """Days for which a cavity counts as fully open: the remodeling space of one BMU is its volume times this."""
        return self.resorption_days / 2.0 + self.reversal_days + self.formation_days / 2.0

    def ages(self, step_days: float) -> tuple[int, int]:
        """(first age in reversal, first age in formation), in steps; a BMU is born in the middle of its first step."""
        reversal = math.ceil(self.resorption_days / step_days + 0.5)
        formation = math.floor((self.resorption_days + self.reversal_days) / step_days + 0.5) + 1
        return reversal, formation


def schedule(bmu: BMU, step_days: float, voxel_um: float) -> Schedule:
    """Progress of the front by age in steps, integers of 1/4096."""
    quiet = bmu.resorption_days + bmu.reversal_days
    end = quiet + bmu.formation_days
    give_up = math.ceil((end + GIVE_UP_DAYS) / step_days + 0.5)
    days = np.maximum((np.arange(give_up + 2) - 0.5) * step_days, 0.0)
    erosion = np.round(np.clip(days / bmu.resorption_days, 0.0, 1.0) * FRONT).astype(np.int32)
    done = int(np.argmax(erosion == FRONT))
    # Where reversal is shorter than a step, the front must still stand at its end once before it turns.
    start = max(bmu.ages(step_days)[1], done + 1)
    refill = np.round(np.clip((days - quiet) / bmu.formation_days, 0.0, 1.0) * FRONT).astype(np.int32)
    refill[start:] = np.maximum(refill[start:], 1)
    refill[:start] = 0
    last = int(np.argmax(refill == FRONT))
    thinnest = int(np.clip(round(FULL * FLOOR_UM / voxel_um), 8, BONE))
    widths = Widths(np.int32(thinnest), np.int32(math.ceil(FULL * TRABECULA_UM / voxel_um)))
    ages = (np.int32(done), np.int32(start), np.int32(last), np.int32(give_up))
    return Schedule(erosion, refill, *ages, widths)


def as_long(one: Schedule, other: Schedule) -> tuple[Schedule, Schedule]:
    """Both schedules over as many ages: the shorter one stays where it ended."""
    ages = max(len(one.erosion), len(other.erosion))

    def longer(schedule: Schedule) -> Schedule:
        more = (0, ages - len(schedule.erosion))
        return schedule._replace(
            erosion=np.pad(schedule.erosion, more, mode="edge"), refill=np.pad(schedule.refill, more, mode="edge")
        )

    return longer(one), longer(other)


def depth_shares(cv: float) -> np.ndarray:
    """Equally likely ratios of a BMU's erosion depth to the mean, int32 [1/4096], log-normal with mean 1 and this CV.

    Right-skewed as measured depths are (Croucher et al. 1995; the log-normal form is ours). The tail ends at 2.2
    standard deviations; the width is adjusted so that mean and CV are as asked for all the same.
    """
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / _SHARES) for i in range(_SHARES)])
    quantiles = np.clip(quantiles, -_TAIL, _TAIL)
    width = cv
    for _ in range(50):
        shares = np.exp(width * quantiles)
        shares /= shares.mean()
        width *= cv / max(shares.std(), 1e-12) if cv > 0.0 else 0.0
    return np.round(shares * FRONT).astype(np.int32)


def geometry(bmu: BMU, voxel_um: float, deepest_mean_um: float, shape: tuple[int, ...]) -> Geometry:
    """Static sizes of a cavity for a bone of ``shape`` whose mean erosion depth never exceeds ``deepest_mean_um``.

    Raises:
        InputError: voxels too coarse to show a cavity or too fine for the kernel's integers.
    """
    radius = bmu.footprint_radius_um / voxel_um
    share = depth_shares(bmu.erosion_depth_cv).max() / FRONT
    peak = deepest_mean_um * share * (1.0 + 1.0 / PROFILE_EXPONENT) / voxel_um * (FRONT_LIMIT / FRONT)
    reach = math.ceil(peak + 1.0)
    finest = deepest_mean_um * share * (1.0 + 1.0 / PROFILE_EXPONENT) * (FRONT_LIMIT / FRONT) / (DEEPEST_VOXEL - 1)
    if reach > DEEPEST_VOXEL or voxel_um > _COARSEST * bmu.footprint_radius_um:
        raise InputError(
            f"voxels of {voxel_um:g} um cannot carry cavities {deepest_mean_um:g} um deep and "
            f"{bmu.footprint_radius_um:g} um in radius; expected {finest:.2g} to "
            f"{_COARSEST * bmu.footprint_radius_um:g} "
            "um (usual: 10 to 50); give resample_um in [scan], or microct.resample"
        )
    half = math.ceil(1.35 * radius) + 1
    window = tuple(min(2 * half + 1, n) for n in shape)
    # Where trabeculae meet, and around a canal, more bone lies beneath a patch than beneath a plane.
    plane = footprint_faces(bmu, voxel_um) * (peak + _RIM)
    room = min(math.ceil(int(np.prod(window)) / 32) * 32, MOST_ENTRIES)
    usual = usual_entries(bmu, voxel_um, deepest_mean_um)
    most, few = (min(math.ceil(n / 128) * 128, room) for n in (_MOST_BENEATH * plane, _USUAL_SHARE * usual))
    return Geometry(window, reach, most, few)  # type: ignore[arg-type]


def usual_entries(bmu: BMU, voxel_um: float, mean_depth_um: float) -> float:
    """Voxels that a BMU of the mean depth holds beneath a plane."""
    peak = mean_depth_um * (1.0 + 1.0 / PROFILE_EXPONENT) / voxel_um * (FRONT_LIMIT / FRONT)
    return footprint_faces(bmu, voxel_um) * (peak + _RIM)


def footprint_faces(bmu: BMU, voxel_um: float) -> float:
    """Footprint [voxel faces]."""
    return math.pi * (bmu.footprint_radius_um / voxel_um) ** 2
