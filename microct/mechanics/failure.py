"""Failure load: the estimate of Pistoia from one linear solution, and elastic-brittle failure in load steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from microct.mechanics.equilibrium import Equilibrium, Solution
from microct.mechanics.fields import effective_strain, principal_strain
from microct.mechanics.loading import LoadCase
from microct.mechanics.material import checked
from microct.status import StudyError


@dataclass(frozen=True)
class FailureCriterion:
    """Bone fails where ``critical_volume_percent`` of it is strained beyond ``critical_strain`` (effective strain)."""

    critical_strain: float
    critical_volume_percent: float
    source: str

    def __post_init__(self) -> None:
        checked(self.critical_strain, "critical_strain", 1e-5, 1.0, "0.007")
        checked(self.critical_volume_percent, "critical_volume_percent", 1e-3, 100.0, "2")


#: Settings in use. Those of the first generation predict too inexactly from scans of the second (Arias-Moreno et al.
#: 2019, abstract); no others were found that a publication calls right.
PRESETS: Mapping[str, FailureCriterion] = MappingProxyType(
    {
        "pistoia": FailureCriterion(0.007, 2.0, "Pistoia et al. 2002, doi:10.1016/S8756-3282(02)00736-6"),
        "xtremect": FailureCriterion(0.007, 2.0, "Pistoia et al. 2002, as first-generation HR-pQCT uses it"),
        "xtremect2": FailureCriterion(0.007, 2.0, "as the first generation; ParOSol-py, documentation"),
    }
)


@dataclass(frozen=True)
class Failure:
    """A failure load, and what it rests on.

    Attributes:
        load_n: force at failure [N], with the sign of the reaction.
        factor: failure load over the load that was applied.
        strain_at_critical_volume: effective strain that the critical volume exceeds under the applied load.
        criterion: the settings.
    """

    load_n: float
    factor: float
    strain_at_critical_volume: float
    criterion: FailureCriterion


def criterion_of(name_or_settings: str | FailureCriterion) -> FailureCriterion:
    """A preset by its name, or the settings themselves."""
    if isinstance(name_or_settings, FailureCriterion):
        return name_or_settings
    if name_or_settings not in PRESETS:
        raise StudyError(f"criterion: expected one of {', '.join(PRESETS)}, got {name_or_settings!r}")
    return PRESETS[name_or_settings]


def pistoia(energy_density: np.ndarray, modulus: np.ndarray, force_n: float, criterion: FailureCriterion) -> Failure:
    """Scale the load until the critical volume is strained to the critical strain.

    Args:
        energy_density: (voxels,) at the center of each voxel [MPa].
        modulus: (voxels,) [MPa].
        force_n: reaction under the applied load.
        criterion: how much of the bone, and to which strain.
    """
    strain = effective_strain(energy_density, modulus)
    at = float(np.percentile(strain, 100.0 - criterion.critical_volume_percent))
    factor = criterion.critical_strain / at if at > 0 else float("nan")
    return Failure(force_n * factor, factor, at, criterion)


#: Tissue yield strain in tension and compression, and the share of stiffness that broken tissue keeps. Bayraktar et al.
#: 2004 (doi:10.1016/S0021-9290(03)00257-4): 0.41 % and 0.83 % (unverified). The share is a choice.
TENSILE_STRAIN, COMPRESSIVE_STRAIN, BROKEN_SHARE = 0.0041, 0.0083, 0.02


@dataclass(frozen=True)
class BrittleCourse:
    """Load steps up to failure.

    Attributes:
        strain: (steps,) average strain, as a share of the load case given.
        force_n: (steps,) reaction [N].
        broken: (steps,) share of the bone that has broken.
        failure_load_n: largest force in size, with its sign.
        iterations: conjugate gradient steps in all.
        status: one sentence.
    """

    strain: np.ndarray
    force_n: np.ndarray
    broken: np.ndarray
    failure_load_n: float
    iterations: int
    status: str


def brittle_course(
    solver: Equilibrium,
    case: LoadCase,
    intact: Solution,
    force_of: Callable[[Solution], float],
    steps: int = 12,
    until: float = 0.8,
    tensile_strain: float = TENSILE_STRAIN,
    compressive_strain: float = COMPRESSIVE_STRAIN,
    rounds: int = 8,
) -> BrittleCourse:
    """Elastic-brittle failure: voxels strained beyond their limit break and keep 2 % of their stiffness.

    The load rises step by step from where the first 0.1 % of bone breaks; within a step bone breaks in rounds until no
    more does. It ends when the force has fallen below ``until`` of its peak.

    Args:
        solver: the one that made ``intact``.
        case: the load case.
        intact: its solution.
        force_of: function of a `Solution` that gives the reaction [N].
        steps: load steps at most.
        until: share of the peak force at which to stop.
        tensile_strain: largest principal strain that tissue bears.
        compressive_strain: smallest, as a positive number.
        rounds: of breaking within a step, at most.
    """
    bone = intact.mesh
    whole = bone.modulus.copy()
    broken = np.zeros(len(whole), bool)
    solution, spent = intact, 0

    def overload(now: Solution) -> np.ndarray:
        principal = principal_strain(now.strain[:, 0])
        return np.maximum(principal[:, 2] / tensile_strain, -principal[:, 0] / compressive_strain)

    first = 1 / float(np.percentile(overload(intact), 99.9))
    levels = first * np.geomspace(1.0, 8.0, steps)
    course: list[tuple[float, float, float]] = []
    status = f"still bearing after {steps} steps"
    for level in levels:
        for _ in range(rounds):
            fails = (overload(solution) * level > 1) & ~broken
            if not fails.any():
                break
            broken |= fails
            bone = bone.with_modulus(np.where(broken, np.float32(BROKEN_SHARE) * whole, whole))
            solution = solver.solve(bone, case, start=solution)
            spent += solution.iterations
        course.append((level, level * force_of(solution), float(broken.mean())))
        peak = max(abs(force) for _, force, _ in course)
        if abs(course[-1][1]) < until * peak:
            status = f"failed: the force fell to {abs(course[-1][1]) / peak:.0%} of its peak"
            break
    strain, force, share = (np.array(column) for column in zip(*course, strict=True))
    return BrittleCourse(strain, force, share, float(force[np.argmax(np.abs(force))]), spent, status)
