"""Where BMUs are born: a Poisson process on the bone surface, by thinning.

Candidates fall uniformly over the whole volume and each is kept with the local surface density, the length of the
smoothed gradient of bone fraction (coarea formula). A smoothed gradient misses part of a thin structure's surface (18 % from 20 to
40 um voxels), so the caller scales the number of candidates with the Crofton surface divided by `gradient_sum`: where bone
is, the gradient says; how much there is, the Crofton surface.

A candidate that falls on surface which a live BMU holds counts as a birth and is moved to the next candidate on free surface, so that
activation frequency keeps its definition, births for each site of the whole surface and year.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import random, window

Array = Any

#: Largest length of the Sobel gradient that is told apart [1/32 of a bone fraction step]; steps and planes stay below.
DENSITY_LIMIT = 5376
#: Length of the gradient [same unit] whose integral over a plane's thickness is one voxel face.
DENSITY_UNIT = 32 * 255

_OFFSETS = window.DIRECTIONS


def _density(gz: Array, gy: Array, gx: Array) -> Array:
    square = (gz.astype(jnp.float32) ** 2 + gy.astype(jnp.float32) ** 2) + gx.astype(jnp.float32) ** 2
    return jnp.minimum(jnp.round(jnp.sqrt(square)).astype(jnp.int32), DENSITY_LIMIT)


@jax.jit
def _plane_sums(fraction: Array) -> Array:
    """Sum of the density over each z-plane, int32 [1/16 of the density's unit]."""
    padded = jnp.pad(fraction, ((1, 1), (0, 0), (0, 0)), mode="edge")

    def plane(z: Array) -> Array:
        slab = jax.lax.dynamic_slice_in_dim(padded, z, 3, axis=0)
        gz, gy, gx = window.sobel(slab)
        return jnp.sum(_density(gz[1], gy[1], gx[1]) >> 4)

    return jax.lax.map(plane, jnp.arange(fraction.shape[0]))


def gradient_sum(fraction: Array) -> float:
    """Surface of the whole volume as the thinning sees it [voxel faces]; Crofton surface / this scales the births."""
    return float(np.asarray(_plane_sums(jnp.asarray(fraction))).astype(np.int64).sum()) * 16.0 / DENSITY_UNIT


def acceptance(gradient_surface: float, voxels: int) -> float:
    """Share of candidates that fall on surface, for `gradient_sum` of ``gradient_surface`` [voxel faces]."""
    return max(gradient_surface * DENSITY_UNIT / (voxels * DENSITY_LIMIT), 1e-6)


def sites(
    fraction: Array, owner: Array, seed: Array, step: Array, count: Array, candidates: int, births: int
) -> tuple[Array, Array, Array, Array]:
    """Draw the birth sites of one step.

    Args:
        fraction: (nz, ny, nx) uint8.
        owner: (nz, ny, nx) uint16, 0 where no BMU holds the voxel.
        seed, step: key of the random numbers.
        count: number of candidates that this step has (a Poisson number).
        candidates: static; how many are drawn, those beyond ``count`` are spares.
        births: static; how many sites fit.

    Returns:
        (position, index, wanted, found): (births, 3) int32 positions, (births,) int32 candidate indices, the number
        of births that the process asked for and of sites found on free surface (at most ``wanted``).
    """
    shape = fraction.shape
    index = jnp.arange(candidates, dtype=jnp.int32)
    first, second = random.words(seed, step, random.POSITION, index)
    third, fourth = random.words(seed, step, random.ACCEPTANCE, index)
    position = jnp.stack([random.below(word, n) for word, n in zip((first, second, third), shape, strict=True)], axis=1)

    around = position[:, None, :] + jnp.asarray(_OFFSETS)[None]
    around = jnp.clip(around, 0, jnp.asarray(shape, jnp.int32) - 1)
    z, y, x = around[..., 0], around[..., 1], around[..., 2]
    cube = fraction[z, y, x].astype(jnp.int32).reshape(-1, 3, 3, 3)
    held = (owner[z, y, x] != 0).any(axis=1)
    kernel = jnp.asarray([1, 2, 1], jnp.int32)
    plane = kernel[:, None] * kernel[None, :]
    gz = jnp.sum((cube[:, 2] - cube[:, 0]) * plane, axis=(1, 2))
    gy = jnp.sum((cube[:, :, 2] - cube[:, :, 0]) * plane, axis=(1, 2))
    gx = jnp.sum((cube[:, :, :, 2] - cube[:, :, :, 0]) * plane, axis=(1, 2))
    accepted = random.below(fourth, DENSITY_LIMIT) < _density(gz, gy, gx)

    wanted = jnp.sum(accepted & (index < count))
    usable = accepted & ~held
    running = jnp.cumsum(usable.astype(jnp.int32))
    found = jnp.minimum(jnp.minimum(wanted, running[-1]), births)
    chosen = jnp.searchsorted(running, jnp.arange(1, births + 1, dtype=jnp.int32))
    chosen = jnp.minimum(chosen, candidates - 1).astype(jnp.int32)
    return position[chosen], chosen, wanted, found
