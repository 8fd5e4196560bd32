"""Kernels that pass over every voxel, each with the bytes and operations that it cannot do without.

Bytes are counted as if every array were read once and written once. A kernel of several passes, none of which can
begin before the last has ended, is counted pass by pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from bones import field, specimen


@dataclass(frozen=True)
class Work:
    """One kernel on one volume, ready to be called.

    Attributes:
        name, edge: which.
        units: voxels or cells worked on.
        bytes, operations, kind: what it cannot do without; ``kind`` names the rate of `roofline.Limits`.
        do: one call.
        says: how bytes and operations were counted.
    """

    name: str
    edge: int
    units: int
    bytes: float
    operations: float
    kind: str
    do: Callable[[], Any]
    says: str


@lru_cache(maxsize=1)
def levels(edge: int) -> Any:
    """(mesh, hierarchy) of a field of bone, held at its lower face: what the micro-FE solver works with here."""
    from microct.kernels import multigrid, multigrid_setup
    from microct.kernels.elasticity_mesh import mesh

    bone = mesh(field(edge, 0.22).astype(np.float32))
    fixed = np.repeat(bone.positions[:, :1] == 0, 3, axis=1)
    made = multigrid_setup.hierarchy(multigrid_setup.structure(bone), fixed, 0.3)
    return bone, jax.block_until_ready(multigrid.prepared(made))


def elasticity_product(edge: int, kind: str) -> Work:
    """Fine stiffness times displacement, as in every step of the micro-FE solver."""
    from microct.kernels.elasticity import stiffness_matrix
    from microct.kernels.multigrid_products import fine_product

    bone, tree = levels(edge)
    voxels, nodes = len(bone.nodes), len(bone.positions)
    with jax.enable_x64(kind == "float64"):
        matrix = jnp.asarray(stiffness_matrix(0.3), kind)
        shape = (tree.levels[0].smoothing.shape[0], 1, 3)
        moved = jnp.asarray(np.random.default_rng(1).standard_normal(shape), kind)
        product = jax.jit(fine_product)

    def do() -> Any:
        with jax.enable_x64(kind == "float64"):
            return product(tree.levels[0], moved, matrix)

    size = 4 if kind == "float32" else 8
    return Work(
        f"elasticity product, {kind}", edge, voxels, voxels * 20.0 + nodes * 6.0 * size,
        voxels * (2.0 * 24 * 24 + 48), kind, do,
        "4 node numbers and a modulus a voxel; displacement read, force written; a full 24 x 24 product",
    )  # fmt: skip


def multigrid_cycle(edge: int) -> Work:
    """One cycle of the preconditioner: most of the time of a micro-FE solution."""
    from microct.kernels import multigrid
    from microct.kernels.multigrid_vectors import laid_out

    bone, tree = levels(edge)
    bytes_, operations, visits = 0.0, 0.0, 1.0
    for n, level in enumerate(tree.levels[:-1]):
        # pre-smoothing, the correction's residual, post-smoothing; below the finest one more in each of the few steps
        products = visits * (2 * multigrid.DEGREES[min(n, len(multigrid.DEGREES) - 1)] + (n > 0))
        cells, points = float(level.count), float(level.smoothing.shape[0])
        own, work = (20.0, 1152.0) if n == 0 else (64.0, 9216.0) if n == 1 else (2336.0, 1152.0)
        bytes_ += products * (cells * own + points * 24.0)
        operations += products * cells * (work + 48.0)
        visits *= max(multigrid.STEPS[min(n, len(multigrid.STEPS) - 1)], 1) if n + 2 < len(tree.levels) else 1
    residual = laid_out(jnp.ones((tree.levels[0].smoothing.shape[0], 1, 3), jnp.float32))
    cycle = jax.jit(lambda tree, residual: multigrid.cycle(tree, 0, residual))
    return Work("multigrid cycle", edge, 3 * len(bone.positions), bytes_, operations, "float32",
                lambda: cycle(tree, residual),
                "every product: nodes and stiffness of cells and a vector read, a vector written")  # fmt: skip


def histogram(edge: int) -> Work:
    """The one pass of morphometry: 256 patterns of 2 x 2 x 2."""
    from microct.kernels.stencil import configuration_histogram

    bone = _placed(field(edge))
    return Work("one-pass histogram", edge, bone.size, 1.0 * bone.size, 8.0 * bone.size, "uint8",
                lambda: configuration_histogram(bone), "each voxel read once; 7 shifts and ors, one count")  # fmt: skip


def functionals(edge: int) -> Work:
    """Volume, Crofton surface with bending, curvature, Euler number and mean intercept length."""
    from microct.kernels.minkowski import measure_block

    bone = _placed(field(edge))
    return Work("volume, surface, Euler, MIL", edge, bone.size, 1.0 * bone.size, 16.0 * bone.size, "uint8",
                lambda: measure_block(bone, (1.0, 1.0, 1.0)),
                "each voxel read once; the histogram's 8 operations, and as many for bending")  # fmt: skip


def distance(edge: int) -> Work:
    """Exact squared distances."""
    from microct.kernels.distance import squared_distance

    bone = _placed(field(edge))
    return Work("squared distance", edge, bone.size, 21.0 * bone.size, 40.0 * bone.size, "int32",
                lambda: squared_distance(bone),
                "three passes: a byte in, four out; four in, four out, twice; about 40 operations for structures of "
                "10 voxels")  # fmt: skip


def thickness(edge: int) -> Work:
    """Exact local thickness, whose work depends on the structure: its floor is its input and output alone."""
    from microct.kernels.thickness import local_squared_radius

    bone = _placed(field(edge))
    return Work("local thickness", edge, bone.size, 26.0 * bone.size, 40.0 * bone.size, "int32",
                lambda: local_squared_radius(bone),
                "distances, and four bytes more out; what balls cost is not counted")  # fmt: skip


def surface(edge: int) -> Work:
    """Surface as the births see it: half of the stock-taking."""
    from microct.kernels.activation import surface as measured

    fraction = _placed(specimen(edge, 128).values, always=True)
    return Work("surface of births", edge, fraction.size, 1.0 * fraction.size, 100.0 * fraction.size, "float32",
                lambda: measured(fraction), "each voxel read once; three Sobel gradients, three normals")  # fmt: skip


def stock(edge: int) -> Work:
    """Stock-taking: islands lost, surface measured anew."""
    from bones import built

    from microct.simulation import step
    from microct.simulation.build import first_state

    bone = specimen(edge, 128)
    state = first_state(built(bone, 0.4, 1.0), bone)
    return Work("stock-taking", edge, bone.values.size, 2.0 * bone.values.size, 108.0 * bone.values.size, "float32",
                partial(step.take_stock, state),
                "each voxel read for the labels and for the surface; labels need not be written")  # fmt: skip


def random_words(edge: int) -> Work:
    """Random numbers: two words for each index, as births draw them."""
    from microct.kernels import random

    index = jnp.arange(edge**3, dtype=jnp.int32)
    words = jax.jit(partial(random.words, stream=random.POSITION))
    return Work("random words", edge, edge**3, 12.0 * edge**3, 115.0 * edge**3, "int32",
                lambda: words(jnp.uint32(1), jnp.int32(5), index=index),
                "an index in, two words out; 20 rounds of 5 operations, 15 for keys")  # fmt: skip


def _placed(values: np.ndarray, always: bool = False) -> Any:
    """Where the product keeps it: on the host of a CPU, on the device of an accelerator."""
    return jax.device_put(values) if always or jax.default_backend() != "cpu" else values


#: Edges on a CPU and on a GPU for each kernel: such that arrays fit into no cache, in the order of worth.
KERNELS: tuple[tuple[str, Callable[[int], Work], tuple[int, ...], tuple[int, ...]], ...] = (
    ("elasticity product, float32", partial(elasticity_product, kind="float32"), (128,), (192,)),
    ("elasticity product, float64", partial(elasticity_product, kind="float64"), (128,), (192,)),
    ("multigrid cycle", multigrid_cycle, (128,), (192,)),
    ("one-pass histogram", histogram, (256,), (512, 1024)),
    ("squared distance", distance, (256,), (512,)),
    ("surface of births", surface, (256,), (512, 1024)),
    ("volume, surface, Euler, MIL", functionals, (256,), (512,)),
    ("stock-taking", stock, (256,), (512,)),
    ("random words", random_words, (256,), (512,)),
    ("local thickness", thickness, (128,), (256,)),
)


def all_work(on_cpu: bool, edge: int | None, only: str) -> Iterator[tuple[str, Callable[[], Work]]]:
    """(row's name, how its work is made ready) for every kernel whose name holds ``only``."""
    for name, make, host, device in KERNELS:
        for size in (edge,) if edge else host if on_cpu else device:
            if only in name:
                yield f"{name}, {size}^3", partial(make, size)
