"""How long do the cells take? One woman for 30 years, and ten thousand of them at once."""

from __future__ import annotations

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from machine import record

from microct.signalling import Patient, Treatment, course
from microct.signalling import ensemble as virtual
from microct.signalling.cell_course import prepared
from microct.signalling.drugs.schedule import doses_per_day
from microct.simulation.cohort import BATCH, STEPS_TREATED, STEPS_UNTREATED

SHE = Patient("natural", 50.0, 1.0)
YEARS = 30
RUN_IN_YR = 10


def one_woman() -> dict[str, float]:
    """`course`: half-day steps, double precision, 22 years of run-in and 30 of study [s]."""
    times = np.arange(12 * YEARS + 1) / 12
    answer = {}
    for name, treatments in (("untreated", ()), ("treated", (Treatment("denosumab", 5.0),))):
        course(SHE, times, treatments=treatments)
        begin, spent = time.perf_counter(), time.process_time()
        course(SHE, times, treatments=treatments)
        answer[f"{name}_processor_s"] = time.process_time() - spent
        answer[f"{name}_s"] = time.perf_counter() - begin
    return answer


def many_women(count: int) -> dict[str, float]:
    """`lives`: steps of a week (untreated) or four days (treated), single precision, batches of 4096 [s]."""
    answer: dict[str, float] = {"women": count}
    p = virtual.single_precision(prepared(SHE))
    of = virtual.women(SHE, prepared(SHE), count, seed=1)
    for name, steps, treatments in (
        ("untreated", STEPS_UNTREATED, ()),
        ("treated", STEPS_TREATED, (Treatment("denosumab", 5.0),)),
    ):
        doses = jnp.asarray(doses_per_day(treatments, -RUN_IN_YR, YEARS + RUN_IN_YR, steps), jnp.float32)
        batches = [jax.tree.map(lambda part, at=at: part[at : at + BATCH], of) for at in range(0, count, BATCH)]
        begin = time.perf_counter()
        for batch in batches[:1] + batches[-1:]:
            virtual.lives.lower(batch, p, doses, virtual.place_of(SHE), -RUN_IN_YR).compile()
        answer[f"{name}_compile_s"] = time.perf_counter() - begin
        for batch in batches[-1:]:  # once before the clock starts
            jax.block_until_ready(virtual.lives(batch, p, doses, virtual.place_of(SHE), -RUN_IN_YR))
        begin, spent = time.perf_counter(), time.process_time()
        for batch in batches:
            jax.block_until_ready(virtual.lives(batch, p, doses, virtual.place_of(SHE), -RUN_IN_YR))
        answer[f"{name}_s"] = time.perf_counter() - begin
        answer[f"{name}_processor_s"] = time.process_time() - spent  # of all cores: steady on a busy machine
        answer[f"{name}_ms_per_woman"] = 1000 * answer[f"{name}_s"] / count
    return answer


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(record("cells_one_and_many", {"one_woman": one_woman(), "many_women": many_women(count)}))
