"""What would a GPU be asked to do that is not at hand? Micro-FE compiled for an H200: memory, kernels, compilation.

    python benchmarks/bench_gpu_plan.py [--mdof 100 1000]

Needs jax's CUDA plugin (`pip install "jax[cuda12]"`), no GPU. The levels of a smaller bone are scaled to the size asked
for. Seconds are a model (`gpu_plan`), made to find what is bad on a GPU, no measurement: see benchmarks/README.md.
"""

from __future__ import annotations

import time
from typing import Any

from gpu_plan import Plan, compiled, h200, shaped
from machine import Record
from measure import Budget, options, table

EDGE = 96


def levels(mdof: float) -> tuple[Any, int]:
    """A hierarchy of rods with the products for a GPU, as shapes scaled to so many million degrees of freedom."""
    import numpy as np
    from bench_microfe import MODULUS_MPA, POISSON, STRAIN, largest_piece, rods

    from microct.kernels import multigrid_setup
    from microct.kernels.multigrid_galerkin import filled
    from microct.mechanics import loading
    from microct.mechanics.equilibrium import loaded_mesh

    bone = largest_piece(rods(EDGE))
    mesh, _ = loaded_mesh(bone.astype(np.float32) * np.float32(MODULUS_MPA), 0)
    case = loading.compression(mesh, "z", STRAIN, "frictionless")
    tree = multigrid_setup.hierarchy(multigrid_setup.structure(mesh), case.fixed, POISSON, side_by_side=True)
    growth = mdof * 1e6 / (3 * len(mesh.positions))

    def scaled(name: str, level: int, array: Any, by: float) -> Any:
        if array is None or np.ndim(array) == 0:
            return array
        shape = list(array.shape)
        along = 1 if name == "around" or (name == "modulus" and level == 0) else 0
        shape[along] = filled(shape[along] * (by ** (2 / 3) if name.startswith("extra") else by))
        if name == "matrices" and shape[0] >= multigrid_setup.PACKED_FROM:
            shape = [300, shape[0]]
        return np.lib.stride_tricks.as_strided(np.zeros(1, array.dtype), shape, [0] * len(shape))

    def level(n: int, like: int, by: float) -> Any:
        of = tree.levels[like]
        return of._replace(**{name: scaled(name, n, getattr(of, name), by) for name in of._fields})

    last = len(tree.levels) - 1
    made = [level(n, n, growth) for n in range(last)]
    unknowns = 3 * tree.levels[last].smoothing.shape[0]
    while growth * unknowns > multigrid_setup.LARGEST:  # further levels, until one is inverted
        made.append(level(len(made), last, growth))
        growth /= 5.0
    made.append(level(len(made), last, growth))
    points = made[-1].smoothing.shape[0]
    tree = tree._replace(coarsest=np.broadcast_to(np.float32(0), (3 * points, 3 * points)))
    nodes = made[0].smoothing.shape[0]
    return tree._replace(levels=tuple(made)), nodes


def main() -> None:
    """Compile and record."""
    parser = options(__doc__, 900.0)
    parser.add_argument("--mdof", type=float, nargs="+", default=[100.0, 1000.0], help="million degrees of freedom")
    asked = parser.parse_args()
    try:
        device = h200()
    except RuntimeError as missing:
        print(f"nothing is planned: {missing}")
        return
    import jax
    import numpy as np

    from microct.kernels import multigrid

    budget, rows = Budget(asked.budget_seconds), []
    record = Record("gpu_plan-quick" if asked.quick else "gpu_plan", asked.out, planned_for=device.device_kind)
    for mdof in [10.0] if asked.quick else asked.mdof:
        if not budget.allows(f"{mdof:g} Mdof", 120.0):
            continue
        tree, nodes = levels(mdof)
        vector = np.broadcast_to(np.float64(0), (nodes, 1, 3))
        with jax.enable_x64(True):
            given = (tree, np.zeros((24, 24)), vector, vector, np.zeros(1), np.float64(0), np.int32(0))
            began = time.process_time()
            program = compiled(multigrid.solve, *shaped(given, device))
            took = time.process_time() - began
        memory, plan = program.memory_analysis(), Plan(program.as_text())
        # the loop around all is conjugate gradients, those inside are the few steps on the levels below
        step = plan.cost(lambda inside: ([1, *multigrid.STEPS] + [1] * 9)[inside])
        row: dict[str, Any] = {
            "Mdof": 3 * nodes / 1e6,
            "levels": len(tree.levels),
            "array_bytes_per_dof": round((memory.argument_size_in_bytes + memory.temp_size_in_bytes) / (3 * nodes), 1),
            "compile_processor_s": round(took, 1),
            "kernels_per_step": round(step.kernels),
            "GB_per_step": round(step.bytes / 1e9, 1),
            "model_s_per_step": round(step.seconds, 4),
        }
        most = sorted(step.by_name.items(), key=lambda item: -item[1])[:6]
        record.add(f"micro-FE, {mdof:g} Mdof", row | {"model_s_by_kernel": {k: round(v, 5) for k, v in most}})
        rows.append(row)
    record.content["left_out"] = budget.left_out
    print(table(rows))
    print(record.write())


if __name__ == "__main__":
    main()
