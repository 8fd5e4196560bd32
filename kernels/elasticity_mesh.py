"""Voxels of bone as a list of hexahedra: nodes numbered where bone is, faces joined where the volume repeats itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from microct.kernels.elasticity import CORNERS


@dataclass(frozen=True)
class Mesh:
    """Hexahedra and their nodes.

    Attributes:
        shape: voxels of the volume along axes 0, 1, 2.
        periodic: whether opposite faces of the volume are one.
        voxels: (n, 3) int32 place of each voxel that has a modulus, in raster order.
        nodes: (n, 8) int32 nodes of each voxel.
        modulus: (n,) float32.
        positions: (nodes, 3) int32 place of each node on the lattice, in raster order.
    """

    shape: tuple[int, int, int]
    periodic: bool
    voxels: np.ndarray
    nodes: np.ndarray
    modulus: np.ndarray
    positions: np.ndarray

    @property
    def numbering(self) -> object:
        """What only meshes of the same voxels have in common."""
        return self.nodes

    def with_modulus(self, modulus: np.ndarray) -> Mesh:
        """The same voxels with other moduli (voxels,) float32."""
        return replace(self, modulus=modulus)


def mesh(modulus: np.ndarray, periodic: bool = False) -> Mesh:
    """One hexahedron for each voxel with a modulus.

    Args:
        modulus: (n0, n1, n2) Young's modulus, 0 where there is nothing.
        periodic: join opposite faces.

    Returns:
        The mesh; nodes and voxels in raster order.
    """
    shape: tuple[int, int, int] = modulus.shape  # type: ignore[assignment]
    flat = np.flatnonzero(modulus.ravel() > 0)
    places = np.stack(np.unravel_index(flat, shape), axis=1).astype(np.int32)
    values = modulus.reshape(-1)[flat].astype(np.float32)
    lattice = np.array([n if periodic else n + 1 for n in shape])
    number = np.int32 if lattice.prod() < 2**31 else np.int64
    stride = np.array([lattice[1] * lattice[2], lattice[2], 1])
    # the place of a corner on the lattice is the sum of one term for each axis, so that wrapping costs nothing
    terms = [[((places[:, a] + o) % lattice[a]).astype(number) * number(stride[a]) for o in (0, 1)] for a in range(3)]
    node_at = np.zeros(int(lattice.prod()), np.int32)
    for corner in CORNERS:
        node_at[terms[0][corner[0]] + terms[1][corner[1]] + terms[2][corner[2]]] = 1
    used = np.flatnonzero(node_at)
    node_at[used] = np.arange(len(used), dtype=np.int32)
    nodes = np.empty((len(places), 8), np.int32)
    for k, corner in enumerate(CORNERS):
        nodes[:, k] = node_at[terms[0][corner[0]] + terms[1][corner[1]] + terms[2][corner[2]]]
    del node_at, terms
    positions = np.empty((len(used), 3), np.int32)
    for axis, at in enumerate(np.unravel_index(used, tuple(lattice))):
        positions[:, axis] = at
    return Mesh(shape, periodic, places, nodes, values, positions)
