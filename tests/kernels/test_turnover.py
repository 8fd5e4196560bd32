"""The life of BMUs on voxels: each step by its definition, and nothing that depends on how the work is cut."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import osteon
from reference import remodeling as definition

from microct.imaging import phantoms
from microct.kernels import bmu_table, random, turnover
from microct.kernels import cavity as cav
from microct.remodeling import bmu

UNIT = bmu.BMU(180.0, 40.0, 30.0, 120.0, 0.25)
VOXEL_UM = 40.0
GEOMETRY = bmu.geometry(UNIT, VOXEL_UM, 52.0, (24, 24, 64))
SCHEDULE = bmu.schedule(UNIT, 10.0, VOXEL_UM)
SHARES = bmu.depth_shares(UNIT.erosion_depth_cv)
PLAN = bmu_table.Plan(GEOMETRY, candidates=512, births=16, carve_chunk=1, row_chunk=3, tile_chunk=16)
SCHEDULE, SLICES = bmu.as_long(SCHEDULE, bmu.schedule(bmu.BMU(76.0, 27.0, 30.0, 89.0, 0.25), 10.0, VOXEL_UM))
#: A voxel of 40 um in a third of a step; tunnels from the endocortical surface dive by 0.4 to 1.6 voxels; half as many.
CONES = bmu_table.Cones(SLICES, *map(np.int32, (1365, 102, 410, 128)))
MODELING = dataclasses.replace(PLAN, packet_candidates=256, packets=8)
TUNNELS = dataclasses.replace(
    MODELING, osteon_candidates=768, osteons=8, tunnel=cav.Geometry((11, 11, 22), 6, 1280), axis=2
)
ROWS, STEPS, SEED = 192, 64, 77

carve = jax.jit(cav.carve, static_argnames=("geometry", "modeling"))


class Bone:
    """A bone at work: `go(steps)` lets steps pass."""

    def __init__(
        self, fraction, wall_um=47.0, candidates=24, births_until=STEPS, plan=PLAN, rows=ROWS, local=None,
        place=None, packets=0, packet_um=30.0, cones=0, radius_um=70.0, filled_um=45.0,
    ):  # fmt: skip
        shape, self.plan, self.local, self.place = fraction.shape, plan, local, place
        self.kinds = 1 if place is None else 4
        zeros = np.zeros(shape, np.uint8)
        self.fields = bmu_table.Fields(*map(jnp.asarray, (fraction, zeros, zeros.astype(np.uint16))))
        ways = None if plan.tunnel is None else rows
        self.tables = bmu_table.empty_tables(bmu_table.Units(rows, ways), plan)
        self.counts = bmu_table.Units(0, None if ways is None else 0)
        self.step = self.wanted = 0
        self.asked = np.array(
            [random.poisson(SEED, k, candidates) * (k < births_until) for k in range(STEPS)], np.int32
        )
        self.depth, self.wall = np.float32(47.0 / VOXEL_UM), np.float32(wall_um / VOXEL_UM)
        self.modeled = np.array(
            [random.poisson(SEED, k, packets, 7) * (k < births_until) for k in range(STEPS)], np.int32
        )
        self.packet = np.float32(packet_um / VOXEL_UM)
        self.cones = np.array([random.poisson(SEED, k, cones, 3) * (k < births_until) for k in range(STEPS)], np.int32)
        self.radius, self.filled = np.float32(radius_um / VOXEL_UM), np.float32(filled_um / VOXEL_UM)
        self.compacted = (0, 0)

    def demand(self, step):
        """What is asked for from ``step`` on: compartments differ in births, depth and wall."""
        factor = np.array([1.0, 0.8, 1.2, 0.6], np.float32)[: self.kinds]

        def ahead(counts):
            return np.concatenate([counts[step:], np.zeros(step, np.int32)])

        def rows(values, dtype):
            return np.tile(np.asarray(values, dtype), (STEPS, 1))

        return bmu_table.Demand(
            ahead(self.asked), rows(self.depth * factor, np.float32), rows(self.wall * factor, np.float32),
            rows([256, 64, 128, 0][: self.kinds], np.int32), ahead(self.modeled), np.full(STEPS, 40, np.int32),
            np.full(STEPS, self.packet), ahead(self.cones), np.full(STEPS, self.radius), np.full(STEPS, self.filled),
        )  # fmt: skip

    def go(self, steps):
        """Returns the number of steps that were done."""
        self.fields, self.tables, counts, done, births = turnover.block(
            self.fields, self.tables, jax.tree.map(np.int32, self.counts), np.int32(self.step), np.int32(steps),
            jax.tree.map(jnp.asarray, self.demand(self.step)), jax.tree.map(jnp.asarray, SCHEDULE), jnp.uint32(SEED),
            jnp.asarray(SHARES), jnp.float32(bmu.footprint_faces(UNIT, VOXEL_UM)), self.local,
            self.place, jax.tree.map(jnp.asarray, CONES) if self.plan.osteons else None, plan=self.plan,
        )  # fmt: skip
        self.counts = jax.tree.map(int, counts)
        self.step, self.wanted = self.step + int(done), self.wanted + int(births.wanted)
        assert int(births.dropped) == 0
        return int(done)

    def compact(self):
        """Drop the rows that are done, keeping what they moved."""
        before = self.moved
        surface, live = bmu_table.compacted(self.tables.surface, self.count)
        self.tables, self.counts = bmu_table.Units(surface), bmu_table.Units(int(live))
        self.compacted = 0, 0
        self.compacted = tuple(b - a for b, a in zip(before, self.moved, strict=True))

    @property
    def table(self):
        """That of BMUs of surface."""
        return self.tables.surface

    @property
    def count(self):
        return self.counts.surface

    @property
    def moved(self):
        """(resorbed, formed) since the start [1/255 voxel]."""
        found = bmu_table.columns(self.tables, "resorbed", "formed")
        sums = (int(column.astype(np.int64).sum()) for column in found.values())
        return tuple(a + b for a, b in zip(self.compacted, sums, strict=True))

    @property
    def fraction(self):
        return np.asarray(self.fields.fraction)

    def held(self):
        """(n, 3) voxels of live BMUs."""
        rows = definition.Rows(self.table)
        places = [place for row in np.flatnonzero(rows.live) for _, place, _, _ in rows.voxels(row)]
        return np.array(places).reshape(-1, 3)


@functools.cache
def foam():
    """Plates and rods in all directions, cut by the border."""
    return phantoms.gaussian_random_field(0.3, 0.45, size_mm=(0.96, 0.96, 2.56), voxel_size_um=VOXEL_UM, seed=2).values


@functools.cache
def thick_slab():
    return phantoms.slab(0.6, size_mm=(0.96, 0.96, 2.56), voxel_size_um=VOXEL_UM, axis=0, tilt_deg=12.0).values


def together(tables, counts):
    """Rows of both tables up to these counts in one, those of BMUs of surface first; lists filled up with -1."""

    def joined(*parts):
        parts = [np.asarray(part)[:count] for part, count in zip(parts, counts, strict=False)]
        width = max(part.shape[-1] for part in parts) if parts[0].ndim == 2 else 0
        wide = [np.pad(p, ((0, 0), (0, width - p.shape[1])), constant_values=-(p.dtype.kind == "i")) if width else p
                for p in parts]  # fmt: skip
        return np.concatenate(wide)

    return jax.tree.map(joined, *tables.there)


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


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
        (50.0, 9, False, False, 0, 0, False),
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
        for name in ("live", "stop_front", "resorbed", "formed", "cell"):
            np.testing.assert_array_equal(after.column[name][:count], rows.column[name][:count], err_msg=name)
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
                listed = np.array(osteon.listed(unit["voxels"])).reshape(-1, 3)
                for name, wanted_list in zip(("cell", "delta", "floor"), listed.T, strict=True):
                    np.testing.assert_array_equal(after.column[name][row][: len(listed)], wanted_list, err_msg=name)
                assert (after.cell[row][len(listed) :] == -1).all()
                assert (after.final_front[row], after.born[row]) == (4096 * bool(len(listed)), step)
                continue
            for name in ("cell", "delta", "profile", "before", "floor", "area"):
                one = np.asarray(getattr(unit["cavity"], name))
                same(after.column[name][row][..., : one.size] if one.ndim else after.column[name][row], one)
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


# --- how the work is cut ----------------------------------------------------------------------------------------------


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
    same(jax.tree.map(lambda c: c[rows], bone.table), jax.tree.map(lambda c: c[rows], whole.table))


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
    for rows in (ROWS, 2 * ROWS):
        table = table if rows == ROWS else bmu_table.enlarged(table, rows)
        assert int(count) == len(live) > 5
        same(jax.tree.map(lambda c: c[: len(live)], table), jax.tree.map(lambda c: c[live], whole.table))
        empty = bmu_table.empty_table(rows, GEOMETRY.entries)
        same(jax.tree.map(lambda c: c[len(live) :], table), jax.tree.map(lambda c: c[len(live) :], empty))


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
