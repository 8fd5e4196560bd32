"""How long do the cells take: one woman for 30 years, and thousands of them at once, beside the peers?

    python benchmarks/bench_cells.py [--women 1024] [--budget-seconds 300] [--quick]

One woman: `course` in double precision, with 22 years of run-in. Many: `lives` in single precision, with weekly steps
(three days under drugs), in the batches of `microct ensemble`. Peers: the definition in
NumPy and scipy of `tests/reference` (the same model), and bone_models (`pip install bone_models`), other and smaller
models of bone cells; all for each simulated year of one woman.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import bones  # noqa: F401 - finds tests/reference
import jax
import numpy as np
from machine import Record
from measure import Budget, energy, median, options, table, timed

YEARS = 30
RUN_IN_YR = 10


def she() -> Any:
    """A natural menopause one year after the start, at 50."""
    from microct.signalling import Patient

    return Patient("natural", 50.0, 1.0)


def treatments(treated: bool) -> tuple[Any, ...]:
    """Denosumab from the fifth year, or nothing."""
    from microct.signalling import Treatment

    return (Treatment("denosumab", 5.0),) if treated else ()


def one_woman(treated: bool, repeats: int = 3, budget_s: float = 30.0) -> dict[str, Any]:
    """The row of a single course."""
    from microct.signalling import course

    times = np.arange(12 * YEARS + 1) / 12
    return _per_year(timed(lambda: course(she(), times, treatments=treatments(treated)), repeats, budget_s), YEARS + 22)


def many_women(count: int, treated: bool, repeats: int = 3, budget_s: float = 60.0) -> dict[str, Any]:
    """The row of an ensemble; compilation apart."""
    from microct.signalling import ensemble as virtual
    from microct.signalling.cell_course import prepared
    from microct.signalling.integration import Step
    from microct.signalling.timeline import grid_of_crowds
    from microct.simulation.cohort import SAMPLES_PER_YEAR, in_batches

    steps = Step(**vars(grid_of_crowds(treatments(treated), -RUN_IN_YR, YEARS, SAMPLES_PER_YEAR)))
    p = virtual.single_precision(prepared(she()))
    of = virtual.women(she(), prepared(she()), count, seed=1)
    place = virtual.place_of(she())

    def live() -> Any:
        return in_batches(of, lambda some: jax.block_until_ready(virtual.lives(some, p, steps, place, -RUN_IN_YR)))

    began = time.perf_counter()
    jax.block_until_ready(live())
    first = time.perf_counter() - began
    with energy() as joules:
        row = timed(live, repeats, budget_s, warm=False)
    took = median(row)
    return _per_year(row, count * (YEARS + RUN_IN_YR)) | {
        "women": count,
        "first_s": first,
        "women_per_s": count / took,
        "ms_per_woman": 1e3 * took / count,
        "joule": joules,
    }


def by_definition(years: int) -> Any:
    """The same model by its equations, in NumPy and scipy at a tolerance of 1e-9."""
    from reference.cell_model import cell_course

    return cell_course("natural", 50.0, 1.0, np.arange(12 * years + 1) / 12)


def lemaire(years: int) -> Any:
    """bone_models: Lemaire et al. 2004, three states."""
    from bone_models.load_cases.lemaire_load_cases import Lemaire_Load_Case_1
    from bone_models.models.lemaire_model import Lemaire_Model

    with contextlib.redirect_stdout(io.StringIO()):
        return Lemaire_Model(Lemaire_Load_Case_1()).solve_bone_cell_population_model([0, years * 365.25])


def martinez_reina(years: int) -> Any:
    """bone_models: Martinez-Reina, Pivonka 2019, five states and a queue of mineral, menopause and denosumab."""
    from bone_models.load_cases.martinez_reina_load_cases import Martinez_Reina_Load_Case
    from bone_models.models.martinez_reina_model import Martinez_Reina_Model

    with contextlib.redirect_stdout(io.StringIO()):
        return Martinez_Reina_Model(Martinez_Reina_Load_Case()).solve_bone_cell_population_model([0, years * 365])


#: Peers: what they are, one life, its years (run-in included), and seconds that it takes about.
PEERS: dict[str, tuple[Callable[[int], Any], int, int, float]] = {
    "by definition (NumPy, scipy)": (by_definition, YEARS, YEARS + 22, 60.0),
    "bone_models, Lemaire 2004 (3 states)": (lemaire, YEARS, YEARS, 3.0),
    "bone_models, Martinez-Reina 2019 (5 states, mineral)": (martinez_reina, 2, 2, 40.0),
}


def peer(name: str) -> dict[str, Any]:
    """The row of one peer, run once after a first call to warm up; what is missing says so."""
    life, asked, years, _ = PEERS[name]
    try:
        life(1)
        return _per_year(timed(partial(life, asked), 1, warm=False), years)
    except ImportError as missing:
        return {"missing": str(missing)}


def _per_year(row: dict[str, Any], years: float) -> dict[str, Any]:
    return row | {"us_per_woman_year": 1e6 * median(row, "processor_s") / years,
                  "wall_us_per_woman_year": 1e6 * median(row) / years}  # fmt: skip


def main() -> None:
    """Measure and record."""
    parser = options(__doc__, 300.0)
    parser.add_argument("--women", type=int, help="1024 on a CPU, 10 000 on a GPU if left out")
    asked = parser.parse_args()
    count = asked.women or (1024 if jax.default_backend() == "cpu" else 10_000)
    count = 8 if asked.quick else count
    budget = Budget(asked.budget_seconds)
    record = Record("cells-quick" if asked.quick else "cells", asked.out, women=count, years=YEARS)
    for name, treated in (("untreated", False), ("treated", True)):
        if budget.allows(f"one woman, {name}", 5.0):
            record.add(f"one woman, {name}", one_woman(treated, 1 if asked.quick else 3))
        if budget.allows(f"many women, {name}", 20.0):
            record.add(f"many women, {name}", many_women(count, treated, 1 if asked.quick else 3, budget.left / 3))
    for name, (*_, expected) in PEERS.items():
        if not asked.quick and budget.allows(name, expected):
            record.add(name, peer(name))
    record.content["left_out"] = budget.left_out
    ours = record.answer.get("one woman, untreated", {}).get("us_per_woman_year")
    print(table([
        {"who": name, "us/woman-year (processor)": row.get("us_per_woman_year"),
         "(wall)": row.get("wall_us_per_woman_year"), "women/s": row.get("women_per_s"),
         "x one of ours": row["us_per_woman_year"] / ours if ours and "us_per_woman_year" in row else None,
         **({"missing": row["missing"]} if "missing" in row else {})}
        for name, row in record.answer.items()
    ]))  # fmt: skip
    print(record.write())


if __name__ == "__main__":
    main()
