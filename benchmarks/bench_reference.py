"""How much faster are the kernels than the plain definitions in NumPy that the tests hold them to?

    python benchmarks/bench_reference.py [--budget-seconds 120] [--quick]

The definitions of `tests/reference` are what one writes first: loops and exact integers. Each runs on a volume that it
can do in seconds, the kernel on a larger one, both in processor time for each unit (voxel, degree of freedom, word), so
that the ratio is on the careful side: the cost of a definition grows faster than its volume.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from bones import built, field, on_device, on_host, specimen, without_births
from limits_events import held as voxels_held
from machine import Record
from measure import Budget, finished, median, options, table, timed

#: Edges of the volumes: of the definitions, and of the kernels.
SMALL, LARGE = 20, 128


def ratio(unit: str, definition: tuple[float, Callable[[], Any]], kernel: tuple[float, Callable[[], Any]]) -> dict:
    """The row of one question: (units, one call) of the definition and of the kernel."""
    slow = timed(definition[1], repeats=1, warm=False)
    fast = timed(kernel[1], repeats=5, budget_s=10.0)
    clock = "processor_s" if jax.default_backend() == "cpu" else "wall_s"
    # fine clocks of processor time tick in microseconds at best
    per_unit = [max(median(row, clock), 1e-7) / units for row, units in ((slow, definition[0]), (fast, kernel[0]))]
    return {
        "unit": unit,
        "definition": {"units": definition[0], "us_per_unit": 1e6 * per_unit[0], "once_s": slow["wall_s"][0]},
        "kernel": {"units": kernel[0], "us_per_unit": 1e6 * per_unit[1], **fast},
        "times_faster": per_unit[0] / per_unit[1],
    }


def random_words(large: int) -> dict[str, Any]:
    """Threefry words."""
    from reference.random_numbers import words as by_definition

    from microct.kernels import random

    index = jnp.arange(large**3, dtype=jnp.int32)
    words = jax.jit(lambda i: random.words(jnp.uint32(7), jnp.int32(3), 1, i))
    return ratio(
        "index",
        (10_000.0, lambda: [by_definition(7, 3, 1, i) for i in range(10_000)]),
        (float(large**3), lambda: words(index)),
    )


def surface(large: int) -> dict[str, Any]:
    """Surface as the births see it."""
    from reference.remodeling import surface as by_definition

    from microct.kernels.activation import surface as measured

    small, big = specimen(SMALL).values, jnp.asarray(specimen(large, 128).values)
    return ratio("voxel", (float(small.size), lambda: by_definition(small)), (float(big.size), lambda: measured(big)))


def distance(large: int) -> dict[str, Any]:
    """Exact squared distances."""
    from reference.morphometry import squared_distance_by_definition

    from microct.kernels.distance import squared_distance

    small, big = field(SMALL), _placed(field(large))
    return ratio(
        "voxel",
        (float(small.size), lambda: squared_distance_by_definition(small)),
        (float(big.size), lambda: squared_distance(big)),
    )


def thickness(large: int) -> dict[str, Any]:
    """Exact local thickness."""
    from reference.morphometry import squared_radius_by_definition

    from microct.kernels.thickness import local_squared_radius

    small, big = field(SMALL), _placed(field(large))
    return ratio(
        "voxel",
        (float(small.size), lambda: squared_radius_by_definition(small, False)),
        (float(big.size), lambda: local_squared_radius(big)),
    )


def fronts(large: int) -> dict[str, Any]:
    """One step of all fronts, nothing born; a unit is a voxel that a BMU holds."""
    from reference.remodeling import advance

    from microct.simulation import step
    from microct.simulation.build import first_state
    from microct.simulation.sizes import BLOCK_STEPS

    bone = specimen(large, 128)
    model = built(bone, 0.8, 2.0)
    state = step.advance(first_state(model, bone), model, 36)
    kept, quiet, until = on_host(state), without_births(model), state.step + BLOCK_STEPS
    held = float(voxels_held(kept[1].surface, state.count.surface))
    few = min(state.count.surface, 8)
    wall = float(model.demand.wall_thickness_um[state.step]) / model.voxel_um
    rows = []
    for _ in range(4):
        start = [on_device(state, kept)]
        go = partial(lambda start: finished(step.advance(start.pop(), quiet, until).fields), start)
        rows.append(timed(go, repeats=1, warm=False))
    fast = {clock: [row[clock][0] for row in rows[1:]] for clock in ("wall_s", "processor_s")}
    slow = timed(
        lambda: advance(kept[0], kept[1].surface, few, state.step, model.schedule, wall)[0], repeats=1, warm=False
    )
    clock = "processor_s" if jax.default_backend() == "cpu" else "wall_s"
    few_held = float(voxels_held(kept[1].surface, few))
    per_unit = (slow[clock][0] / few_held, median(fast, clock) / BLOCK_STEPS / held)
    return {
        "unit": "held voxel and step",
        "definition": {"units": few_held, "us_per_unit": 1e6 * per_unit[0], "once_s": slow["wall_s"][0]},
        "kernel": {"units": held * BLOCK_STEPS, "us_per_unit": 1e6 * per_unit[1], **fast},
        "times_faster": per_unit[0] / per_unit[1],
    }


def equilibrium(large: int) -> dict[str, Any]:
    """Micro-FE: assembled and solved directly by scipy; ours to a residual of 1e-6."""
    from reference.elasticity import solved

    from microct.mechanics import loading
    from microct.mechanics.equilibrium import Equilibrium, loaded_mesh

    def case(edge: int) -> tuple[np.ndarray, Any, Any]:
        modulus = np.zeros((edge,) * 3, np.float32)
        modulus[field(edge, 0.3)] = 6800.0
        modulus[:, edge // 2 - 2 : edge // 2 + 2, edge // 2 - 2 : edge // 2 + 2] = 6800.0  # reaches from face to face
        mesh, _ = loaded_mesh(modulus, 0)
        kept = np.zeros_like(modulus)
        kept[tuple(mesh.voxels.T)] = mesh.modulus
        return kept, mesh, loading.compression(mesh, "z", -0.01, "frictionless")

    small, few, slow_case = case(12)
    _, many, fast_case = case(large)
    solver = Equilibrium(0.3, 1e-6)
    given = slow_case.displacement[:, 0]
    return ratio(
        "degree of freedom",
        (3.0 * len(few.positions), lambda: solved(small, 0.3, slow_case.fixed, given)),
        (3.0 * len(many.positions), lambda: solver.solve(many, fast_case).force),
    )


QUESTIONS: dict[str, tuple[Callable[[int], dict[str, Any]], int]] = {
    "random words": (random_words, LARGE),
    "surface of births": (surface, LARGE),
    "squared distance": (distance, LARGE),
    "local thickness": (thickness, LARGE),
    "fronts of a step": (fronts, 96),
    "micro-FE": (equilibrium, 48),
}


def _placed(values: np.ndarray) -> Any:
    return values if jax.default_backend() == "cpu" else jax.device_put(values)


def main() -> None:
    """Measure and record."""
    asked = options(__doc__, 120.0).parse_args()
    budget = Budget(asked.budget_seconds)
    record = Record("reference-quick" if asked.quick else "reference", asked.out)
    for name, (measure, large) in QUESTIONS.items():
        if budget.allows(name, 10.0):
            record.add(name, measure(min(large, 48) if asked.quick else large))
            jax.clear_caches()
    record.content["left_out"] = budget.left_out
    print(table([
        {"question": name, "unit": row["unit"], "definition us": row["definition"]["us_per_unit"],
         "kernel us": row["kernel"]["us_per_unit"], "times faster": row["times_faster"]}
        for name, row in record.answer.items()
    ]))  # fmt: skip
    print(record.write())


if __name__ == "__main__":
    main()
