"""Slow, clear definitions of births, erosion fronts and whole steps, in Python's exact integers."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from reference import osteon
from reference.random_numbers import below, dither, takes_step, words

POSITION, ACCEPTANCE, DEPTH, MODELING_STREAMS = 0, 1, 2, 4
COMPARTMENT, MODELING, OSTEONAL = 3, 4, 8
INTRACORTICAL, COMPACT_MODELING = 2, 128
OSTEONAL_SEED = 0x9E3779B9
AREA_LIMIT = 3 * 64
FACES = [(axis, sign) for axis in range(3) for sign in (-1, 1)]
FRONT, BONE, FULL = 4096, 128, 255
GROWTH_LIMIT, FRONT_LIMIT = 1024, 5120

Carve = Callable[..., "object"]


def gradient(fraction: np.ndarray, voxel: tuple[int, ...]) -> tuple[int, int, int]:
    """Sobel's gradient times 32: differences along one axis, weights 1 2 1 across; the volume's edge repeats itself."""
    around = (np.clip([v - 1, v, v + 1], 0, n - 1) for v, n in zip(voxel, fraction.shape, strict=True))
    cube = fraction[np.ix_(*around)].astype(int)
    along, across = np.array([-1, 0, 1]), np.array([1, 2, 1])
    weights = ((along, across, across), (across, along, across), (across, across, along))
    return tuple(int(np.einsum("zyx,z,y,x", cube, *w)) for w in weights)  # type: ignore[return-value]


def beside(voxel: tuple[int, ...], axis: int, sign: int) -> tuple[int, ...]:
    """The voxel across one face."""
    return tuple(v + sign * (k == axis) for k, v in enumerate(voxel))


def open_faces(fraction: np.ndarray, owned: np.ndarray, voxel: tuple[int, ...]) -> list[tuple[int, int]]:
    """(axis, sign) of the faces between a free bone voxel and free marrow; the volume's border is no surface."""
    if fraction[voxel] < BONE or owned[voxel]:
        return []
    ways = []
    for axis, sign in FACES:
        other = beside(voxel, axis, sign)
        inside = all(0 <= v < n for v, n in zip(other, fraction.shape, strict=True))
        if inside and fraction[other] < BONE and not owned[other]:
            ways.append((axis, sign))
    return ways


def area(fraction: np.ndarray, owned: np.ndarray, voxel: tuple[int, ...]) -> int:
    """Surface at one voxel [1/64 face]: each open face counts with the cosine between it and the surface.

    The surface stands across the sum of the gradients on both sides of the face.
    """
    total = 0.0
    for axis, sign in open_faces(fraction, owned, voxel):
        slope = np.add(gradient(fraction, voxel), gradient(fraction, beside(voxel, axis, sign)))
        total += max(-sign * float(slope[axis]) / (float(np.linalg.norm(slope)) + 1e-3), 0.0)
    return round(total * 64)


def surface(fraction: np.ndarray) -> float:
    """Surface of a volume [voxel faces]; no voxel counts for more than three."""
    free = np.zeros(fraction.shape, bool)
    return sum(min(area(fraction, free, voxel), AREA_LIMIT) for voxel in np.ndindex(*fraction.shape)) / 64


def birth_sites(
    fraction: np.ndarray,
    owner: np.ndarray,
    seed: int,
    step: int,
    count: int,
    candidates: int,
    births: int,
    weight: Callable[[tuple[int, int, int]], tuple[int, int]] | None = None,
    stream: int = 0,
    place: np.ndarray | None = None,
    moves: bool = True,
) -> tuple[list[tuple[tuple[int, int, int], int]], int]:
    """[(position, candidate's index)] of the births of one step, and how many the process asked for.

    A candidate beside a held voxel cannot be used: its birth goes to the next candidate that can, where it ``moves``,
    and else is none. ``weight`` tells
    the chance of a place as (numerator, denominator). No birth leaves its compartment.
    """
    wanted, usable, free = 0, [], np.zeros(fraction.shape, bool)
    due = [0] * (COMPARTMENT + 1)
    for index in range(candidates):
        first, second = words(seed, step, POSITION + stream, index)
        third, fourth = words(seed, step, ACCEPTANCE + stream, index)
        z, y, x = (below(word, n) for word, n in zip((first, second, third), fraction.shape, strict=True))
        here, (chance, most) = min(area(fraction, free, (z, y, x)), AREA_LIMIT), weight((z, y, x)) if weight else (1, 1)
        if below(fourth, AREA_LIMIT * most) >= here * chance:
            continue
        own = 0 if place is None else int(place[z, y, x]) & COMPARTMENT
        around = owner[max(z - 1, 0) : z + 2, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        counts = index < count and (moves or not around.any())
        wanted += counts
        due[own] += counts
        if not around.any():
            usable.append(((z, y, x), index, own))
    found = []
    for at, index, own in usable:
        if due[own] > 0:
            due[own] -= 1
            found.append((at, index))
    return found[:births], wanted


def bone_gone(front: int, delta: int, profile: int, before: int, dither: int) -> int:
    """Bone that a front has taken from a voxel whose centre lies ``delta`` / 256 voxels below the surface.

    The voxel reaches from half a voxel above its centre to half a voxel below it, as far as that lies beneath the
    surface, and loses bone in proportion to the part that the front has passed; ``dither`` decides the rounding.
    """
    near = max(delta - 128, 0)
    far = max(delta + 128, near + 1)
    passed = min(max(front * profile // FRONT, near), far) - near
    return int(Fraction(before * passed, far - near) + Fraction(dither, 256))


def bone_at(front: int, delta: int, profile: int, before: int, dither: int) -> int:
    """Bone fraction with the front below (positive) or above (negative) the old surface.

    Growth above the surface fills the room that a voxel has left, in the mirror image of erosion.
    """
    if front >= 0:
        return before - bone_gone(front, delta, profile, before, dither)
    room = FULL - before if delta < 128 else 0
    return before + bone_gone(-front, -delta, profile, room, dither)


def bone_at_faces(fraction: np.ndarray, place: tuple[int, ...], least: int = BONE) -> int:
    """How many of a voxel's six faces have ``least`` bone or more; the volume is mirrored at its border."""
    found = 0
    for axis in range(3):
        for side in (-1, 1):
            beside = list(place)
            beside[axis] += side
            if not 0 <= beside[axis] < fraction.shape[axis]:
                beside[axis] -= 2 * side
            found += int(fraction[tuple(beside)] >= least)
    return found


def has_floor(fraction: np.ndarray, beneath: tuple[int, ...], thinnest: int, trabecula: int) -> bool:
    """Whether what lies beneath is bone, wide or with bone at three of its faces; beyond the border bone goes on."""
    if not all(0 <= p < n for p, n in zip(beneath, fraction.shape, strict=True)):
        return True
    joined = bone_at_faces(fraction, beneath, thinnest) >= 3 or fraction[beneath] >= trabecula
    return bool(fraction[beneath] >= thinnest and joined)


Listed = namedtuple(
    "Listed",
    "corner born final_front stop_front mean_depth prescribed area resorbed formed live salt wall_share kind tiles "
    "cell delta profile before floor",
)


def listed(table: object) -> Listed:
    """A table of BMUs with its lists as columns, filled up with -1 or 0, whatever their places in the pool."""
    first, tiles = (np.asarray(getattr(table, name)) for name in ("first", "tiles"))
    longest = 32 * int(tiles.max(initial=1))
    columns = {name: np.asarray(getattr(table, name)) for name in Listed._fields[:-5]}
    for name in Listed._fields[-5:]:
        pool = np.asarray(getattr(table.lists, name))  # type: ignore[attr-defined]
        columns[name] = np.full((len(first), longest), -1 if name == "cell" else 0, pool.dtype)
        for row in range(len(first)):
            own = pool[first[row] : first[row] + tiles[row]].ravel()
            columns[name][row, : len(own)] = own
    return Listed(**columns)


class Rows:
    """The table of BMUs as loops see it: `voxels(row)` lists (entry, place, front arguments, floor's place)."""

    def __init__(self, table: object) -> None:
        table = table if isinstance(table, Listed) else listed(table)
        self.column = {name: np.array(getattr(table, name)) for name in table._fields}

    def __getattr__(self, name: str) -> np.ndarray:
        return self.column[name]

    def voxels(self, row: int) -> list[tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
        found = []
        for entry in np.flatnonzero(self.cell[row] >= 0):
            cell, way = int(self.cell[row, entry]), int(self.floor[row, entry])
            corner = [int(c) for c in self.corner[row]]
            place = tuple(c + p for c, p in zip(corner, (cell >> 20, cell >> 10 & 1023, cell & 1023), strict=True))
            beneath = tuple(p + d - 1 for p, d in zip(place, (way >> 4, way >> 2 & 3, way & 3), strict=True))
            depths = (int(c[row, entry]) for c in (self.delta, self.profile, self.before))
            found.append((int(entry), place, (*depths, dither(cell, int(self.salt[row]))), beneath))
        return found


def refill_end(rows: Rows, row: int, wall: float) -> int:
    """The lowest front at which the BMU has still given away (1 - wall / depth) of what it resorbed."""
    voxels = [shape for _, _, shape, _ in rows.voxels(row)]
    end = int(rows.final_front[row])
    total = sum(bone_gone(end, *shape) for shape in voxels)
    ratio = np.float32(wall) / np.maximum(rows.prescribed[row], np.float32(1e-6))
    kept = int(np.round(np.float32(total) * (np.float32(1.0) - ratio)))
    low, high = -GROWTH_LIMIT, end
    while high - low > 1:
        middle = (low + high) // 2
        lost = sum(shape[2] - bone_at(middle, *shape) for shape in voxels)
        low, high = (low, middle) if lost >= kept else (middle, high)
    return high


def advance(
    fields: object, table: object, count: int, step: int, schedule: object, wall: np.ndarray,
    cones: object | None = None, osteon_wall: float = 0.0, plan: object | None = None,
) -> tuple[dict, Rows]:  # fmt: skip
    """Move the fronts of all BMUs by one step, each reading the bone as it was when the step began.

    ``wall`` is that of each compartment. Units that form without resorption begin with the refill. Each slice of a
    tunnel has a time of its own, by ``cones``.

    Returns:
        the fields by name, and the rows.
    """
    new = {name: np.array(getattr(fields, name)) for name in ("fraction", "owner", "formed_on")}
    old = new["fraction"].copy()
    rows = Rows(table)
    for row in range(count):
        age = step - int(rows.born[row])
        osteonal = bool(rows.kind[row] & OSTEONAL)
        clock = cones.schedule if osteonal else schedule  # type: ignore[union-attr]
        late = 0
        if rows.kind[row] & MODELING:
            age += int(schedule.refill_start) - 1  # type: ignore[attr-defined]
        elif osteonal and age == int(clock.refill_start):  # type: ignore[attr-defined]
            share, radius, end = rows.wall_share[row], rows.prescribed[row], int(rows.final_front[row])
            rows.stop_front[row] = osteon.canal(osteon_wall, share, radius, end)
        elif not osteonal and age == int(schedule.refill_start):  # type: ignore[attr-defined]
            asked = wall[rows.kind[row] & COMPARTMENT if len(wall) > 1 else 0]
            rows.stop_front[row] = refill_end(rows, row, np.float32(asked) * rows.wall_share[row])
        if not rows.live[row]:
            continue
        end, stop = int(rows.final_front[row]), int(rows.stop_front[row])
        length = plan.tunnel.window[plan.axis] if osteonal else 0  # type: ignore[union-attr]
        finished, held = True, rows.voxels(row)
        # In the first step that finds the cavity as deep as it gets.
        clears = not osteonal and not rows.kind[row] & MODELING and list(schedule.erosion).index(FRONT) == age - 1  # type: ignore[attr-defined]
        thinnest, trabecula = widths = tuple(int(width) for width in schedule.widths)  # type: ignore[attr-defined]
        for entry, place, shape, beneath in held:
            if osteonal:
                along = int(rows.cell[row, entry]) >> (20, 10, 0)[plan.axis] & 1023  # type: ignore[union-attr]
                gone = length - 1 - along if rows.kind[row] & osteon.BACKWARD else along
                late = gone * int(cones.travel)  # type: ignore[union-attr]
            front, up = osteon.front(4096 * age - late, clock, end, stop)
            now, target = int(old[place]), bone_at(front, *shape)
            value = min(now, target)
            if up:
                built_upon = now >= thinnest or has_floor(old, beneath, *widths) or bone_at_faces(old, place) >= 4
                value = max(now, target) if built_upon else now
            if clears and thinnest <= now < trabecula and not has_floor(old, beneath, *widths):
                value = 0 if bone_at_faces(old, place, thinnest) <= 2 else value
            # What is no bone within the cement line of a tunnel waits for the refill.
            finished &= value == now and (now == target or (osteonal and not up))
            new["fraction"][place] = value
            rows.resorbed[row] += max(now - value, 0)
            rows.formed[row] += max(value - now, 0)
            if value > now and takes_step(value - now, value, step, int(rows.cell[row, entry]), int(rows.salt[row])):
                new["formed_on"][place] = step
        journey = ((length - 1) * int(cones.travel) // 4096 + 1) if osteonal else 0  # type: ignore[union-attr]
        over = age >= int(clock.give_up) + journey  # type: ignore[attr-defined]
        if over or (age >= int(clock.last) + journey and finished):  # type: ignore[attr-defined]
            rows.live[row] = False
            for _, place, _, _ in held:
                new["owner"][place] = 0
    return new, rows


def weight_of(asked: object, local: object | None, place: np.ndarray | None, modeling: bool) -> Callable | None:
    """Chance of a place as (numerator, denominator): what it asks for, times the share of its compartment."""
    if modeling:
        field = None if local is None or local.modeling is None else np.asarray(local.modeling)  # type: ignore[attr-defined]
        if field is None and place is None:
            return None

        def packets(at: tuple[int, int, int]) -> tuple[int, int]:
            drug = 256 if field is None else int(asked.everywhere)  # type: ignore[attr-defined]
            if place is not None and int(place[at]) & COMPARTMENT >= INTRACORTICAL:
                drug = drug * COMPACT_MODELING >> 8
            return (drug if field is None else drug + ((255 - drug) * int(field[at]) + 127) // 255), 256

        return packets
    weight = None if local is None else np.asarray(local.weight)  # type: ignore[attr-defined]
    share = None if place is None else np.asarray(asked.share)  # type: ignore[attr-defined]
    if weight is None and share is None:
        return None

    def chance(at: tuple[int, int, int]) -> tuple[int, int]:
        first = (1, 1) if weight is None else (int(weight[at]), 256)
        second = (1, 1) if share is None else (int(share[int(place[at]) & COMPARTMENT]), 256)  # type: ignore[index]
        return first[0] * second[0], first[1] * second[1]

    return chance


def bear(
    fields: dict, step: int, seed: int, asked: object, shares: np.ndarray, plan: object, carve: Carve,
    local: object | None = None, place: np.ndarray | None = None, modeling: bool = False,
) -> tuple[dict, list[dict], int]:  # fmt: skip
    """The BMUs born in one step, each with a cavity by ``carve(fraction, owned, origin, depth, growth, salt)``; or the
    units that form without resorption. ``asked`` is the demand of this step.

    Each carves from what the earlier ones have left.

    Returns:
        the fields; for each birth its place and cavity; births asked for.
    """
    shape, window = fields["fraction"].shape, plan.geometry.window  # type: ignore[attr-defined]
    stream, flag = (MODELING_STREAMS, MODELING) if modeling else (0, 0)
    sizes = (plan.packet_candidates, plan.packets) if modeling else (plan.candidates, plan.births)  # type: ignore[attr-defined]
    count = int(asked.packets if modeling else asked.candidates)  # type: ignore[attr-defined]
    if not modeling and plan.osteons:  # type: ignore[attr-defined]
        # Where cutting cones renew the canals, no other BMU does.
        share = np.where(np.arange(len(asked.share)) == osteon.INTRACORTICAL, 0, asked.share)  # type: ignore[attr-defined]
        asked = asked._replace(share=share)  # type: ignore[attr-defined]
    weight = weight_of(asked, local, place, modeling)
    sites, wanted = birth_sites(fields["fraction"], fields["owner"], seed, step, count, *sizes, weight, stream, place)
    owner, born = fields["owner"].copy(), []
    for position, index in sites:
        corner = [min(max(p - w // 2, 0), n - w) for p, w, n in zip(position, window, shape, strict=True)]
        block = tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True))
        high, salt = words(seed, step, DEPTH + stream, index)
        kind = 0 if place is None else int(place[position]) & COMPARTMENT
        depth = asked.packet if modeling else asked.depth[kind]  # type: ignore[attr-defined]
        mean = np.float32(depth) * (np.float32(shares[below(high, len(shares))]) / np.float32(FRONT))
        growth = mean * np.float32((1 + 1 / 3) * (FRONT_LIMIT if modeling else GROWTH_LIMIT) / FRONT)
        origin = [p - c for p, c in zip(position, corner, strict=True)]
        cavity = carve(fields["fraction"][block], owner[block] != 0, origin, mean, growth, salt, modeling)
        cell = np.array(cavity.cell)  # type: ignore[attr-defined]
        cell = cell[cell >= 0]
        owner[corner[0] + (cell >> 20), corner[1] + (cell >> 10 & 1023), corner[2] + (cell & 1023)] = 1
        wall = 1.0 if local is None or modeling else int(np.asarray(local.wall)[position]) / 128  # type: ignore[attr-defined]
        born.append(
            {
                "corner": corner, "mean_depth": mean, "prescribed": np.float32(depth), "salt": salt,
                "wall_share": wall, "kind": kind | flag, "cavity": cavity,
            }
        )  # fmt: skip
    return {**fields, "owner": owner}, born, wanted


def bear_tunnels(
    fields: dict, step: int, seed: int, asked: object, shares: np.ndarray, plan: object, cones: object,
    place: np.ndarray, local: object | None = None,
) -> tuple[dict, list[dict], int]:  # fmt: skip
    """The osteonal BMUs born in one step: none beside held voxels, on canals and on a share of endocortical surface.

    Returns:
        as `bear`; instead of a cavity the voxels of the tunnel.
    """
    window, axis, shape = plan.tunnel.window, plan.axis, fields["fraction"].shape  # type: ignore[attr-defined]
    called = None if local is None else np.asarray(local.weight)  # type: ignore[attr-defined]

    def chance(at: tuple[int, int, int]) -> tuple[int, int]:
        most = 256 if called is None else int(called[at])
        share = {osteon.INTRACORTICAL: 256, osteon.ENDOCORTICAL: int(cones.endocortical)}  # type: ignore[attr-defined]
        return most * share.get(int(place[at]) & COMPARTMENT, 0) // 256, 256

    own_seed = seed ^ OSTEONAL_SEED
    sizes = int(asked.osteons), plan.osteon_candidates, plan.osteons  # type: ignore[attr-defined]
    sites, wanted = birth_sites(
        fields["fraction"], fields["owner"], own_seed, step, *sizes, chance, 0, place, moves=False
    )
    owner, born = fields["owner"].copy(), []
    for position, index in sites:
        high, salt = words(own_seed, step, DEPTH, index)
        corner = osteon.corner(position, salt, shape, window, axis)
        block = tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True))
        kind = int(place[position]) & COMPARTMENT
        radius = np.float32(asked.radius)  # type: ignore[attr-defined]
        mean = radius * (np.float32(shares[below(high, len(shares))]) / np.float32(FRONT))
        cortex = np.isin(place[block] & COMPARTMENT, (osteon.ENDOCORTICAL, osteon.INTRACORTICAL))
        start = [p - c for p, c in zip(position, corner, strict=True)]
        into = osteon.into_bone(gradient(fields["fraction"], position), kind, axis)
        voxels = osteon.tunnel(cortex & (owner[block] == 0), start, bool(salt & 1), into, mean, cones, axis)
        for voxel in voxels:
            owner[tuple(c + p for c, p in zip(corner, voxel.place, strict=True))] = 1
        share = 1.0 if local is None else int(np.asarray(local.wall)[position]) / 128  # type: ignore[attr-defined]
        born.append(
            {
                "corner": corner, "mean_depth": mean, "prescribed": radius, "salt": salt, "wall_share": share,
                "kind": kind | OSTEONAL | (osteon.BACKWARD if salt & 1 else 0), "voxels": voxels,
            }
        )  # fmt: skip
    return {**fields, "owner": owner}, born, wanted
