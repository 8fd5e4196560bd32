"""What would a GPU be asked to do that is not at hand? Programs compiled for an H200: memory, kernels, compilation.

    python benchmarks/bench_gpu_plan.py [--mdof 100 1000] [--edge 512] [--without-kernels]

Needs jax's CUDA plugin (`pip install "jax[cuda12]"`), no GPU. A step of micro-FE is one of conjugate gradients; the
levels of a smaller bone are scaled to the size asked for. A step of remodeling is one of ten days, with and without all
fields.
Seconds are a model (`gpu_plan`), made to find what is bad on a GPU, no measurement: see benchmarks/README.md.
"""

from __future__ import annotations

import time
from typing import Any
from unittest import mock

from gpu_plan import Plan, compiled, h200, shaped
from machine import Record
from measure import Budget, options, table

EDGE = 96

#: Waves of births that are carved together in a step of 512^3, counted on a CPU (4.5 on the mean).
WAVES = 5


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
    large = multigrid_setup.FACTORED_FROM
    with mock.patch.object(multigrid_setup, "FACTORED_FROM", 1):
        tree = multigrid_setup.hierarchy(multigrid_setup.structure(mesh), case.fixed, POISSON, side_by_side=True)
    growth = mdof * 1e6 / (3 * len(mesh.positions))

    def scaled(name: str, level: int, array: Any, by: float) -> Any:
        if array is None or np.ndim(array) == 0:
            return array
        shape = list(array.shape)
        along = 1 if name in ("around", "matrices") or (name == "modulus" and level == 0) else 0
        shape[along] = filled(shape[along] * (by ** (2 / 3) if name.startswith("extra") else by))
        return np.lib.stride_tricks.as_strided(np.zeros(1, array.dtype), shape, [0] * len(shape))

    def level(n: int, like: int, by: float) -> Any:
        of = tree.levels[like]
        made = of._replace(**{name: scaled(name, n, getattr(of, name), by) for name in of._fields})
        if n > 1 and len(made.nodes) < large:
            whole = np.broadcast_to(np.float32(0), (len(made.nodes), 24, 24))
            return made._replace(matrices=whole, extra=None, extra_cells=None)
        return made

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


def block_of_steps(edge: int, all_fields: bool) -> tuple[Any, dict[str, Any], int]:
    """Shapes of a block of remodeling with the sizes that a run chooses on a GPU, its static words, and its steps."""
    import jax
    import numpy as np
    from bench_remodeling import everything, shaft

    from microct.kernels import bmu_table as bmu
    from microct.simulation import build, sizes
    from microct.simulation.config import Study
    from microct.volume import Volume

    sections = {name: asked for name, asked in everything()[0].items() if all_fields and name != "load"}
    if all_fields:  # damage is looked at between blocks, and asks for a load
        sections["osteocytes"] = {**sections["osteocytes"], "damage": False}
    study = Study().with_values(
        time={"years": 10.0, "burn_in_years": 0.0}, patient={"menopause_after_start_years": 0.0}, **sections
    )
    small = shaft(min(edge, 256))
    times = (edge // small.shape[0],) * 3
    place = build._compartments(small, study, None)
    place = None if place is None else np.tile(place, times)
    bone = Volume.from_array(np.tile(small.values, times), small.voxel_size_um)
    with mock.patch.object(jax, "default_backend", return_value="gpu"):
        model = build.build(bone, study, place=place)
    steps, kinds = sizes.BLOCK_STEPS, len(model.demand.births)
    whole, real, number = np.zeros(steps, np.int32), np.zeros(steps, np.float32), np.int32(0)
    each, voxels = np.zeros((steps, kinds), np.float32), np.broadcast_to(np.uint8(0), bone.shape)
    demand = bmu.Demand(whole, each, each, each.astype(np.int32), whole, whole, real, whole, real, real)
    shapes = (
        bmu.Fields(voxels, voxels, np.broadcast_to(np.uint16(0), bone.shape)),
        jax.eval_shape(lambda: bmu.empty_tables(model.room)),
        bmu.Units(number, number if model.room.tunnels else None), number, number, demand, model.schedule,
        np.uint32(0), model.shares, np.float32(0), bmu.Local(voxels, voxels) if all_fields else None,
        voxels if all_fields else None, model.cones,
    )  # fmt: skip
    shapes = jax.tree.map(lambda leaf: leaf if hasattr(leaf, "shape") else np.asarray(leaf), shapes)
    return shapes, {"plan": model.plan}, steps


def remodeling(edge: int, all_fields: bool, device: Any) -> dict[str, Any]:
    """The plan of a block of steps."""
    import jax

    from microct.kernels.turnover import block

    shapes, static, steps = block_of_steps(edge, all_fields)
    with mock.patch.object(jax, "default_backend", return_value="gpu"):
        began = time.process_time()
        program = compiled(block, *shaped(shapes, device), **static)
        took = time.process_time() - began
    memory, plan = program.memory_analysis(), Plan(program.as_text())
    cost = plan.cost(lambda inside: (steps, WAVES)[min(inside, 1)])
    total = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    return {
        "bytes_per_voxel": round(total / edge**3, 2),
        "compile_processor_s": round(took, 1),
        "kernels_per_step": round(cost.kernels / steps),
        "GB_per_step": round(cost.bytes / steps / 1e9, 2),
        "model_s_per_step": round(cost.seconds / steps, 5),
    }


def main() -> None:
    """Compile and record."""
    parser = options(__doc__, 900.0)
    parser.add_argument("--mdof", type=float, nargs="*", default=[100.0, 1000.0], help="million degrees of freedom")
    parser.add_argument("--edge", type=int, nargs="*", default=[512], help="voxels along the edge, whole times 256")
    parser.add_argument("--without-kernels", action="store_true", help="as where jax can make none of its own")
    asked = parser.parse_args()
    try:
        device = h200()
    except RuntimeError as missing:
        print(f"nothing is planned: {missing}")
        return
    import jax
    import numpy as np

    from microct.kernels import fused, multigrid

    if asked.without_kernels:
        mock.patch.object(fused, "has_kernels", return_value=False).start()
    budget, rows = Budget(asked.budget_seconds), []
    record = Record("gpu_plan-quick" if asked.quick else "gpu_plan", asked.out, planned_for=device.device_kind)
    for mdof in [10.0] if asked.quick else asked.mdof:
        name = f"micro-FE, {mdof:g} Mdof" + ", without kernels" * asked.without_kernels
        if not budget.allows(name, 120.0):
            continue
        tree, nodes = levels(mdof)
        vector = np.broadcast_to(np.float64(0), (nodes, 1, 3))
        with jax.enable_x64(True):
            given = (tree, np.zeros((24, 24)), vector, vector, np.zeros(1), np.float64(0), np.int32(0))
            began = time.process_time()
            program = compiled(multigrid.solve, *shaped(given, device), with_kernels=True)
            took = time.process_time() - began
        memory, plan = program.memory_analysis(), Plan(program.as_text())
        # the loop around all is conjugate gradients, those inside are the few steps on the levels below
        step = plan.cost(lambda inside: ([1, *multigrid.STEPS] + [1] * 9)[inside])
        row: dict[str, Any] = {
            "job": name,
            "Mdof": 3 * nodes / 1e6,
            "levels": len(tree.levels),
            "array_bytes_per_dof": round((memory.argument_size_in_bytes + memory.temp_size_in_bytes) / (3 * nodes), 1),
            "compile_processor_s": round(took, 1),
            "kernels_per_step": round(step.kernels),
            "GB_per_step": round(step.bytes / 1e9, 1),
            "model_s_per_step": round(step.seconds, 4),
        }
        most = sorted(step.by_name.items(), key=lambda item: -item[1])[:6]
        record.add(name, row | {"model_s_by_kernel": {k: round(v, 5) for k, v in most}})
        rows.append(row)
    for edge in [64] if asked.quick else asked.edge:
        for fields in ("none", "all"):
            name = f"remodeling, {edge}^3, {fields}"
            if budget.allows(name, 200.0):
                row = remodeling(edge, fields == "all", device)
                record.add(name, row)
                rows.append({"job": name} | row)
    record.content["left_out"] = budget.left_out
    print(table(rows))
    print(record.write())


if __name__ == "__main__":
    main()
