"""Load cases: which nodes are held or moved, and by how much. Displacement in voxel edges.

Forces are those on a bone of unit edge, MPa * voxel edge^2: newton over the square of the edge in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from microct.kernels.elasticity_mesh import Mesh
from microct.status import InputError, StudyError

AXES = {"z": 0, "y": 1, "x": 2}
Ends = Literal["clamped", "frictionless", "clamped-bottom"]

#: The six strains in the order of `microct.kernels.elasticity`: 00, 11, 22, 12, 02, 01 (engineering shear).
UNIT_STRAINS = np.array(
    [[[1, 0, 0], [0, 0, 0], [0, 0, 0]],
     [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
     [[0, 0, 0], [0, 0, 0], [0, 0, 1]],
     [[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]],
     [[0, 0, 0.5], [0, 0, 0], [0.5, 0, 0]],
     [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]]
)  # fmt: skip


@dataclass(frozen=True)
class LoadCase:
    """What is given at the nodes of a mesh.

    Attributes:
        name: for messages and tables.
        fixed: (nodes, 3) bool, where displacement along (z, y, x) is given.
        displacement: (nodes, cases, 3) given displacement in voxel edges; elsewhere ignored, but for an affine field of
            a periodic mesh, which is all of it.
        force: (nodes, cases, 3) given forces [MPa * voxel edge^2], or None.
        strain: (cases, 3, 3) average strain of a periodic mesh, or None.
    """

    name: str
    fixed: np.ndarray
    displacement: np.ndarray
    force: np.ndarray | None = None
    strain: np.ndarray | None = None


def axis_number(axis: str) -> int:
    """0, 1, 2 for "z", "y", "x"."""
    if axis not in AXES:
        raise StudyError(f'axis: expected "z", "y" or "x", got {axis!r}')
    return AXES[axis]


def end_nodes(mesh: Mesh, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Which nodes lie on the lower and on the upper face; `InputError` where one face has no bone."""
    at = mesh.positions[:, axis]
    low, high = at == 0, at == mesh.shape[axis]
    for name, face in (("lower", low), ("upper", high)):
        if not face.any():
            letter = "zyx"[axis]
            raise InputError(
                f"no bone lies on the {name} {letter} face of the volume, so that nothing can be loaded; "
                f"expected bone on both faces along {letter} (crop an empty border first)"
            )
    return low, high


def compression(mesh: Mesh, axis: str = "z", strain: float = -0.01, ends: Ends = "clamped") -> LoadCase:
    """The upper face moves by ``strain`` times the length; negative is compression.

    Args:
        mesh: of the bone.
        axis: of the load.
        strain: average strain of the block.
        ends: "clamped" holds both faces sideways, "frictionless" none, "clamped-bottom" the lower one only.
    """
    if ends not in ("clamped", "frictionless", "clamped-bottom"):
        raise StudyError(f'ends: expected "clamped", "frictionless" or "clamped-bottom", got {ends!r}')
    a = axis_number(axis)
    low, high = end_nodes(mesh, a)
    fixed = np.zeros((len(mesh.positions), 3), bool)
    fixed[low | high, a] = True
    if ends != "frictionless":
        fixed[low] = True
    if ends == "clamped":
        fixed[high] = True
    moved = np.zeros((len(fixed), 1, 3))
    moved[high, 0, a] = strain * mesh.shape[a]
    return LoadCase(f"compression along {axis}, {ends} ends", fixed, moved)


def shear(mesh: Mesh, axis: str = "z", direction: str = "x", strain: float = 0.01) -> LoadCase:
    """Both faces along ``axis`` are held; the upper one moves sideways along ``direction``."""
    a, d = axis_number(axis), axis_number(direction)
    if a == d:
        raise StudyError(f"shear: expected a direction across the axis, got {direction!r} along {axis!r}")
    low, high = end_nodes(mesh, a)
    moved = np.zeros((len(mesh.positions), 1, 3))
    moved[high, 0, d] = strain * mesh.shape[a]
    return LoadCase(f"shear of {axis} faces along {direction}", _held(low | high), moved)


def bending(mesh: Mesh, axis: str = "z", about: str = "x", angle: float = 0.01) -> LoadCase:
    """Both faces along ``axis`` stay plane and turn against each other by ``angle`` [rad] about ``about``."""
    a, b = axis_number(axis), axis_number(about)
    if a == b:
        raise StudyError(f"bending: expected to turn about an axis across {axis!r}, got {about!r}")
    low, high = end_nodes(mesh, a)
    across = 3 - a - b
    lever = mesh.positions[:, across] - mesh.shape[across] / 2
    moved = np.zeros((len(mesh.positions), 1, 3))
    moved[high, 0, a] = 0.5 * angle * lever[high]
    moved[low, 0, a] = -0.5 * angle * lever[low]
    fixed = np.zeros((len(mesh.positions), 3), bool)
    fixed[low | high, a] = True
    fixed[low] = True
    return LoadCase(f"bending of {axis} about {about}", fixed, moved)


def torsion(mesh: Mesh, axis: str = "z", angle: float = 0.01) -> LoadCase:
    """The lower face is held, the upper one turns by ``angle`` [rad] about the block's middle line."""
    a = axis_number(axis)
    low, high = end_nodes(mesh, a)
    b, c = (k for k in range(3) if k != a)
    moved = np.zeros((len(mesh.positions), 1, 3))
    moved[high, 0, b] = -angle * (mesh.positions[high, c] - mesh.shape[c] / 2)
    moved[high, 0, c] = angle * (mesh.positions[high, b] - mesh.shape[b] / 2)
    return LoadCase(f"torsion about {axis}", _held(low | high), moved)


def kinematic(mesh: Mesh) -> LoadCase:
    """Six unit strains, each given as displacement on all faces of the block (an upper bound of the tensor)."""
    outside = ((mesh.positions == 0) | (mesh.positions == np.array(mesh.shape))).any(axis=1)
    if not outside.any():
        raise InputError("no bone reaches the faces of the volume; expected bone on them (crop an empty border first)")
    moved = np.einsum("sij,nj->nsi", UNIT_STRAINS, mesh.positions.astype(float))
    return LoadCase("six kinematic uniform strains", _held(outside), moved)


def periodic(mesh: Mesh) -> LoadCase:
    """Six unit strains of a block that repeats itself in all directions."""
    nodes = len(mesh.positions)
    return LoadCase(
        "six periodic strains", np.zeros((nodes, 3), bool), np.zeros((nodes, 6, 3)), strain=UNIT_STRAINS.astype(float)
    )


def node_sets(
    mesh: Mesh, fixed: np.ndarray, displacement: np.ndarray, force: np.ndarray | None = None, name: str = "node sets"
) -> LoadCase:
    """Given displacements and forces at any nodes.

    Args:
        mesh: of the bone; ``mesh.positions`` says where its nodes are.
        fixed: (nodes, 3) bool.
        displacement: (nodes, 3) or (nodes, cases, 3) in voxel edges.
        force: the same shape [MPa * voxel edge^2: newton over the square of the edge in mm], or None.
        name: for messages.
    """
    moved = np.asarray(displacement, float).reshape(len(mesh.positions), -1, 3)
    pushed = None if force is None else np.asarray(force, float).reshape(moved.shape)
    if fixed.shape != (len(mesh.positions), 3):
        raise InputError(f"fixed: expected shape {(len(mesh.positions), 3)}, got {fixed.shape}")
    return LoadCase(name, np.asarray(fixed, bool), moved, pushed)


def _held(nodes: np.ndarray) -> np.ndarray:
    return np.repeat(nodes[:, None], 3, axis=1)
