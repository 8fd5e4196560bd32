"""Nothing of a bone's turnover depends on how its work is cut, or on the room that tables have."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bone_at_work import GEOMETRY, PLAN, ROWS, TILES, Bone, foam, same
from reference.remodeling import Listed, listed

from microct.kernels import bmu_lists, bmu_table


@pytest.fixture(scope="module")
def whole():
    """Thirty steps in one block."""
    bone = Bone(foam(), 40.0)
    assert bone.go(30) == 30
    return bone


def test_where_blocks_are_cut_changes_nothing(whole):
    """Blocks of 1, 7, 18 and 4 steps, the table compacted between some of them."""
    bone = Bone(foam(), 40.0)
    for number, steps in enumerate((1, 7, 18, 4)):
        bone.go(steps)
        if number % 2:
            bone.compact()
    same(bone.fields, whole.fields)
    assert bone.moved == whole.moved
    assert bone.wanted == whole.wanted


@pytest.mark.slow
def test_sizes_of_chunks_and_tables_change_nothing(whole):
    """Other chunks (that do not divide the numbers), more candidates, room and rows: the same bits."""
    plan = bmu_table.Plan(GEOMETRY, candidates=800, births=23, carve_chunk=5, row_chunk=7, tile_chunk=45)
    bone = Bone(foam(), 40.0, plan=plan, rows=250)
    bone.go(30)
    same(bone.fields, whole.fields)
    assert bone.moved == whole.moved
    assert bone.wanted == whole.wanted > 30
    rows = slice(0, whole.count)
    same(jax.tree.map(lambda c: c[rows], listed(bone.table)), jax.tree.map(lambda c: c[rows], listed(whole.table)))


def test_a_block_stops_before_births_might_not_fit():
    bone = Bone(foam(), 40.0)
    rows = np.asarray(bone.table.live).shape[0]
    bone.counts = bmu_table.Units(rows - PLAN.births - 8)  # as if so many rows were in use
    done = bone.go(30)
    assert 0 < done < 30
    assert rows - PLAN.births < bone.count <= rows


@pytest.mark.parametrize("together", [1, ROWS])
def test_compacting_keeps_the_live_rows_in_order(whole, together):
    live = np.flatnonzero(np.asarray(whole.table.live))
    table, count = bmu_table.compacted(jax.tree.map(jnp.copy, whole.table), whole.count, together)
    for rows, tiles in ((ROWS, TILES), (2 * ROWS, TILES), (2 * ROWS, 3 * TILES)):
        table = bmu_table.enlarged(table, rows, tiles)
        assert bmu_table.room_of(table) == (rows, tiles)
        assert int(count) == len(live) > 5
        assert int(table.end) == int(np.asarray(table.tiles).sum()) > 20
        both = [
            jax.tree.map(lambda c, at=at: c[at], listed(t))
            for t, at in ((table, slice(len(live))), (whole.table, live))
        ]
        width = min(t.cell.shape[1] for t in both)
        for name in Listed._fields:
            one, other = (getattr(t, name) for t in both)
            same(*(c[:, :width] if c.ndim == 2 and name != "corner" else c for c in (one, other)))
        assert (np.asarray(table.lists.cell)[int(table.end) :] == -1).all()
        now, empty = (t._replace(lists=None) for t in (table, bmu_table.empty_table(rows, tiles)))
        same(jax.tree.map(lambda c: c[len(live) :], now), jax.tree.map(lambda c: c[len(live) :], empty))


def test_a_block_stops_before_lists_might_not_fit(whole):
    """Room for some steps' births: the block ends early, goes on in larger tables, and nothing has changed."""
    small = dataclasses.replace(PLAN, birth_tiles=400)
    bone, most = Bone(foam(), 40.0, plan=small, tiles=640), small.of_a_step.surface
    done = 0
    while bone.step < 30:
        steps = bone.go(30 - bone.step)
        bone.compact()
        if not steps:
            table, room = bone.table, bmu_table.room_of(bone.table)
            more = bmu_table.enough(room, (bone.count, int(table.end)), most)
            assert more[1] > room[1]
            bone.tables, done = bmu_table.Units(bmu_table.enlarged(table, *more)), bone.step
    assert done > 0
    same(bone.fields, whole.fields)
    assert bone.moved == whole.moved


def test_without_room_a_birth_is_left_out_whole_and_counted():
    """Should lists be too few for a step's births, no other list is touched, and the ledger says what was lost."""
    lists, end, width = bmu_lists.empty_lists(12), jnp.int32(2), 4
    cell = np.full((3, width * bmu_lists.TILE), -1, np.int32)
    for row, voxels in enumerate((70, 100, 30)):
        cell[row, :voxels] = np.arange(voxels)
    zero = np.zeros(cell.shape)
    new = bmu_lists.Columns(cell, *(zero.astype(kind) for kind in (np.int16, np.int16, np.uint8, np.uint8)))
    born = np.array([True, True, True])
    put, (_, tiles), ends, left = bmu_lists.appended(lists, end, jnp.arange(3), new, born)
    assert np.asarray(tiles).tolist() == [3, 0, 0]
    assert np.asarray(left).tolist() == [0, 100, 30]
    assert int(ends) == 5
    assert (np.asarray(put.cell)[2:5].ravel()[:70] == np.arange(70)).all()
    assert (np.asarray(put.cell)[5:] == -1).all()
    one = bmu_lists.appended(lists, jnp.int32(7), jnp.arange(1), jax.tree.map(lambda c: c[:1], new), born[:1])
    assert np.asarray(one[1][1]).tolist() == [0]
    assert int(one[2]) == 7
    assert (np.asarray(one[0].cell)[:8] == -1).all()
