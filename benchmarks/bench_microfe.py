"""How much processor time does a degree of freedom of micro-FE cost, beside ParOSol in the same run?

    python benchmarks/bench_microfe.py [--edge 100 160] [--scan FILE.npy ...] [--parosol FOLDER] [--one-core]

Each volume is compressed by 1 % between frictionless plates to a residual of 1e-6. Processor time of ours counts mesh,
levels, solution and the recomputed residual; compilation is apart. ParOSol comes from the PyPI package parosol-py
(GPL-2; a program that is run, no part of microct): on the path, installed, or its wheel unpacked in FOLDER. It runs on
one process, with its own settings and its own reading of the tolerance, which is the same rule. On a busy machine
threads that wait for one another count as processor time: --one-core lets both programs have one core and no more.
"""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from machine import Record
from measure import Budget, device_memory, energy, median, options, peak_process, table

from microct.imaging.specimens import sample
from microct.kernels import multigrid, multigrid_setup
from microct.kernels.components import label
from microct.kernels.elasticity import stiffness_matrix
from microct.mechanics import loading
from microct.mechanics.equilibrium import Equilibrium, loaded_mesh

MODULUS_MPA, POISSON, EDGE_MM, STRAIN = 6800.0, 0.3, 0.03, -0.01

#: Edge beyond which a volume is made of smaller ones, so that making it does not take longer than solving it.
MIRRORED = 160


def rods(edge: int) -> np.ndarray:
    """Open cells of rods, as in trabecular bone, made by the project's generator; large ones are mirrored."""
    made = min(edge, MIRRORED)
    block = sample(
        "trabecular", size_mm=made * EDGE_MM, voxel_size_um=1000 * EDGE_MM, seed=1, plate_share=0.0,
        bone_volume_fraction=0.22,
    )  # fmt: skip
    turn = np.arange(edge) % (2 * made)
    turn = np.minimum(turn, 2 * made - 1 - turn)
    return (block.values >= 128)[np.ix_(turn, turn, turn)]


def random_field(edge: int) -> np.ndarray:
    """The upper 22 % of a smooth Gaussian field: thin necks, far harder than bone; large ones repeat themselves."""
    made = min(edge, MIRRORED)
    rng = np.random.default_rng(0)
    frequency = np.fft.fftfreq(made)
    squared = frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + frequency[None, None, :] ** 2
    noise = np.fft.ifftn(np.fft.fftn(rng.standard_normal((made,) * 3)) * np.exp(-2 * (np.pi * 3) ** 2 * squared)).real
    turn = np.arange(edge) % made
    return (noise > np.quantile(noise, 0.78))[np.ix_(turn, turn, turn)]


def largest_piece(bone: np.ndarray) -> np.ndarray:
    """The largest piece joined by faces: what both programs solve."""
    labels, _ = label(bone, 6)
    return labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1


def ours(bone: np.ndarray, tolerance: float, repeats: int = 2, budget_s: float = 120.0) -> dict[str, Any]:
    """Processor and wall seconds, steps, joules and memory of a solve; the first, which compiles, apart."""
    modulus = bone.astype(np.float32) * np.float32(MODULUS_MPA)
    solver = Equilibrium(POISSON, tolerance)
    row: dict[str, Any] = {"wall_s": [], "processor_s": []}
    first, joules, start = (0.0, 0.0), {}, time.perf_counter()
    for number in range(repeats + 1):
        with energy() as spent:
            began, wall = time.process_time(), time.perf_counter()
            mesh, _ = loaded_mesh(modulus, 0)
            solution = solver.solve(mesh, loading.compression(mesh, "z", STRAIN, "frictionless"))
            took = (time.perf_counter() - wall, time.process_time() - began)
        if number == 0:
            first = took
            continue
        row["wall_s"].append(took[0])
        row["processor_s"].append(took[1])
        joules = spent
        if time.perf_counter() - start > budget_s:
            break
    freedom = 3 * len(mesh.positions)
    wall, processor = median(row), median(row, "processor_s")
    device, process = device_memory(), peak_process()
    return {
        "degrees_of_freedom": freedom,
        **row,
        "first_s": round(first[0], 3),
        "compile_processor_s": round(max(first[1] - processor, 0.0), 2),
        "us_per_dof": round(processor / freedom * 1e6, 3),
        "wall_s_per_million_dof": round(wall / freedom * 1e6, 3),
        "iterations": solution.iterations,
        "residual": solution.residual,
        "apparent_modulus_mpa": float(solution.energy[0, 0]) / STRAIN**2 / bone.size,
        "array_bytes_per_dof": round(array_bytes(bone, tolerance) / freedom, 1),
        "peak_process_bytes_per_dof": round(process / freedom),
        "peak_device_bytes_per_dof": round(device["peak"] / freedom) if "peak" in device else None,
        "joule_per_million_dof": {name: round(value / freedom * 1e6, 3) for name, value in joules.items()},
    }


def array_bytes(bone: np.ndarray, tolerance: float) -> float:
    """Bytes of all arrays while conjugate gradients run, as the compiler lays them out."""
    mesh, _ = loaded_mesh(bone.astype(np.float32) * np.float32(MODULUS_MPA), 0)
    case = loading.compression(mesh, "z", STRAIN, "frictionless")
    tree = multigrid.prepared(multigrid_setup.hierarchy(multigrid_setup.structure(mesh), case.fixed, POISSON))
    vector = np.zeros((tree.levels[0].smoothing.shape[0], 1, 3))
    with jax.enable_x64(True):
        planned = multigrid.solve.lower(
            tree, stiffness_matrix(POISSON), vector, vector, np.ones(1), np.float64(tolerance), np.int32(100)
        )
        found = planned.compile().memory_analysis()
    assert found is not None  # the compilers of jax for CPU and GPU all say
    return float(found.argument_size_in_bytes + found.temp_size_in_bytes)


def parosol_program(folder: Path | None) -> tuple[Path, dict[str, str]] | None:
    """The program and the environment that it needs; None where it is neither on the path nor installed."""
    if folder is None:
        if on_path := shutil.which("parosol"):
            return Path(on_path), dict(os.environ)
        found = importlib.util.find_spec("parosol_py")
        if found is None or found.origin is None:
            return None
        folder = Path(found.origin).parents[1]
    program = folder / "parosol_py" / "bin" / "parosol"
    mpi = folder / "parosol_py" / "bin" / "openmpi"
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{mpi}/lib:{folder}/parosol_py.libs",
        "OPAL_PREFIX": str(mpi),
        "PMIX_PREFIX": str(mpi),
        "OPAL_MCA_mca_base_component_path": f"{mpi}/lib/openmpi",
        "PMIX_MCA_mca_base_component_path": f"{mpi}/lib/pmix",
        "PMIX_MCA_pcompress_base_silence_warning": "1",
        "OMPI_MCA_pml": "ob1",
        "OMPI_MCA_btl": "self,vader",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    if not os.access(program, os.X_OK):  # unpacked by a tool that forgets who may run what
        print(f"ParOSol is left out: {program} is no program that may be run")
        return None
    return program, environment


def parosol(bone: np.ndarray, tolerance: float, program: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The same load case in ParOSol on one process."""
    import h5py

    mesh, _ = loaded_mesh(bone.astype(np.float32), 0)
    case = loading.compression(mesh, "z", STRAIN, "frictionless")
    node, axis = np.nonzero(case.fixed)
    # nodes and directions are listed as z y x direction, with direction 0 along x
    rows = np.concatenate([mesh.positions[node], (2 - axis)[:, None]], axis=1).astype(np.uint16)
    values = (case.displacement[node, 0, axis] * EDGE_MM).astype(np.float32)
    # without a held point the block could drift sideways: three more, as the program needs
    low = np.flatnonzero(mesh.positions[:, 0] == 0)
    pins = [(low[0], 0), (low[0], 1), (low[-1], 0)]
    rows = np.concatenate([rows, [[*mesh.positions[n], d] for n, d in pins]]).astype(np.uint16)
    values = np.concatenate([values, np.zeros(3, np.float32)])
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "model.h5"
        with h5py.File(file, "w") as h5:
            group = h5.create_group("Image_Data")
            group["Fixed_Displacement_Coordinates"] = rows
            group["Fixed_Displacement_Values"] = values
            group["Loaded_Nodes_Coordinates"] = np.zeros((0, 4), np.uint16)
            group["Loaded_Nodes_Values"] = np.zeros(0, np.float32)
            group["Poisons_ratio"] = POISSON
            group["Voxelsize"] = EDGE_MM
            group["Image"] = bone.astype(np.float32) * np.float32(MODULUS_MPA / 1000)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.perf_counter()
        said = subprocess.run(
            [program, "--level", "6", "--tol", f"{tolerance:g}", file], env=environment, capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    steps = re.findall(r"Nr of It:\s*(\d+)", said.stdout)
    return {
        "processor_s": round(spent, 2),
        "wall_s": round(time.perf_counter() - wall, 2),
        "us_per_dof": round(spent / (3 * len(mesh.positions)) * 1e6, 2),
        "iterations": int(steps[-1]) if steps else None,
        "exit": said.returncode,
        "said": "" if said.returncode == 0 else (said.stderr or said.stdout)[-300:],
    }


def main() -> None:
    """Measure and record."""
    parser = options(__doc__, 500.0)
    parser.add_argument("--edge", type=int, nargs="*", default=[100])
    parser.add_argument("--tolerance", type=float, default=1e-6)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--scan", type=Path, nargs="*", default=[], help=".npy masks, z y x")
    parser.add_argument("--parosol", type=Path, help="folder with the unpacked wheel of parosol-py")
    parser.add_argument("--skip-parosol", action="store_true")
    parser.add_argument("--only-scans", action="store_true")
    parser.add_argument("--only-rods", action="store_true", help="leave the random field out")
    parser.add_argument("--only-random-field", action="store_true", help="leave the rods out")
    parser.add_argument("--one-core", action="store_true", help="everything on one core: nothing waits for a second")
    asked = parser.parse_args()
    if asked.one_core and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        os.execv(sys.executable, [sys.executable, *sys.argv])  # libraries have made threads for all cores by now
    edges = [] if asked.only_scans else [32] if asked.quick else asked.edge
    kinds = {} if asked.only_random_field else {"rods": rods}
    if not asked.only_rods:
        kinds["random_field"] = random_field
    volumes: dict[str, Callable[[], np.ndarray]] = {
        f"{name}, {e}^3": partial(make, e) for e in edges for name, make in kinds.items()
    }
    volumes |= {path.stem: partial(np.load, path) for path in asked.scan}
    found = None if asked.skip_parosol or asked.quick else parosol_program(asked.parosol)
    budget = Budget(asked.budget_seconds)
    record = Record("microfe-quick" if asked.quick else "microfe", asked.out, tolerance=asked.tolerance,
                    parosol="beside" if found else "not run")  # fmt: skip
    for name, make in volumes.items():
        if not budget.allows(name, 10.0):
            continue
        bone = largest_piece(make() > 0)
        jax.clear_caches()
        row: dict[str, Any] = {"shape": list(bone.shape), "bone_share": round(float(bone.mean()), 3)}
        try:
            row["ours"] = ours(bone, asked.tolerance, asked.repeats, budget.left / 2)
        except Exception as error:  # out of memory on the device, above all
            row["failed"] = f"{type(error).__name__}: {error}"[:500]
        record.add(name, row)
        if found and "ours" in row and budget.allows(f"ParOSol, {name}"):
            row["parosol"] = parosol(bone, asked.tolerance, *found)
            if row["parosol"]["exit"] == 0:
                row["times_faster"] = round(row["parosol"]["processor_s"] / median(row["ours"], "processor_s"), 2)
            record.write()
        print(name, row, flush=True)
    record.content["left_out"] = budget.left_out
    print(shown(record.answer))
    print(record.write())


def shown(answer: dict[str, Any]) -> str:
    """The short table at the end."""
    rows = []
    for name, row in answer.items():
        if "ours" not in row:
            rows.append({"bone": name, "failed": row.get("failed")})
            continue
        own = row["ours"]
        joules = own["joule_per_million_dof"]
        rows.append({
            "bone": name, "Mdof": own["degrees_of_freedom"] / 1e6, "s": median(own), "first s": own["first_s"],
            "s/Mdof": own["wall_s_per_million_dof"], "processor us/dof": own["us_per_dof"], "steps": own["iterations"],
            "array byte/dof": own["array_bytes_per_dof"], "process byte/dof": own["peak_process_bytes_per_dof"],
            "J/Mdof": sum(joules.values()) if joules else None,
            "ParOSol, x ours": row.get("times_faster"),
        })  # fmt: skip
    return table(rows)


if __name__ == "__main__":
    main()
