"""Bone mineralization density distribution (BMDD) of bone whose tissue ages are known, and its summary.

Ages come from the step in which a voxel's bone was formed. Bone that the run has not formed is as old as its `Past`
made it when the scan was taken, and has aged since.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import numpy as np

from microct.quantities import DAYS_PER_YEAR
from microct.status import InputError
from microct.tissue import mineral
from microct.tissue.formed import mass_by_step
from microct.tissue.mineral import MineralLaw
from microct.tissue.past import CLASSES, HEALTHY, Past

#: Width of a bin [Ca wt %]: one gray level of quantitative backscattered electron imaging (Roschger; unverified).
BIN_WT = 0.17


@dataclass(frozen=True)
class TissueAges:
    """How much bone of which age.

    Attributes:
        age_yr: (n,) ages [yr].
        weight: (n,) bone of that age [voxels of full bone].
    """

    age_yr: np.ndarray
    weight: np.ndarray

    @property
    def bone(self) -> float:
        """All bone [voxels of full bone]."""
        return float(self.weight.sum())

    def mean(self, values: np.ndarray) -> float:
        """Mean over bone of a value given for each age (NaN without bone)."""
        return float(values @ self.weight) / self.bone if self.bone > 0 else math.nan


def tissue_ages(
    fraction: np.ndarray | jax.Array,
    formed_on: np.ndarray | jax.Array,
    step: int,
    step_days: float,
    past: Past = HEALTHY,
) -> TissueAges:
    """Ages of all bone of a run.

    Args:
        fraction: (nz, ny, nx) uint8 bone fraction.
        formed_on: (nz, ny, nx) uint16, step in which a voxel's bone was formed; 0 for bone of the scan.
        step: steps done.
        step_days: length of a step [d].
        past: how its bone was renewed before the scan.

    A voxel has one age, drawn from those of its bone by mass: shares and means are those of the mass, one voxel is not.
    """
    if fraction.shape != formed_on.shape:
        raise InputError(f"tissue ages: expected fields of one shape, got {fraction.shape} and {formed_on.shape}")
    mass, last = mass_by_step(fraction, formed_on, step)
    if last > step + 1:
        raise InputError(f"tissue ages: a voxel was formed in step {last}, after the last step {step}")
    mass /= 255.0
    formed = np.flatnonzero(mass[1:]) + 1
    years = step_days / DAYS_PER_YEAR
    # A step's bone is laid down in its middle on average.
    young = np.maximum((step - formed - 0.5) * years, 0.0)
    old = past.ages() + step * years
    age = np.concatenate([old, young])
    return TissueAges(age, np.concatenate([np.full(CLASSES, mass[0] / CLASSES), mass[formed]]))


def calcium_map(
    formed_on: np.ndarray,
    step: int,
    step_days: float,
    past: Past = HEALTHY,
    law: MineralLaw | None = None,
) -> np.ndarray:
    """Calcium [wt %] of the bone in each voxel, float32 of the shape of ``formed_on``; arguments as `tissue_ages`.

    `mineral.tissue_density` and `mineral.tissue_modulus` make density and modulus of it. Bone of the scan has the mean
    of its population.
    """
    return _calcium_by_step(formed_on, step, step_days, law, past).astype(np.float32)[formed_on]


def relative_modulus(formed_on: np.ndarray, step: int, step_days: float, past: Past = HEALTHY) -> np.ndarray:
    """Young's modulus of the tissue in each voxel by its mineral, over that of the scan's bone when it was scanned.

    Arguments as `tissue_ages`; float32 of the shape of ``formed_on``, at least `OSTEOID`.
    """
    by_step = mineral.tissue_modulus(_calcium_by_step(formed_on, step, step_days, None, past))
    by_step = np.maximum(by_step / mineral.tissue_modulus(past.calcium(MineralLaw())), OSTEOID)
    return by_step.astype(np.float32)[formed_on]


def _calcium_by_step(
    formed_on: np.ndarray, step: int, step_days: float, law: MineralLaw | None, past: Past
) -> np.ndarray:
    """Calcium [wt %] of bone formed in each step (0: the scan's)."""
    if formed_on.size and int(formed_on.max()) > step:
        raise InputError(f"calcium: a voxel was formed in step {int(formed_on.max())}, after the last step {step}")
    law = law or MineralLaw()
    years = step_days / DAYS_PER_YEAR
    by_step = law.calcium(np.maximum((step - np.arange(step + 1) - 0.5) * years, 0.0))
    by_step[0] = past.calcium(law, step * years)
    return by_step


@dataclass(frozen=True)
class BMDD:
    """Distribution of calcium.

    Attributes:
        edges: (n + 1,) of the bins [Ca wt %]; share: (n,) of bone in each [%].
        mean, peak, width: CaMean, CaPeak (mode) and CaWidth (full width at half maximum) [Ca wt %].
        low: CaLow, share of bone below `LOW_WT` [%].
        density: mean TMD [mgHA/cm3]. modulus: mean modulus of tissue [MPa].
    """

    edges: np.ndarray
    share: np.ndarray
    mean: float
    peak: float
    width: float
    low: float
    density: float
    modulus: float


#: Modulus of osteoid, which has no mineral yet, over that of bone (ours, unverified): the law has none for it.
OSTEOID = 0.01
#: Calcium below which bone counts as low [wt %] (5th percentile of healthy adults, Roschger 2003; unverified).
LOW_WT = 17.68


def bmdd(ages: TissueAges, law: MineralLaw | None = None, blur_wt: float = 0.5) -> BMDD:
    """Distribution of calcium of bone of these ages.

    Args:
        ages: from `tissue_ages`.
        law: of mineralization.
        blur_wt: standard deviation of a reading [Ca wt %]: beam noise, and spread between lamellae (assumed). It acts
            on the histogram, and so on peak, width and CaLow, never on means.
    """
    ca = (law or MineralLaw()).calcium(ages.age_yr)
    edges = np.arange(0.0, 35.0 + BIN_WT, BIN_WT)
    if ages.bone <= 0:
        return BMDD(edges, np.zeros(len(edges) - 1), *[math.nan] * 6)
    share = np.histogram(ca, edges, weights=ages.weight)[0] * (100.0 / ages.bone)
    if blur_wt > 0.0:
        offsets = np.arange(-math.ceil(4 * blur_wt / BIN_WT), math.ceil(4 * blur_wt / BIN_WT) + 1) * BIN_WT
        kernel = np.exp(-0.5 * (offsets / blur_wt) ** 2)
        reach = len(offsets) // 2
        # What the blur would take below zero calcium is read as zero.
        wide = np.convolve(share, kernel / kernel.sum())
        share = wide[reach:-reach].copy()
        share[0] += wide[:reach].sum()
        share[-1] += wide[-reach:].sum()
    middles = 0.5 * (edges[1:] + edges[:-1])
    return BMDD(
        edges,
        share,
        ages.mean(ca),
        *_peak_and_width(middles, share),
        float(share[middles < LOW_WT].sum()),
        ages.mean(mineral.tissue_density(ca)),
        ages.mean(mineral.tissue_modulus(ca)),
    )


def _peak_and_width(middles: np.ndarray, share: np.ndarray) -> tuple[float, float]:
    """Mode and full width at half maximum, by the parabola and the lines through bins."""
    # Osteoid piles up in the first bins; the peak is that of mineralized bone where there is any.
    top = int(np.argmax(np.where(middles > 5.0, share, 0.0))) if share[middles > 5.0].any() else int(np.argmax(share))
    peak = middles[top]
    if 0 < top < len(share) - 1:
        left, here, right = share[top - 1 : top + 2]
        bend = left - 2.0 * here + right
        if bend < 0.0:
            peak += 0.5 * (left - right) / bend * (middles[1] - middles[0])
    half = 0.5 * share[top]
    ends = []
    for way in (-1, 1):
        at = top
        while 0 < at < len(share) - 1 and share[at + way] > half:
            at += way
        beyond = min(max(at + way, 0), len(share) - 1)
        slope = share[at] - share[beyond]
        ends.append(middles[at] + (middles[beyond] - middles[at]) * ((share[at] - half) / slope if slope > 0 else 0.0))
    return float(peak), float(ends[1] - ends[0])
