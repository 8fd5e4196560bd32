"""Stiffness and strength of a scan in axial compression: the front door of mechanics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from microct.kernels.device import let_go_of_programs
from microct.mechanics import fields
from microct.mechanics.equilibrium import Equilibrium, Solution, loaded_mesh, require
from microct.mechanics.failure import (
    BrittleCourse,
    Failure,
    FailureCriterion,
    brittle_course,
    criterion_of,
    pistoia,
)
from microct.mechanics.loading import Ends, axis_number, compression
from microct.mechanics.material import POISSON_RATIO, TISSUE_MODULUS_MPA, checked, modulus_field
from microct.status import InputError, StudyError
from microct.volume import Volume, expected_volume


@dataclass(frozen=True)
class Strength:
    """What a block of bone bears.

    Attributes:
        apparent_modulus_mpa: stress on the block's whole cross-section over its strain [MPa].
        stiffness_n_per_mm: reaction over displacement [N/mm].
        reaction_force_n: force on the moved face [N], negative in compression.
        failure: the estimate of Pistoia, with its settings.
        brittle: load steps of the elastic-brittle criterion, where asked for.
        strain_energy_density_mpa: (nz, ny, nx) float32 at the centers of voxels, 0 outside bone.
        strain: the average strain that was applied.
        axis: "z", "y" or "x".
        ends: "clamped", "frictionless" or "clamped-bottom".
        youngs_modulus_mpa, poisson_ratio: of full bone; the mean over bone where each voxel has a modulus of its own.
        left_out_voxels: bone in pieces that do not reach from face to face.
        iterations: conjugate gradient steps.
        residual: residual force over load.
        status: one sentence.
        solution: displacement, forces and strains themselves; hand it to ``start=`` of the next call.
        spacing_mm: edge of a voxel.
    """

    apparent_modulus_mpa: float
    stiffness_n_per_mm: float
    reaction_force_n: float
    failure: Failure
    brittle: BrittleCourse | None
    strain_energy_density_mpa: np.ndarray
    strain: float
    axis: str
    ends: str
    youngs_modulus_mpa: float
    poisson_ratio: float
    left_out_voxels: int
    iterations: int
    residual: float
    status: str
    solution: Solution
    spacing_mm: float

    @property
    def failure_load_n(self) -> float:
        """Force at failure by the criterion of Pistoia [N]."""
        return self.failure.load_n

    @property
    def effective_strain(self) -> np.ndarray:
        """(nz, ny, nx) float32 effective strain, sqrt(2 SED / E)."""
        density = self.solution.energy_density()
        return self.solution.field(fields.effective_strain(density, self.solution.mesh.modulus))

    @property
    def principal_strain(self) -> np.ndarray:
        """(3, nz, ny, nx) float32 principal strains, ascending."""
        values = fields.principal_strain(self.solution.strain[:, 0])
        return np.stack([self.solution.field(values[:, k]) for k in range(3)])

    def load_share(self, cortical: np.ndarray) -> np.ndarray:
        """Share of the axial force that the cortex carries, slice by slice; the rest is carried by trabeculae.

        Args:
            cortical: (nz, ny, nx) bool, the cortical compartment.

        Returns:
            (slices along the axis,) from stress at the centers of voxels; NaN in a slice without force.
        """
        return load_share(self.solution, cortical, self.axis)


def strength(
    volume: Volume,
    youngs_modulus_mpa: float | np.ndarray = TISSUE_MODULUS_MPA,
    poisson_ratio: float = POISSON_RATIO,
    strain: float = -0.01,
    axis: Literal["z", "y", "x"] = "z",
    ends: Ends = "clamped",
    tolerance: float = 1e-6,
    criterion: str | FailureCriterion = "pistoia",
    partial_voxels: bool = False,
    brittle: bool = False,
    start: Strength | None = None,
    solver: Equilibrium | None = None,
) -> Strength:
    """Compress a block of bone between two plates and say how stiff and how strong it is.

    Every voxel of bone is one 8-node hexahedron. Bone that does not hang together from face to face is left out and
    counted. Stiffness comes from energy, which is exact to the square of the solver's error.

    Args:
        volume: mask, or bone fraction of 0 to 255; voxels must be cubes.
        youngs_modulus_mpa: of bone tissue [MPa], one number or (nz, ny, nx), one for each voxel.
        poisson_ratio: of bone tissue.
        strain: average strain; negative is compression.
        axis: of the load.
        ends: "clamped" (plates that hold), "frictionless", or "clamped-bottom" (the lower face is held).
        tolerance: residual force over load at which the solver stops; 1e-4 is enough for a remodeling stimulus.
        criterion: failure settings, a name of `microct.mechanics.failure.PRESETS` or your own.
        partial_voxels: partial voxels have their share of the modulus.
        brittle: follow elastic-brittle failure in load steps too.
        start: an earlier result of the same bone, some voxels ago, to begin from.
        solver: one whose compiled shapes are to be used; its settings go before those given here.

    Raises:
        InputError: not a `Volume`; no bone, none on a loaded face, disconnected, voxels that are not cubes; too large.
        StudyError: a number outside its range.
        MicroctError: the solver did not converge.

    Example:
        >>> import numpy as np
        >>> from microct import Volume, strength
        >>> cube = Volume.from_array(np.ones((4, 4, 4), bool), voxel_size_um=50)
        >>> round(strength(cube, 1000.0, ends="frictionless").apparent_modulus_mpa, 3)
        1000.0
    """
    expected_volume(volume, "strength")
    checked(poisson_ratio, "poisson_ratio", 0.0, 0.49, "0.3")
    checked(tolerance, "tolerance", 1e-12, 0.1, "1e-6")
    real = isinstance(strain, int | float | np.integer | np.floating)
    if not real or strain == 0 or not np.isfinite(strain) or abs(strain) > 0.5:
        raise StudyError(f"strain: expected a number other than 0 within -0.5 to 0.5 (usual: -0.01), got {strain!r}")
    number = axis_number(axis)
    edge = edge_mm(volume)
    settings = criterion_of(criterion)
    modulus = modulus_field(volume, youngs_modulus_mpa, partial_voxels)
    bone, left_out = loaded_mesh(modulus, number, volume.provenance.source)
    case = compression(bone, axis, strain, ends)
    if solver is None:
        let_go_of_programs()
        solver = Equilibrium(poisson_ratio, tolerance)
    solution = require(solver.solve(bone, case, None if start is None else start.solution))
    force = reaction(strain * bone.shape[number], edge)(solution)
    length = edge * bone.shape[number]
    area = edge**2 * float(np.prod(bone.shape)) / bone.shape[number]
    density = solution.energy_density()
    course = None
    if brittle:
        course = brittle_course(solver, case, solution, reaction(strain * bone.shape[number], edge))
    return Strength(
        apparent_modulus_mpa=force / area / strain,
        stiffness_n_per_mm=force / (strain * length),
        reaction_force_n=force,
        failure=pistoia(density, bone.modulus, force, settings),
        brittle=course,
        strain_energy_density_mpa=solution.field(density),
        strain=strain,
        axis=axis,
        ends=ends,
        youngs_modulus_mpa=_mean_modulus(youngs_modulus_mpa, modulus),
        poisson_ratio=solver.poisson_ratio,
        left_out_voxels=left_out,
        iterations=solution.iterations,
        residual=solution.residual,
        status=solution.status,
        solution=solution,
        spacing_mm=edge,
    )


def _mean_modulus(given: float | np.ndarray, modulus: np.ndarray) -> float:
    """The modulus of tissue as one number [MPa]."""
    return float(given) if np.ndim(given) == 0 else float(np.asarray(given)[modulus > 0].mean())


def edge_mm(volume: Volume) -> float:
    """Edge of a voxel [mm]; `InputError` where voxels are no cubes."""
    return volume.voxel_size_um / 1000.0


def reaction(displacement: float, edge: float) -> Callable[[Solution], float]:
    """A function that gives the force [N] which does the work of ``displacement`` [voxel edges] in a solution."""
    return lambda solution: float(solution.energy[0, 0]) / displacement * edge**2


def load_share(solution: Solution, compartment: np.ndarray, axis: str = "z") -> np.ndarray:
    """(slices,) share of the axial force carried within ``compartment`` (nz, ny, nx) bool."""
    number = axis_number(axis)
    if compartment.shape != solution.mesh.shape:
        raise InputError(f"compartment: expected shape {solution.mesh.shape}, got {compartment.shape}")
    stress = fields.stress(solution.strain[:, 0], solution.mesh.modulus, solution.poisson_ratio)[:, number]
    inside = compartment[tuple(solution.mesh.voxels.T)] != 0
    slices = solution.mesh.voxels[:, number]
    number_of_slices = solution.mesh.shape[number]
    total = np.bincount(slices, stress, number_of_slices)
    part = np.bincount(slices, stress * inside, number_of_slices)
    return np.divide(part, total, out=np.full(number_of_slices, np.nan), where=total != 0)
