"""BMUs at work on voxels: the tables that hold them, the fields that they change, the sizes of the work.

One voxel belongs to one BMU until it is released, so that all writes are free of conflicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from microct.kernels import cavity as cav
from microct.kernels.bmu_lists import TILE, Lists, empty_lists, forward

Array = Any

#: `born` of rows that are not in use: later than any step, so that the column stays sorted.
UNBORN = 2**30
#: A place whose `Local.weight` or `Local.wall` is this asks for just what the demand says.
UNIT_WEIGHT, UNIT_WALL = 64, 128
#: `BMUTable.kind`: the compartment in which a unit was born, and flags for those that form without resorption, for
#: osteonal BMUs, and for those of them that travel toward lower coordinates.
COMPARTMENT, MODELING, OSTEONAL, BACKWARD = 3, 4, 8, 16
#: The compartments in which osteonal BMUs are born.
ENDOCORTICAL, INTRACORTICAL = 1, 2
#: Formation without resorption that a drug asks of compact surface (canals and periosteum), over that of trabecular and
#: endocortical surface [1/256]; that of bone without voxels, `signalling.tissue.TissueParameters.compact_modeling`.
COMPACT_MODELING = 128
#: Rows that are moved at once, at least.
_MOVED = 32


class BMUTable(NamedTuple):
    """Basic multicellular units, one row each in order of birth; rows beyond the count are unused.

    Attributes:
        corner: (rows, 3) int32 [voxel], first voxel of the BMU's window along (z, y, x).
        born: (rows,) int32 [step].
        final_front, stop_front: (rows,) int32 [1/4096 of the profile], where erosion and refill end.
        mean_depth: (rows,) float32 [voxel], mean depth that the finished cavity should have.
        prescribed: (rows,) float32 [voxel], erosion depth that was asked for when it was born, before this BMU's share.
        area: (rows,) float32 [voxel faces], patch of surface that it took.
        resorbed, formed: (rows,) int32 [1/255 voxel], so far.
        live: (rows,) bool, holds voxels.
        salt: (rows,) uint32, for unbiased rounding.
        wall_share: (rows,) float32, wall thickness relative to the demand, as the place asked at birth.
        kind: (rows,) uint8, compartment (`COMPARTMENT`), `MODELING`, `OSTEONAL`, `BACKWARD`.
        first, tiles: (rows,) int32, where the list of its voxels begins in ``lists``, and how many tiles it has.
        lists: the voxels of all.
    """

    corner: Array
    born: Array
    final_front: Array
    stop_front: Array
    mean_depth: Array
    prescribed: Array
    area: Array
    resorbed: Array
    formed: Array
    live: Array
    salt: Array
    wall_share: Array
    kind: Array
    first: Array
    tiles: Array
    lists: Lists

    @property
    def end(self) -> Array:
        """How many tiles of the pool are in use, int32."""
        return (self.first + self.tiles).max()


class Units(NamedTuple):
    """Something of each kind of unit apart, since they go on by different clocks: their tables, rows in use, tiles.

    Attributes:
        surface: of BMUs of surface, and of units that form without resorption.
        tunnels: of osteonal BMUs; None where there are none.
    """

    surface: Any
    tunnels: Any = None

    @property
    def there(self) -> tuple[Any, ...]:
        """Those of the kinds that there are."""
        return (self.surface,) if self.tunnels is None else (self.surface, self.tunnels)


class Fields(NamedTuple):
    """Voxel fields: bone fraction uint8, owner uint8 (0 free, 1 held by a BMU), step of formation uint16
    (0: bone of the scan), drawn from the bone in the voxel by mass (`microct.kernels.fronts`).
    """

    fraction: Array
    owner: Array
    formed_on: Array


class Local(NamedTuple):
    """What a place asks for beyond the demand of the whole bone; voxel fields, read where a BMU is born.

    Attributes:
        weight: uint8 [1/`UNIT_WEIGHT`], births relative to the demand.
        wall: uint8 [1/`UNIT_WALL`], wall thickness relative to the demand.
        modeling: uint8 [1/255], formation on quiescent surface relative to the most that load asks for; None: none.
    """

    weight: Array
    wall: Array
    modeling: Array | None = None


class Widths(NamedTuple):
    """How wide bone is, as what a voxel holds; int32 [1/255 voxel].

    Attributes:
        thinnest: just thick enough to be built upon.
        trabecula: too wide for a thread; more than a voxel holds where voxels are narrower than any trabecula.
    """

    thinnest: Array
    trabecula: Array


class Schedule(NamedTuple):
    """How a BMU goes on with age.

    Attributes:
        erosion, refill: (ages,) int32 [1/4096], progress at each age.
        erosion_end: int32 [steps], age at which erosion is done.
        refill_start, last, give_up: int32 [steps], ages at which the refill begins, is due, and is given up.
        widths: of bone.
    """

    erosion: Array
    refill: Array
    erosion_end: Array
    refill_start: Array
    last: Array
    give_up: Array
    widths: Widths


class Cones(NamedTuple):
    """How osteonal BMUs go on: each slice of a tunnel by a schedule of its own, as late as the tip needs to reach it.

    Attributes:
        schedule: of a slice, as long as that of the other BMUs; int32 as there.
        travel: int32 [1/4096 step], time in which the tip goes on by one voxel.
        dive, deepest: int32 [1/256 voxel], how far a tunnel from the endocortical surface goes into the cortex for each
            voxel of its way, and at most.
        endocortical: int32 [1/256], births on endocortical surface relative to those on as much surface of canals.
    """

    schedule: Schedule
    travel: Array
    dive: Array
    deepest: Array
    endocortical: Array


class Demand(NamedTuple):
    """What the cells ask of each step, and in each compartment where there are several.

    Attributes:
        candidates: (steps,) int32, number of thinning candidates.
        depth: (steps, compartments) float32 [voxel], mean erosion depth.
        wall: (steps, compartments) float32 [voxel], mean wall thickness.
        share: (steps, compartments) int32 [1/256], births relative to the busiest compartment.
        packets: (steps,) int32, candidates for formation on quiescent surface.
        everywhere: (steps,) int32 [1/255], share of that formation which no place need ask for.
        packet: (steps,) float32 [voxel], mean thickness that such a unit forms.
        osteons: (steps,) int32, candidates for osteonal BMUs.
        radius, osteon_wall: (steps,) float32 [voxel], mean radius of their cement line, wall that they refill.
    """

    candidates: Array
    depth: Array
    wall: Array
    share: Array
    packets: Array
    everywhere: Array
    packet: Array
    osteons: Array
    radius: Array
    osteon_wall: Array


@dataclass(frozen=True)
class Plan:
    """Static sizes of a block, hashed by value; none of them changes a result.

    Attributes:
        geometry: sizes of a cavity.
        candidates, births: most candidates and births of a step.
        packet_candidates, packets: the same for units that form without resorption; 0 where there are none.
        osteon_candidates, osteons: the same for osteonal BMUs; ``tunnel``: sizes of theirs; ``axis``: along which.
        birth_tiles, osteon_tiles: most tiles that lists of those born in a step take in all; 0: as many as they might.
        carve_chunk, row_chunk, tile_chunk: cavities, rows and tiles of rows worked on at once (few on CPU, many on
            GPU).
    """

    geometry: cav.Geometry
    candidates: int
    births: int
    carve_chunk: int = 1
    row_chunk: int = 4
    tile_chunk: int = 64
    packet_candidates: int = 0
    packets: int = 0
    osteon_candidates: int = 0
    osteons: int = 0
    tunnel: cav.Geometry | None = None
    axis: int = 0
    birth_tiles: int = 0
    osteon_tiles: int = 0

    @property
    def of_a_step(self) -> Units:
        """(rows, tiles) that a table must have left for the births of a step, and for one list more (`appended`)."""
        born, width = self.births + self.packets, self.geometry.entries // TILE
        surface = born, (self.birth_tiles or born * width) + width
        if self.tunnel is None:
            return Units(surface)
        width = self.tunnel.entries // TILE
        return Units(surface, (self.osteons, (self.osteon_tiles or self.osteons * width) + width))

    @property
    def wide(self) -> bool:
        """Whether much is worked on at once, as on a GPU: what a CPU gains by work in small parts is lost there to
        launches, and to loops whose end only the host can decide.
        """
        return self.carve_chunk > 1


def empty_table(rows: int, tiles: int) -> BMUTable:
    """A table without BMUs, with room for so many ``rows``, and ``tiles`` of their lists."""

    def column(dtype: Any, value: int = 0) -> Array:
        return jnp.full((rows,), value, dtype)

    i32 = jnp.int32
    return BMUTable(
        corner=jnp.zeros((rows, 3), i32),
        born=column(i32, UNBORN),
        final_front=column(i32),
        stop_front=column(i32),
        mean_depth=column(jnp.float32),
        prescribed=column(jnp.float32),
        area=column(jnp.float32),
        resorbed=column(i32),
        formed=column(i32),
        live=column(bool),
        salt=column(jnp.uint32),
        wall_share=column(jnp.float32),
        kind=column(jnp.uint8),
        first=column(i32),
        tiles=column(i32),
        lists=empty_lists(tiles),
    )


def empty_tables(room: Units) -> Units:
    """Tables without BMUs, with ``room`` for so many (rows, tiles) of each kind."""
    return Units(*(empty_table(*each) for each in room.there))


def columns(tables: Units, *names: str) -> dict[str, np.ndarray]:
    """Columns with one number a row of all units, in order of birth; on the host."""
    born = np.concatenate([np.asarray(table.born) for table in tables.there])
    order = np.argsort(born, kind="stable")
    return {name: np.concatenate([np.asarray(getattr(t, name)) for t in tables.there])[order] for name in names}


def room_of(table: BMUTable) -> tuple[int, int]:
    """(rows, tiles) for which the table has room."""
    return len(table.live), len(table.lists.row)


def enough(room: tuple[int, int], used: tuple[int, int], most: tuple[int, int]) -> tuple[int, ...]:
    """The ``room`` (rows, tiles) of a table, doubled until it holds those ``used`` and ``most`` of a step's births."""

    def doubled(room: int, need: int) -> int:
        while room < need:
            room *= 2
        return room

    return tuple(doubled(has, now + more) for has, now, more in zip(room, used, most, strict=True))


def enlarged(table: BMUTable, rows: int, tiles: int) -> BMUTable:
    """The table with room for so many, as many as it has or more."""
    has = room_of(table)
    more = empty_table(rows - has[0], tiles - has[1])
    return jax.tree.map(lambda old, new: jnp.concatenate([old, new]), table, more)


@partial(jax.jit, static_argnames="together", donate_argnames="table")
def compacted(table: BMUTable, count: Array, together: int = _MOVED) -> tuple[BMUTable, Array]:
    """The live rows first, in order of birth, the others empty; and their number.

    Args:
        table: donated. count: rows in use; the work is in proportion to it.
        together: static; rows that are moved at once, as far as the table is a multiple of them; `_MOVED` at least.
    """
    live, lists, end = table.live, table.lists, table.end
    tile = jnp.arange(lists.row.shape[0], dtype=jnp.int32)
    before = table.first[lists.row]
    kept = live[lists.row] & (tile >= before) & (tile < before + table.tiles[lists.row])
    place = jnp.cumsum(kept, dtype=jnp.int32) - 1
    rank = jnp.cumsum(live, dtype=jnp.int32) - 1
    rows = table._replace(first=jnp.where(live, place[table.first], 0), lists=None)  # type: ignore[arg-type]
    sizes = [math.gcd(max(_MOVED, together), length) for length in (live.shape[0], tile.shape[0])]
    rows = forward(rows, live, count, empty_table(sizes[0], 0)._replace(lists=None), sizes[0])  # type: ignore[arg-type]
    lists = forward(lists._replace(row=jnp.where(kept, rank[lists.row], 0)), kept, end, empty_lists(sizes[1]), sizes[1])
    return rows._replace(lists=lists), rank[-1] + 1


def of_compartment(asked: Array, kind: Array) -> Array:
    """The demand (compartments,) as it holds for rows of that ``kind``."""
    return asked[0] if asked.shape[0] == 1 else asked[(kind & COMPARTMENT).astype(jnp.int32)]


def put_rows(column: Array, rows: Array, first: Array) -> Array:
    """The column with ``rows`` from number ``first`` on."""
    return jax.lax.dynamic_update_slice_in_dim(column, rows, first, axis=0)


def _flat(field: Array) -> Array:
    """The field with one index, or with two where one would not fit into int32."""
    return field.reshape(-1) if field.size < 2**31 else field.reshape(field.shape[0], -1)


def _index(z: Array, y: Array, x: Array, inside: Array, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Index into `_flat`; where not ``inside``, one that every gather fills and every scatter drops."""
    nz, ny, nx = shape
    row = y * nx + x
    if nz * ny * nx < 2**31:
        return (jnp.where(inside, z * (ny * nx) + row, nz * ny * nx),)
    return (jnp.where(inside, z, nz), row)


def places(corner: Array, cell: Array) -> tuple[Array, Array, Array]:
    """(z, y, x) in the volume of positions ``cell`` (..., n) in windows whose first voxels are ``corner`` (..., 3)."""
    z, y, x = cell >> 20, (cell >> 10) & 1023, cell & 1023
    corner = corner[..., None, :]
    return z + corner[..., 0], y + corner[..., 1], x + corner[..., 2]


def read(field: Array, z: Array, y: Array, x: Array, where: Array) -> Array:
    """Values of the field, 0 where not ``where``."""
    return _flat(field).at[_index(z, y, x, where, field.shape)].get(mode="fill", fill_value=0)


def write(field: Array, z: Array, y: Array, x: Array, where: Array, value: Array) -> Array:
    """The field with ``value`` at the places ``where``, each of which occurs once."""
    index = _index(z, y, x, where, field.shape)
    changed = _flat(field).at[index].set(value.astype(field.dtype), mode="drop", unique_indices=True)
    return changed.reshape(field.shape)


def chunks(count: Array, size: int, body: Any, carry: Any) -> Any:
    """Run ``body(start, carry)`` for starts 0, size, 2 size ... below ``count``; what lies past it must be harmless."""
    return jax.lax.fori_loop(0, (count + size - 1) // size, lambda i, c: body(i * size, c), carry)
