"""A bone at work for tests of turnover: `Bone.go(steps)`, its tables as the definition reads them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
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
ROWS, TILES, STEPS, SEED = 192, 4096, 64, 77


class Bone:
    """A bone at work: `go(steps)` lets steps pass."""

    def __init__(
        self, fraction, wall_um=47.0, candidates=24, births_until=STEPS, plan=PLAN, rows=ROWS, local=None,
        place=None, packets=0, packet_um=30.0, cones=0, radius_um=70.0, filled_um=45.0, tiles=TILES,
    ):  # fmt: skip
        shape, self.plan, self.local, self.place = fraction.shape, plan, local, place
        self.kinds = 1 if place is None else 4
        zeros = np.zeros(shape, np.uint8)
        self.fields = bmu_table.Fields(*map(jnp.asarray, (fraction, zeros, zeros.astype(np.uint16))))
        self.tables = bmu_table.empty_tables(bmu_table.Units(*((rows, tiles) for _ in plan.of_a_step.there)))
        self.counts = bmu_table.Units(*(0 for _ in plan.of_a_step.there))
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

    return jax.tree.map(joined, *map(definition.listed, tables.there))


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
