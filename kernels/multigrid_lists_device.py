"""Lists of levels whose cells lie on the device, made there; as `multigrid_lists`, which says what is what."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels.gathering import VALID
from microct.kernels.multigrid_coarsening import Coarsening
from microct.kernels.multigrid_coarsening_device import DeviceCells, DeviceCoarsening
from microct.kernels.multigrid_exceptions import OddVoxels
from microct.kernels.multigrid_galerkin import added_up, carried_at_once, deformed_to_children, filled, padded


@partial(jax.jit, static_argnames=("rows", "fill"))
def resized(array: jax.Array, count: jax.Array, rows: int, fill: int = 0) -> jax.Array:
    """The first ``count`` rows of an array, and ``fill`` in all after them up to ``rows``."""
    rest = ((0, max(rows - len(array), 0)), *((0, 0) for _ in array.shape[1:]))
    real = (jnp.arange(rows) < count).reshape(-1, *(1 for _ in array.shape[1:]))
    return jnp.where(real, jnp.pad(array[:rows], rest), fill)


def nodes_of(cells: DeviceCells, rows: int, nobody: int) -> jax.Array:
    """(rows, 8) int32 nodes of the cells, and ``nobody`` after them."""
    return resized(cells.nodes, np.int32(cells.count), rows, nobody)


def moduli_of_children(step: DeviceCoarsening, modulus: jax.Array, rows: int) -> jax.Array:
    """(rows, 8) float32 moduli of the voxels of each cell of the second level, from those of all voxels."""
    return _by_slot(step.parent, step.slot, modulus, np.int32(step.count), rows)


@partial(jax.jit, static_argnames="rows")
def _by_slot(parent: jax.Array, slot: jax.Array, modulus: jax.Array, count: jax.Array, rows: int) -> jax.Array:
    parent = jnp.where(jnp.arange(len(parent)) < count, parent, rows)
    moduli = jnp.zeros((rows, 8), jnp.float32)
    return moduli.at[parent, slot.astype(jnp.int32)].set(modulus, mode="drop", unique_indices=True)


def moduli_of_grandchildren(steps: tuple[Any, ...], modulus: jax.Array, rows: int) -> jax.Array:
    """(rows, 64) float32 moduli of the voxels of each cell of the third level; slot of the child counts more slowly."""
    one, above = steps[0], _lists_of(steps[1])[:2]
    return _by_two_slots(one.parent, one.slot, *above, modulus, np.int32(one.count), rows)


@partial(jax.jit, static_argnames="rows")
def _by_two_slots(
    between: jax.Array,
    slot: jax.Array,
    parent: jax.Array,
    slot_above: jax.Array,
    modulus: jax.Array,
    count: jax.Array,
    rows: int,
) -> jax.Array:
    to = jnp.where(jnp.arange(len(between)) < count, parent.at[between].get(**VALID), rows)
    place = slot.astype(jnp.int32) * 8 + slot_above.at[between].get(**VALID)
    moduli = jnp.zeros((rows, 64), jnp.float32)
    return moduli.at[to, place].set(modulus, mode="drop", unique_indices=True)


@partial(jax.jit, static_argnames=("finer_nodes", "rows", "more_rows"))
def _rows_of_points(
    place: jax.Array,
    row: jax.Array,
    count: jax.Array,
    more: jax.Array,
    finer_nodes: int,
    rows: int,
    more_rows: int,
) -> tuple[jax.Array, ...]:
    name = jnp.arange(len(row), dtype=jnp.int32)
    point, cell, further = place % 27, place // 27, row - count
    first = jnp.full((rows, 27), finer_nodes - 1, jnp.int32)
    first = first.at[jnp.where((row >= 0) & (further < 0), row, rows), point].set(
        name, mode="drop", unique_indices=True
    )
    to = jnp.where(further >= 0, further, more_rows)
    rest = jnp.full((more_rows, 27), finer_nodes - 1, jnp.int32)
    rest = rest.at[to, point].set(name, mode="drop", unique_indices=True)
    cells = jnp.zeros(more_rows, jnp.int32).at[to].max(cell, mode="drop")
    # rows come round by round, and the cells of a round ascend
    there = jnp.arange(more_rows) < more
    begins = there & jnp.concatenate([jnp.zeros(1, bool), cells[1:] <= cells[:-1]])
    rounds = jnp.where(there, jnp.cumsum(begins, dtype=jnp.int32), 0).astype(jnp.int8)
    return first, rest, cells, rounds


def points_of(step: DeviceCoarsening, count: int, finer_nodes: int, rows: int, more_rows: int) -> dict[str, Any]:
    """The fields of a level of ``count`` cells that say where these lie on the finer one."""
    more_rows = max(more_rows, filled(step.more))
    first, rest, cells, rounds = _rows_of_points(
        step.place, step.row, np.int32(count), np.int32(step.more), finer_nodes, rows, more_rows
    )
    return {
        "points": first,
        "more_count": np.int32(step.more),
        "more_points": rest,
        "more_cells": cells,
        "more_round": rounds,
    }


@jax.jit
def _different(
    nodes: jax.Array, count: jax.Array, stretched: tuple[jax.Array, ...], free: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """(rows,) whether the stiffness of a voxel differs from the rule, and of how many it does.

    ``stretched``: of the voxels, their parents, and whether those are.
    """
    own, parent, above = stretched
    held = ~free.all(axis=1)
    different = (own != 0) | (above.at[parent].get(**VALID) != 0) | held.at[nodes].get(mode="clip").any(axis=1)
    different &= jnp.arange(len(nodes)) < count
    return different, different.sum()


@partial(jax.jit, static_argnames="size")
def _chosen(chosen: jax.Array, lists: tuple[jax.Array, ...], size: int) -> tuple[jax.Array, ...]:
    """Rows of lists where ``chosen``, ``size`` of them."""
    rows = jnp.flatnonzero(chosen, size=size)
    return tuple(each.at[rows].get(**VALID) for each in lists)


def odd_voxels(voxels: DeviceCells, modulus: jax.Array, steps: tuple[Any, ...], free: jax.Array) -> OddVoxels:
    """Voxels at held nodes, and such as are stretched or have a parent that is; they are few, and go to the host."""
    first = steps[0]
    above = jnp.zeros(len(first.parent), jnp.int8) if len(steps) == 1 else _lists_of(steps[1])[2]
    different, found = _different(voxels.nodes, np.int32(voxels.count), (first.stretched, first.parent, above), free)
    number = int(found)
    lists = (voxels.nodes, modulus, first.parent, first.slot, first.stretched)
    return OddVoxels(*(np.asarray(each)[:number] for each in _chosen(different, lists, filled(number))))


def _lists_of(step: Coarsening | DeviceCoarsening) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Parent, slot and stretch of all cells on the device, from wherever they are; more rows than there are cells."""
    if isinstance(step, DeviceCoarsening):
        return step.parent, step.slot, step.stretched
    rows = filled(len(step.parent) + 1)
    return tuple(jnp.asarray(padded(each, rows)) for each in step.of_cells(slice(None)))  # type: ignore[return-value]


def next_level(matrices: jax.Array, step: DeviceCoarsening, rows: int) -> jax.Array:
    """`multigrid_galerkin.next_level`; there are more matrices than cells."""
    names, slot = (resized(each, np.int32(step.count), len(matrices)) for each in (step.parent, step.slot))
    return added_up(names, step.count, carried_at_once(matrices, slot, deformed_to_children()), rows)
