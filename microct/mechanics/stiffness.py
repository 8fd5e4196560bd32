"""The whole stiffness tensor of a block of bone, its orthotropic axes, and engineering constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from microct.kernels.elasticity_mesh_device import numbered
from microct.mechanics.equilibrium import Equilibrium, loaded_mesh, require
from microct.mechanics.loading import kinematic, periodic
from microct.mechanics.material import POISSON_RATIO, TISSUE_MODULUS_MPA, checked, modulus_field
from microct.mechanics.strength import edge_mm
from microct.status import StudyError
from microct.volume import Volume, expected_volume

#: Rows of the tensor as reported: xx, yy, zz, yz, xz, xy, as rows of the kernels' zz, yy, xx, yx, zx, zy.
_REPORTED = [2, 1, 0, 5, 4, 3]

# pairs of axes (x, y, z) of the last three rows
_PAIRS = ((1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class StiffnessTensor:
    """Apparent stiffness of a block.

    Attributes:
        tensor_mpa: (6, 6) in the order xx, yy, zz, yz, xz, xy, engineering shear strain [MPa].
        boundary: "kinematic" (uniform strain on all faces; an upper bound) or "periodic".
        axes: (3, 3) rows are the orthotropic axes in (x, y, z), the stiffest first.
        orthotropic_mpa: (6, 6) tensor in those axes.
        orthotropy_error: share of the tensor (Frobenius) that is not orthotropic in those axes.
        iterations, residual, status: how the solver ended.
    """

    tensor_mpa: np.ndarray
    boundary: str
    axes: np.ndarray
    orthotropic_mpa: np.ndarray
    orthotropy_error: float
    iterations: int
    residual: float
    status: str

    @property
    def engineering_constants(self) -> dict[str, float]:
        """E1..E3, G23, G13, G12 [MPa] and nu12, nu13, nu23 in the orthotropic axes."""
        compliance = np.linalg.inv(orthotropic_part(self.orthotropic_mpa))
        e1, e2, e3, g23, g13, g12 = (float(1 / compliance[k, k]) for k in range(6))
        return {
            "E1": e1, "E2": e2, "E3": e3, "G23": g23, "G13": g13, "G12": g12,
            "nu12": float(-compliance[1, 0] * e1),
            "nu13": float(-compliance[2, 0] * e1),
            "nu23": float(-compliance[2, 1] * e2),
        }  # fmt: skip


def stiffness_tensor(
    volume: Volume,
    youngs_modulus_mpa: float | np.ndarray = TISSUE_MODULUS_MPA,
    poisson_ratio: float = POISSON_RATIO,
    boundary: Literal["kinematic", "periodic"] = "kinematic",
    tolerance: float = 1e-5,
    partial_voxels: bool = False,
) -> StiffnessTensor:
    """Six unit strains, all solved at once, and the tensor from their energy products.

    Args:
        volume: mask, or bone fraction of 0 to 255; cubic voxels.
        youngs_modulus_mpa: of bone tissue [MPa], one number or (nz, ny, nx), one for each voxel.
        poisson_ratio: of bone tissue.
        boundary: "kinematic", uniform displacement on all faces; or "periodic", where opposite faces are one (bone that
            does not meet on the other side ends there).
        tolerance: residual over load; the tensor's error is of its square.
        partial_voxels: partial voxels have their share of the modulus.

    Raises:
        InputError: no bone, none on the faces, voxels that are not cubes, too large.
        StudyError: a number or a word that is none of these.
    """
    checked(poisson_ratio, "poisson_ratio", 0.0, 0.49, "0.3")
    checked(tolerance, "tolerance", 1e-12, 0.1, "1e-5")
    if boundary not in ("kinematic", "periodic"):
        raise StudyError(f'boundary: expected "kinematic" or "periodic", got {boundary!r}')
    edge_mm(expected_volume(volume, "stiffness_tensor"))
    modulus = modulus_field(volume, youngs_modulus_mpa, partial_voxels)
    bone, _ = loaded_mesh(modulus, None, volume.provenance.source)
    if boundary == "periodic":
        kept = np.zeros(bone.shape, np.float32)
        kept[tuple(bone.voxels.T)] = bone.modulus
        bone = numbered(kept, periodic=True)
        case = periodic(bone)
    else:
        case = kinematic(bone)
    solution = require(Equilibrium(poisson_ratio, tolerance).solve(bone, case))
    tensor = solution.energy[np.ix_(_REPORTED, _REPORTED)] / float(np.prod(bone.shape))
    tensor = (tensor + tensor.T) / 2
    axes = orthotropic_axes(tensor)
    turned = rotated(tensor, axes)
    error = np.linalg.norm(mandel(turned) - mandel(orthotropic_part(turned))) / np.linalg.norm(mandel(turned))
    return StiffnessTensor(
        tensor, boundary, axes, turned, float(error), solution.iterations, solution.residual, solution.status
    )


def rotated(tensor: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The (6, 6) tensor in other axes; rows of ``axes`` are the new axes in the old ones."""
    full = _full(tensor)
    return _short(np.einsum("ai,bj,ck,dl,ijkl->abcd", axes, axes, axes, axes, full))


def orthotropic_part(tensor: np.ndarray) -> np.ndarray:
    """The tensor with everything that orthotropy forbids set to zero."""
    allowed = np.zeros((6, 6))
    allowed[:3, :3] = 1
    return tensor * (allowed + np.diag([0, 0, 0, 1, 1, 1]))


def mandel(tensor: np.ndarray) -> np.ndarray:
    """Mandel's form, in which the Frobenius norm does not depend on the axes."""
    scale = np.sqrt([1, 1, 1, 2, 2, 2])
    return tensor * scale[:, None] * scale


def orthotropic_axes(tensor: np.ndarray) -> np.ndarray:
    """(3, 3) axes in which the tensor is nearest to orthotropic, the stiffest first, right-handed.

    The start is the better of the eigenvectors of the dilatational and of the Voigt tensor (Cowin, Mehrabadi 1987,
    doi:10.1093/qjmam/40.4.451); rotations about the three axes then lower what is not orthotropic.
    """
    full = _full(tensor)
    starts = [np.linalg.eigh(np.einsum(form, full))[1].T for form in ("iikl->kl", "ikil->kl")] + [np.eye(3)]

    def wrong(axes: np.ndarray) -> float:
        turned = mandel(rotated(tensor, axes))
        return float(((turned - mandel(orthotropic_part(rotated(tensor, axes)))) ** 2).sum())

    axes = min(starts, key=wrong)
    step, best = 0.2, wrong(axes)
    while step > 1e-6:
        trials = [_turn(axis, sign * step) @ axes for axis in range(3) for sign in (1, -1)]
        values = [wrong(trial) for trial in trials]
        if min(values) < best:
            best, axes = min(values), trials[int(np.argmin(values))]
        else:
            step /= 2
    order = np.argsort([-rotated(tensor, axes)[k, k] for k in range(3)])
    axes = axes[order]
    axes *= np.where(axes[np.arange(3), np.abs(axes).argmax(axis=1)] < 0, -1, 1)[:, None]
    return axes if np.linalg.det(axes) > 0 else axes * np.array([[1], [1], [-1]])


def _turn(axis: int, angle: float) -> np.ndarray:
    first, second = (k for k in range(3) if k != axis)
    out = np.eye(3)
    out[first, first] = out[second, second] = np.cos(angle)
    out[first, second], out[second, first] = -np.sin(angle), np.sin(angle)
    return out


def _full(tensor: np.ndarray) -> np.ndarray:
    """(3, 3, 3, 3) of (6, 6)."""
    place = {(a, a): a for a in range(3)}
    for row, pair in enumerate(_PAIRS):
        place[pair] = place[pair[::-1]] = 3 + row
    out = np.empty((3, 3, 3, 3))
    for (i, j), row in place.items():
        for (k, m), column in place.items():
            out[i, j, k, m] = tensor[row, column]
    return out


def _short(full: np.ndarray) -> np.ndarray:
    pairs = [(0, 0), (1, 1), (2, 2), *_PAIRS]
    return np.array([[full[i, j, k, m] for k, m in pairs] for i, j in pairs])
