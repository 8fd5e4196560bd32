"""Static equilibrium of bone under a load case: K u = f on the voxels, solved, and told how it went."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import elasticity, multigrid, multigrid_setup
from microct.kernels.components import label
from microct.kernels.device import has_accelerator
from microct.kernels.elasticity_mesh import Mesh
from microct.kernels.elasticity_mesh_device import numbered
from microct.kernels.multigrid_coarsening_device import DeviceCells
from microct.kernels.multigrid_galerkin import filled, padded
from microct.kernels.multigrid_levels import Hierarchy
from microct.kernels.multigrid_lists_device import resized
from microct.kernels.multigrid_products import fine_forces, fine_product
from microct.mechanics.loading import LoadCase
from microct.status import InputError, InternalError, NoLoadError, UnsolvedError

#: Conjugate gradient steps at most: bone takes 10 to 60.
LIMIT = 300

#: Memory of the process while it solves, the volume itself apart: for each degree of freedom, for each of these and
#: each further case, and once, for compiling [byte]. Measured on a CPU (rods, peaks at two sizes) and rounded up; that
#: of a further case is counted from the arrays.
BYTES_PER_DOF, BYTES_PER_DOF_AND_CASE, BYTES_TO_COMPILE = 190, 120, 500_000_000

#: Where a GPU solves: memory of the GPU (arrays by its compiler's plan, `benchmarks/bench_gpu_plan.py`, and what a
#: solver keeps there for its next bone), and of the host, both counted from the arrays [byte].
GPU_BYTES_PER_DOF, GPU_BYTES_PER_DOF_AND_CASE, HOST_BYTES_PER_DOF, HOST_BYTES_PER_DOF_AND_CASE = 115, 60, 60, 40


@dataclass(frozen=True)
class Solution:
    """Bone in equilibrium.

    Attributes:
        mesh: voxels and nodes.
        displacement: (nodes, cases, 3) float64, along (z, y, x), in voxel edges.
        force: (nodes, cases, 3) float64 [MPa * voxel edge^2]; times the edge squared it is in newton.
        strain: (voxels, cases, 6) float32 at the center of each voxel: zz, yy, xx, yx, zx, zy, shear as engineers do.
        energy: (cases, cases) float64, displacement . stiffness . displacement [MPa * voxel edge^3].
        iterations: conjugate gradient steps.
        residual: largest over cases of |residual| / |load|, computed anew in float64.
        status: one sentence.
        converged: whether the tolerance was reached.
        poisson_ratio: of the tissue.
    """

    mesh: Mesh
    displacement: np.ndarray
    force: np.ndarray
    strain: np.ndarray
    energy: np.ndarray
    iterations: int
    residual: float
    status: str
    converged: bool
    poisson_ratio: float

    def field(self, values: np.ndarray) -> np.ndarray:
        """(nz, ny, nx) float32 volume with ``values`` (voxels,) where bone is, 0 elsewhere."""
        out = np.zeros(self.mesh.shape, np.float32)
        out[tuple(self.mesh.voxels.T)] = values
        return out

    def energy_density(self, case: int = 0) -> np.ndarray:
        """(voxels,) strain energy density at the center of each voxel [MPa], float32."""
        strain = self.strain[:, case]
        stress = strain @ elasticity.isotropic(self.poisson_ratio).astype(np.float32)
        return 0.5 * self.mesh.modulus * np.einsum("ni,ni->n", strain, stress)


@dataclass
class Equilibrium:
    """A solver that keeps what it may use again from call to call: compiled shapes, and the numbering of a bone.

    Attributes:
        poisson_ratio: of the tissue.
        tolerance: residual over load at which to stop.
        room: share by which bone may grow before shapes change (and are compiled anew).
        limit: steps at most.
        capacity: sizes of lists for which programs are compiled.
        structure: nodes and cells of the last bone, kept while only its moduli change.
    """

    poisson_ratio: float = 0.3
    tolerance: float = 1e-6
    room: float = 0.0
    limit: int = LIMIT
    capacity: multigrid_setup.Capacity = ()
    structure: multigrid_setup.Structure | None = field(default=None, repr=False)

    def solve(self, bone: Mesh, case: LoadCase, start: Solution | None = None) -> Solution:
        """Bring bone into equilibrium.

        Args:
            bone: from `loaded_mesh` or `microct.kernels.elasticity_mesh_device.numbered`.
            case: load case on that mesh.
            start: an earlier solution of the same cases, of this bone or of one that differs in some voxels.

        Raises:
            InputError: too large for the memory of this machine.
            InternalError: numbers broke down.
        """
        cases = case.displacement.shape[1]
        refuse_too_large(len(bone.positions), cases)
        if self.structure is not None and self.structure.mesh.numbering is bone.numbering:
            self.structure = replace(self.structure, mesh=bone)  # only the moduli are new
        else:
            self.structure = multigrid_setup.structure(bone)
        self.capacity = multigrid_setup.capacity(self.structure, self.capacity, self.room)
        tree = multigrid_setup.hierarchy(self.structure, case.fixed, self.poisson_ratio, self.capacity)
        tree = multigrid.prepared(tree)
        return self._solved(tree, bone, case, start)

    def _solved(self, tree: Hierarchy, bone: Mesh, case: LoadCase, start: Solution | None) -> Solution:
        nodes, cases = len(bone.positions), case.displacement.shape[1]
        rows = tree.levels[0].smoothing.shape[0]

        def on_device(values: np.ndarray) -> jax.Array:
            out = np.zeros((rows, cases, 3))
            out[:nodes] = values
            return jax.device_put(out)

        with jax.enable_x64(True):
            stiffness = jax.device_put(elasticity.stiffness_matrix(self.poisson_ratio))
            pushed = 0.0 if case.force is None else on_device(case.force)
            affine = None if case.strain is None else _strained(tree, stiffness, jnp.asarray(case.strain))
            if affine is not None:
                pushed = pushed - affine
            moved = _given(case, rows)
            left = _left(tree, stiffness, moved, pushed)
            size = _lengths(left)
            if case.strain is not None:  # loads cancel wherever bone is uniform: compare with the largest, or with none
                scale = float(np.sqrt((bone.modulus.astype(float) ** 2).sum()) * np.abs(case.strain).max())
                size = jnp.full_like(size, jnp.maximum(size.max(), 1e-9 * scale))
            if start is not None and start.displacement.shape[1] == cases:
                moved = on_device(np.where(case.fixed[:, None, :], case.displacement, carried_over(start, bone)))
                left = _left(tree, stiffness, moved, pushed)
            iterations, residual = 0, float(_largest(left, size))
            # conjugate gradients believe in a residual that drifts: begin again from the true one
            for _ in range(3):
                if residual <= 1.05 * self.tolerance or not np.isfinite(residual) or iterations >= self.limit:
                    break
                outcome = multigrid.solve(
                    tree, stiffness, moved, left, size, jnp.float64(self.tolerance), jnp.int32(self.limit - iterations)
                )
                moved, iterations = outcome.displacement, iterations + int(outcome.iterations)
                del outcome
                left = _left(tree, stiffness, moved, pushed)
                residual = float(_largest(left, size))
            del left
            if not np.isfinite(residual):
                raise InternalError(f"{case.name}: the solver broke down after {iterations} steps (numbers overflowed)")
            force = _forces(tree, stiffness, moved)
            together = {} if tree.levels[0].around is None else {"most": 1 << 18}  # where many work side by side
            strain = elasticity.voxel_strain(moved, self._nodes(bone), **together)[: len(bone.modulus)]
            if affine is None or case.strain is None:
                energy = jnp.einsum("nci,ndi->cd", moved, force, precision="highest")
            else:
                energy = self._periodic_energy(bone, moved, force, affine, case.strain)
                strain = strain + jnp.asarray(_voigt(case.strain), strain.dtype)
            converged = residual <= 1.05 * self.tolerance
            answer = Solution(
                mesh=bone,
                displacement=np.asarray(moved)[:nodes],
                force=np.asarray(force)[:nodes],
                strain=np.asarray(strain),
                energy=np.asarray(energy),
                iterations=iterations,
                residual=residual,
                status=_sentence(converged, iterations, residual, self.tolerance),
                converged=converged,
                poisson_ratio=self.poisson_ratio,
            )
        return answer

    def _nodes(self, bone: Mesh) -> jax.Array:
        """(rows, 8) nodes of the voxels on the device, as many rows as lists of voxels have; some more beyond them."""
        rows = self.capacity[0][0]
        cells = None if self.structure is None else self.structure.cells[0]
        if isinstance(cells, DeviceCells):
            return cells.nodes if len(cells.nodes) == rows else resized(cells.nodes, cells.count, rows)
        return jax.device_put(padded(bone.nodes, rows))

    def _periodic_energy(
        self, bone: Mesh, waves: jax.Array, force: jax.Array, affine: jax.Array, strain: np.ndarray
    ) -> jax.Array:
        """Energy products of affine displacement plus periodic waves."""
        cross = jnp.einsum("nci,ndi->cd", waves, affine, precision="highest")
        own = jnp.einsum("nci,ndi->cd", waves, force, precision="highest")
        voigt = _voigt(strain)
        uniform = voigt @ elasticity.isotropic(self.poisson_ratio) @ voigt.T * bone.modulus.sum(dtype=float)
        return own + cross + cross.T + jnp.asarray(uniform)


def loaded_mesh(modulus_mpa: np.ndarray, axis: int | None, source: str = "volume") -> tuple[Mesh, int]:
    """The bone that carries load, and how many voxels of it were left out.

    Args:
        modulus_mpa: (nz, ny, nx), 0 where there is nothing.
        axis: pieces (joined by faces) that reach from face to face along this axis are kept; with None the largest.
        source: name for messages.

    Raises:
        NoLoadError: no bone, none on a loaded face, or no piece from face to face.
    """
    bone = modulus_mpa > 0
    if not bone.any():
        raise NoLoadError(f"{source}: there is no bone in the volume")
    if axis is not None:
        for name, face in (("lower", 0), ("upper", -1)):
            if not bone.take(face, axis).any():
                letter = "zyx"[axis]
                raise NoLoadError(
                    f"{source}: no bone lies on the {name} {letter} face of the volume; expected bone on both faces "
                    f"along {letter}; crop an empty border first (crop_empty_border)"
                )
    labels, count = label(bone, 6)
    if axis is None:
        kept = np.array([np.argmax(np.bincount(labels.ravel())[1:]) + 1])
    else:
        kept = np.intersect1d(labels.take(0, axis), labels.take(-1, axis))
        kept = kept[kept > 0]
        if not len(kept):
            raise NoLoadError(
                f"{source}: the bone is disconnected: none of its {count} pieces reaches from the lower to the upper "
                f"{'zyx'[axis]} face, so that it carries no load; expected one that does"
            )
    chosen = np.zeros(count + 1, bool)
    chosen[kept] = True
    if len(kept) == count:
        return numbered(modulus_mpa), 0
    carrying = chosen[labels]
    return numbered(np.where(carrying, modulus_mpa, 0)), int(bone.sum() - carrying.sum())


def carried_over(start: Solution, bone: Mesh) -> np.ndarray:
    """(nodes, cases, 3) an earlier displacement on a bone that has changed; new nodes move as their neighbors do."""
    out = np.zeros((len(bone.positions), *start.displacement.shape[1:]))
    if start.mesh.numbering is bone.numbering:
        out[:] = start.displacement
        return out
    lattice = tuple(n + 1 for n in bone.shape)
    before = np.ravel_multi_index(tuple(start.mesh.positions.T), lattice)
    now = np.ravel_multi_index(tuple(bone.positions.T), lattice)
    place = np.minimum(np.searchsorted(before, now), len(before) - 1)
    known = before[place] == now
    out[known] = start.displacement[place[known]]
    touching = np.flatnonzero(~known[bone.nodes].all(axis=1))
    nodes = bone.nodes[touching]
    seen = known[nodes]
    mean = (out[nodes] * seen[:, :, None, None]).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)[:, None, None]
    row, corner = np.nonzero(~seen & seen.any(axis=1, keepdims=True))
    out[nodes[row, corner]] = mean[row]
    return out


def refuse_too_large(nodes: int, cases: int) -> None:
    """`InputError` where the solver would need more memory than the machine, or its GPU, has free."""
    if not has_accelerator():
        _refuse(nodes, BYTES_PER_DOF + BYTES_PER_DOF_AND_CASE * (cases - 1), _free_memory(), "this machine")
        return
    _refuse(nodes, HOST_BYTES_PER_DOF + HOST_BYTES_PER_DOF_AND_CASE * (cases - 1), _free_memory(), "this machine")
    told = jax.devices()[0].memory_stats() or {}
    free = told["bytes_limit"] - told.get("bytes_in_use", 0) if "bytes_limit" in told else None
    _refuse(nodes, GPU_BYTES_PER_DOF + GPU_BYTES_PER_DOF_AND_CASE * (cases - 1), free, "its GPU")


def _refuse(nodes: int, bytes_per_dof: int, free: int | None, where: str) -> None:
    need = BYTES_TO_COMPILE + 3 * nodes * bytes_per_dof
    if free is not None and need > 0.95 * free:
        raise InputError(
            f"{3 * nodes / 1e6:.1f} million degrees of freedom need about {need / 2**30:.1f} GiB, {where} has "
            f"{free / 2**30:.1f} GiB free; crop the volume or resample it to larger voxels"
        )


def _free_memory() -> int | None:
    """Memory that may be had [byte], files that the system only keeps at hand included where it says so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def require(solution: Solution) -> Solution:
    """The solution, or `UnsolvedError` that says why it is none."""
    if not solution.converged:
        raise UnsolvedError(f"{solution.status}; ask for less (tolerance=), or remove loose bone first")
    return solution


@jax.jit
def _forces(tree: Hierarchy, stiffness: jax.Array, moved: jax.Array) -> jax.Array:
    return fine_product(tree.levels[0], moved, stiffness)


@jax.jit
def _strained(tree: Hierarchy, stiffness: jax.Array, strain: jax.Array) -> jax.Array:
    """Forces of a uniform strain (cases, 3, 3) in every voxel."""
    fine = tree.levels[0]
    corners = jnp.asarray(elasticity.CORNERS, strain.dtype)
    rows = jnp.einsum("cij,kj->cki", strain, corners).reshape(len(strain), 24) @ stiffness  # (cases, 24)
    return fine_forces(fine, rows)


def _given(case: LoadCase, rows: int) -> jax.Array:
    """(rows, cases, 3) float64 displacement where it is given, 0 elsewhere; made of the few numbers that are given."""
    node, axis = np.divmod(np.flatnonzero(case.fixed), 3)
    values = case.displacement[node, :, axis].astype(float)
    size = filled(len(node))
    return _placed(padded(node, size, rows), padded(axis, size), padded(values, size), rows)


@partial(jax.jit, static_argnames="rows")
def _placed(node: jax.Array, axis: jax.Array, values: jax.Array, rows: int) -> jax.Array:
    return jnp.zeros((rows, values.shape[1], 3), values.dtype).at[node, :, axis].set(values, mode="drop")


def _left(tree: Hierarchy, stiffness: jax.Array, moved: jax.Array, pushed: jax.Array | float) -> jax.Array:
    """What is out of balance at the free nodes; two compiled functions, since forces are asked for alone, too."""
    return _difference(pushed, _forces(tree, stiffness, moved), tree.levels[0].free)


@jax.jit
def _difference(pushed: jax.Array | float, force: jax.Array, free: jax.Array) -> jax.Array:
    return jnp.where(free[:, None, :], pushed - force, 0)


@jax.jit
def _lengths(residual: jax.Array) -> jax.Array:
    return jnp.sqrt((residual * residual).sum(axis=(0, 2)))


@jax.jit
def _largest(residual: jax.Array, size: jax.Array) -> jax.Array:
    return (_lengths(residual) / jnp.where(size > 0, size, 1)).max()


def _voigt(strain: np.ndarray) -> np.ndarray:
    """(cases, 6) engineering strain of (cases, 3, 3)."""
    return np.stack(
        [strain[:, 0, 0], strain[:, 1, 1], strain[:, 2, 2],
         2 * strain[:, 1, 2], 2 * strain[:, 0, 2], 2 * strain[:, 0, 1]], axis=1)  # fmt: skip


def _sentence(converged: bool, iterations: int, residual: float, tolerance: float) -> str:
    if converged:
        return f"converged in {iterations} steps to a residual of {residual:.1e}"
    return f"not converged: after {iterations} steps the residual is {residual:.1e}, asked for {tolerance:.0e}"
