"""Nodes of bone numbered on a device, where many work side by side: the same numbers as of `elasticity_mesh`."""

from __future__ import annotations

from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels.device import has_accelerator
from microct.kernels.elasticity import CORNERS
from microct.kernels.elasticity_mesh import Mesh, mesh
from microct.kernels.gathering import VALID
from microct.kernels.multigrid_coarsening_device import DeviceCells
from microct.kernels.multigrid_galerkin import filled, padded

#: Voxels of a volume from which on a device numbers them; fewer take the host less time than to compile that.
_MANY = 1 << 23


class DeviceMesh(Mesh):
    """A mesh whose voxels lie on the device; the host gets what it asks for of them when it first does.

    Attributes:
        cells: its voxels.
        moduli: (rows,) float32 on the device, 0 beyond their count.
    """

    cells: DeviceCells
    moduli: jax.Array

    def __init__(self, periodic: bool, cells: DeviceCells, moduli: jax.Array, positions: np.ndarray) -> None:
        self.__dict__.update(shape=cells.shape, periodic=periodic, cells=cells, moduli=moduli, positions=positions)

    @cached_property
    def voxels(self) -> np.ndarray:  # type: ignore[override]
        """As of `Mesh`."""
        return np.asarray(self.cells.places)[: self.cells.count]

    @cached_property
    def nodes(self) -> np.ndarray:  # type: ignore[override]
        """As of `Mesh`."""
        return np.asarray(self.cells.nodes)[: self.cells.count]

    @cached_property
    def modulus(self) -> np.ndarray:  # type: ignore[override]
        """As of `Mesh`."""
        return np.asarray(self.moduli)[: self.cells.count]

    @property
    def numbering(self) -> object:
        """What only meshes of the same voxels have in common."""
        return self.cells

    def with_modulus(self, modulus: np.ndarray) -> DeviceMesh:
        """The same voxels with other moduli (voxels,) float32."""
        moduli = jnp.asarray(padded(modulus, len(self.moduli)))
        return DeviceMesh(self.periodic, self.cells, moduli, self.positions)


def numbered(modulus: np.ndarray, periodic: bool = False) -> Mesh:
    """`mesh`, made on the device where that is no CPU and the volume is large."""
    if not has_accelerator() or modulus.size < _MANY:
        return mesh(modulus, periodic)
    return mesh_on_device(modulus, periodic)


def mesh_on_device(modulus: np.ndarray, periodic: bool = False) -> Mesh:
    """`mesh`, whose lists lie on the device; arguments as there."""
    shape: tuple[int, int, int] = modulus.shape  # type: ignore[assignment]
    lattice: tuple[int, int, int] = tuple(n if periodic else n + 1 for n in shape)  # type: ignore[assignment]
    if np.prod(lattice, dtype=float) >= 2**31:  # more places than int32 names
        return mesh(modulus, periodic)
    values = jnp.asarray(modulus, jnp.float32)
    voxel_at, node_at, counts = _counted(values, lattice)
    count, node_count = (int(n) for n in np.asarray(counts))
    rows, points = filled(count + 1), filled(node_count + 2)
    places, nodes, moduli, positions = _lists(values, voxel_at, node_at, counts, rows, points, lattice)
    cells = DeviceCells(shape, places, nodes, count, node_count, points, 0)
    return DeviceMesh(periodic, cells, moduli, np.asarray(positions)[:node_count])  # every load case asks for them


@partial(jax.jit, static_argnames="lattice")
def _counted(modulus: jax.Array, lattice: tuple[int, int, int]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """How many voxels, and how many nodes, there are up to each place; and how many of both in all."""
    there = modulus > 0
    for axis in range(3):  # a node is there if one of the voxels at its two sides is
        if lattice[axis] == modulus.shape[axis]:
            there = there | jnp.roll(there, 1, axis)
        else:
            before, after = ([(0, 0)] * axis + [pad] + [(0, 0)] * (2 - axis) for pad in ((1, 0), (0, 1)))
            there = jnp.pad(there, before) | jnp.pad(there, after)
    voxels = jnp.cumsum((modulus > 0).reshape(-1), dtype=jnp.int32)
    nodes = jnp.cumsum(there.reshape(-1), dtype=jnp.int32)
    return voxels, nodes, jnp.stack([voxels[-1], nodes[-1]])


@partial(jax.jit, static_argnames=("rows", "points", "lattice"))
def _lists(
    modulus: jax.Array,
    voxels: jax.Array,
    nodes: jax.Array,
    counts: jax.Array,
    rows: int,
    points: int,
    lattice: tuple[int, int, int],
) -> tuple[jax.Array, ...]:
    """Places, nodes and moduli of voxels, and positions of nodes."""

    def firsts(up_to: jax.Array, size: int) -> jax.Array:
        """(size,) places at which a running count grows."""
        grows = jnp.concatenate([up_to[:1] > 0, up_to[1:] > up_to[:-1]])
        place = jnp.arange(len(up_to), dtype=jnp.int32)
        to = jnp.where(grows, up_to - 1, size)
        return jnp.zeros(size, jnp.int32).at[to].set(place, mode="drop", unique_indices=True)

    real = jnp.arange(rows) < counts[0]
    flat = firsts(voxels, rows)
    places = jnp.stack(jnp.unravel_index(flat, modulus.shape), axis=1).astype(jnp.int32)
    moduli = jnp.where(real, modulus.reshape(-1).at[flat].get(**VALID), 0)
    named = []
    for corner in CORNERS:
        z, y, x = ((places[:, a] + int(corner[a])) % lattice[a] for a in range(3))
        at = (z * lattice[1] + y) * lattice[2] + x
        named.append(jnp.where(real, nodes.at[at].get(**VALID) - 1, points - 1))
    positions = jnp.stack(jnp.unravel_index(firsts(nodes, points), lattice), axis=1).astype(jnp.int32)
    places = jnp.where(real[:, None], places, 0)
    positions = jnp.where(jnp.arange(points)[:, None] < counts[1], positions, 0)
    return places, jnp.stack(named, axis=1), moduli, positions
