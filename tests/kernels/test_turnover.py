"""The life of BMUs on voxels: each step by its definition, and what holds at every step."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bone_at_work import (
    CONES,
    GEOMETRY,
    MODELING,
    PLAN,
    SCHEDULE,
    SEED,
    SHARES,
    TUNNELS,
    UNIT,
    VOXEL_UM,
    Bone,
    foam,
    same,
    thick_slab,
    together,
)
from reference import osteon
from reference import remodeling as definition

from microct.kernels import bmu_table
from microct.kernels import cavity as cav
from microct.remodeling import bmu

carve = jax.jit(cav.carve, static_argnames=("geometry", "modeling"))


# --- one step by its definition ---------------------------------------------------------------------------------------


def carved(fraction, owned, origin, depth, growth, salt, modeling=False):
    area = np.float32(bmu.footprint_faces(UNIT, VOXEL_UM))
    numbers = (np.array(origin, np.int32), depth, area, growth, np.uint32(salt))
    return jax.tree.map(np.asarray, carve(fraction, owned, *numbers, GEOMETRY, modeling=modeling))


def uneven():
    """Places that ask for fewer and more births, for thinner and thicker walls."""
    steps = np.indices((24, 24, 64), dtype=np.int64)
    return bmu_table.Local(
        jnp.asarray((steps[2] * 4 % 256).astype(np.uint8)),
        jnp.asarray((96 + steps[0] * 2).astype(np.uint8)),
        jnp.asarray((steps[1] * 10).astype(np.uint8)),
    )


def quarters():
    """Four compartments, side by side along x."""
    return jnp.asarray((np.indices((24, 24, 64))[2] // 16).astype(np.uint8))


@pytest.mark.parametrize(
    ("wall_um", "start", "local", "place", "packets", "cones", "wide"),
    [
        (40.0, 21, False, False, 0, 0, False),
        pytest.param(50.0, 9, False, False, 0, 0, False, marks=pytest.mark.slow),
        pytest.param(44.0, 13, True, False, 0, 0, False, marks=pytest.mark.slow),
        pytest.param(44.0, 15, True, True, 40, 0, False, marks=pytest.mark.slow),
        pytest.param(44.0, 17, True, True, 40, 60, False, marks=pytest.mark.slow),
        pytest.param(44.0, 17, True, True, 40, 60, True, marks=pytest.mark.slow),
        pytest.param(44.0, 14, False, True, 24, 0, False, marks=pytest.mark.slow),
        (44.0, 22, False, True, 0, 60, False),
    ],
)
def test_a_step_is_that_of_the_definition(wall_um, start, local, place, packets, cones, wide):
    """All fronts, floors, releases, births and claims of two steps, bit for bit, amid BMUs in all their phases; also
    where many are worked on at once.
    """
    local, place = uneven() if local else None, quarters() if place else None
    plan = dataclasses.replace(TUNNELS, packets=packets and 8) if cones else MODELING if packets else PLAN
    plan = dataclasses.replace(plan, carve_chunk=5, row_chunk=7, tile_chunk=45) if wide else plan
    bone = Bone(foam(), wall_um, 48 if local else 24, plan=plan, local=local, place=place, packets=packets, cones=cones)
    bone.go(start)
    host = None if place is None else np.asarray(place)
    kinds = set()
    births = 0
    for _ in range(2):
        step, counts, fields, tables = bone.step, bone.counts, *jax.tree.map(np.array, (bone.fields, bone.tables))
        table, count = together(tables, counts), sum(counts.there)
        now = jax.tree.map(lambda asked: asked[0], bone.demand(step))
        new, rows = definition.advance(fields, table, count, step, SCHEDULE, now.wall, CONES, now.osteon_wall, plan)
        new, born, wanted = definition.bear(new, step, SEED, now, SHARES, plan, carved, local, host)
        if packets:
            new, more, _ = definition.bear(new, step, SEED, now, SHARES, plan, carved, local, host, modeling=True)
            born += more
        tunnels = []
        if cones:
            new, tunnels, more = definition.bear_tunnels(new, step, SEED, now, SHARES, plan, CONES, host, local)
            wanted += more
        asked = bone.wanted
        bone.go(1)
        for name in ("fraction", "owner", "formed_on"):
            np.testing.assert_array_equal(np.asarray(getattr(bone.fields, name)), new[name], err_msg=name)
        after = definition.Rows(together(bone.tables, counts))
        for name in ("live", "stop_front", "resorbed", "formed"):
            np.testing.assert_array_equal(after.column[name][:count], rows.column[name][:count], err_msg=name)
        np.testing.assert_array_equal(after.cell[:count, : rows.cell.shape[1]], rows.cell[:count])
        assert (
            bone.counts.there == (counts.surface + len(born), (counts.tunnels or 0) + len(tunnels))[: len(counts.there)]
        )
        assert bone.wanted == asked + wanted
        units = [(bone.tables.surface, *unit) for unit in enumerate(born, start=counts.surface)]
        units += [(bone.tables.tunnels, *unit) for unit in enumerate(tunnels, start=counts.tunnels)] if tunnels else []
        for table, row, unit in units:
            after = definition.Rows(table)
            for name in ("corner", "mean_depth", "prescribed", "salt", "wall_share", "kind"):
                np.testing.assert_array_equal(after.column[name][row], unit[name])
            if "voxels" in unit:
                expected = np.array(osteon.listed(unit["voxels"])).reshape(-1, 3)
                for name, wanted_list in zip(("cell", "delta", "floor"), expected.T, strict=True):
                    np.testing.assert_array_equal(after.column[name][row][: len(expected)], wanted_list, err_msg=name)
                assert (after.cell[row][len(expected) :] == -1).all()
                assert (after.final_front[row], after.born[row]) == (4096 * bool(len(expected)), step)
                continue
            used = np.asarray(unit["cavity"].cell) >= 0
            for name in ("cell", "delta", "profile", "before", "floor"):
                same(after.column[name][row][: used.sum()], np.asarray(getattr(unit["cavity"], name))[used])
            assert (after.cell[row][used.sum() :] == -1).all()
            assert after.area[row] == unit["cavity"].area
            front = int(unit["cavity"].final_front)
            assert (after.final_front[row], after.stop_front[row]) == (max(front, 0), front)
            assert after.born[row] == step
            assert bool(after.live[row]) == (front != 0)
        births += len(born) + len(tunnels)
        kinds |= set(together(bone.tables, bone.counts).kind)
    assert births > 0
    assert len(kinds) >= (4 if packets or cones else 1)
    if cones:
        # Of canals and of the endocortical surface, travelling either way.
        tunnels = {int(k) for k in kinds if k & 8}
        assert {k & 3 for k in tunnels} == {1, 2}
        assert {k & 16 for k in tunnels} == {0, 16}
    ages = bone.step - 1 - together(bone.tables, bone.counts).born
    assert ages.max() >= start - 2
    assert bone.moved[1] > 0


# --- what holds at every step -----------------------------------------------------------------------------------------


def test_ledger_and_ownership_hold_at_every_step():
    bone = Bone(foam(), 40.0)
    initial = int(bone.fraction.astype(int).sum())
    for _ in range(26):
        bone.go(1)
        resorbed, formed = bone.moved
        assert int(bone.fraction.astype(int).sum()) == initial - resorbed + formed
        held = bone.held()
        assert len(np.unique(held, axis=0)) == len(held)
        owner = np.asarray(bone.fields.owner)
        assert (owner[tuple(held.T)] > 0).all()
        assert (owner > 0).sum() == len(held)
    assert resorbed > formed > 0


def test_zero_balance_restores_the_bone_bit_for_bit():
    """On thick bone every voxel comes back to what it was, and every BMU lets go."""
    bone = Bone(thick_slab(), 47.0, births_until=8, candidates=100)
    bone.go(12)
    assert (bone.fraction != thick_slab()).sum() > 100
    bone.go(30)
    np.testing.assert_array_equal(bone.fraction, thick_slab())
    assert not np.asarray(bone.fields.owner).any()
    assert not np.asarray(bone.table.live).any()
    rows = definition.Rows(bone.table)
    np.testing.assert_array_equal(rows.resorbed, rows.formed)
    assert rows.resorbed[: bone.count].sum() > 0


@pytest.mark.parametrize("wall_um", [25.0, 42.0, 50.0])
def test_a_bmu_refills_what_its_wall_asks_for(wall_um):
    """Formed / resorbed = wall thickness / erosion depth for each BMU, within the rounding of the front."""
    bone = Bone(thick_slab(), wall_um, births_until=5, candidates=100)
    bone.go(40)
    rows = definition.Rows(bone.table)
    done = rows.resorbed > 0
    assert done.sum() > 5
    assert not rows.live.any()
    ratio = rows.formed[done] / rows.resorbed[done]
    np.testing.assert_allclose(ratio, wall_um / 47.0, atol=0.01 if wall_um < 47.0 else 0.03)


def test_a_plate_thinner_than_the_cavity_is_perforated_for_good():
    thin = np.zeros((24, 24, 64), np.uint8)
    thin[12] = 255
    bone = Bone(thin, 47.0, births_until=2, candidates=150)
    bone.go(10)
    hole = (bone.fraction[12] < 128).sum()
    bone.go(int(SCHEDULE.give_up) + 2)
    assert not np.asarray(bone.table.live).any()
    assert not np.asarray(bone.fields.owner).any()
    assert (bone.fraction[12] == 0).sum() > 20
    assert (bone.fraction[12] < 128).sum() >= 0.6 * hole > 0
    assert bone.moved[1] < 0.8 * bone.moved[0]
    assert (bone.fraction[:12] == 0).all()
    assert (bone.fraction[13:] == 0).all()


def test_tissue_remembers_when_it_was_formed():
    bone = Bone(thick_slab(), 47.0, births_until=3, candidates=100)
    bone.go(40)
    formed_on = np.asarray(bone.fields.formed_on)
    new = formed_on > 0
    assert new.sum() > 20
    assert formed_on[new].min() >= int(SCHEDULE.refill_start)
    assert formed_on[new].max() <= int(SCHEDULE.last) + 2  # the last birth was in step 2
    # Filled from the floor up: deeper voxels of a column are older.
    rows = definition.Rows(bone.table)
    ranks = []
    for row in range(bone.count):
        voxels = rows.voxels(row)
        depth = np.array([shape[0] for _, _, shape, _ in voxels])
        on = np.array([formed_on[place] for _, place, _, _ in voxels])
        ranks.append(np.corrcoef(depth[on > 0], on[on > 0])[0, 1])
    assert np.mean(ranks) < -0.3


def test_without_candidates_nothing_moves():
    bone = Bone(foam(), 40.0, candidates=0)
    assert bone.go(20) == 20
    np.testing.assert_array_equal(bone.fraction, foam())
    assert bone.count == bone.wanted == 0
