"""How much processor time does a degree of freedom of micro-FE cost, beside ParOSol in the same run?

    python benchmarks/bench_microfe.py [--edge 100] [--scan FILE.npy ...] [--parosol FOLDER] [--skip-parosol]

Each volume is compressed by 1 % between frictionless plates to a residual of 1e-6. Processor time of ours counts mesh,
levels, solution and the recomputed residual; compilation is apart. ParOSol comes from the PyPI package parosol-py
(GPL-2; a program that is run, no part of microct): installed, or its wheel unpacked in FOLDER. It runs on one process,
with its own settings and its own reading of the tolerance, which is the same rule.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
from machine import record

from microct.imaging.specimens import sample
from microct.kernels.components import label
from microct.mechanics import loading
from microct.mechanics.equilibrium import Equilibrium, loaded_mesh

MODULUS_MPA, POISSON, EDGE_MM, STRAIN = 6800.0, 0.3, 0.03, -0.01


def rods(edge: int) -> np.ndarray:
    """Open cells of rods, as in trabecular bone, made by the project's generator."""
    block = sample(
        "trabecular", size_mm=edge * EDGE_MM, voxel_size_um=1000 * EDGE_MM, seed=1, plate_share=0.0,
        bone_volume_fraction=0.22,
    )  # fmt: skip
    return block.values >= 128


def random_field(edge: int) -> np.ndarray:
    """The upper 22 % of a smooth Gaussian field: thin necks, far harder than bone."""
    rng = np.random.default_rng(0)
    frequency = np.fft.fftfreq(edge)
    squared = frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + frequency[None, None, :] ** 2
    noise = np.fft.ifftn(np.fft.fftn(rng.standard_normal((edge,) * 3)) * np.exp(-2 * (np.pi * 3) ** 2 * squared)).real
    return noise > np.quantile(noise, 0.78)


def largest_piece(bone: np.ndarray) -> np.ndarray:
    """The largest piece joined by faces: what both programs solve."""
    labels, _ = label(bone, 6)
    return labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1


def ours(bone: np.ndarray, tolerance: float) -> dict[str, Any]:
    """Processor and wall seconds, steps and memory of a solve; the first, which compiles, apart."""
    modulus = bone.astype(np.float32) * np.float32(MODULUS_MPA)
    solver = Equilibrium(POISSON, tolerance)
    seconds = []
    for _ in range(2):
        began, wall = time.process_time(), time.perf_counter()
        mesh, _ = loaded_mesh(modulus, 0)
        solution = solver.solve(mesh, loading.compression(mesh, "z", STRAIN, "frictionless"))
        seconds.append((time.process_time() - began, time.perf_counter() - wall))
    freedom = 3 * len(mesh.positions)
    return {
        "degrees_of_freedom": freedom,
        "processor_s": round(seconds[1][0], 2),
        "wall_s": round(seconds[1][1], 2),
        "compile_processor_s": round(seconds[0][0] - seconds[1][0], 2),
        "us_per_dof": round(seconds[1][0] / freedom * 1e6, 2),
        "iterations": solution.iterations,
        "residual": solution.residual,
        "apparent_modulus_mpa": float(solution.energy[0, 0]) / STRAIN**2 / bone.size,
        "peak_process_bytes_per_dof": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / freedom),
    }


def parosol_program(folder: Path | None) -> tuple[Path, dict[str, str]] | None:
    """The program and the environment that it needs; None where it is not installed."""
    if folder is None:
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
    if not program.is_file():
        return None
    return program, environment


def parosol(bone: np.ndarray, tolerance: float, program: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The same load case in ParOSol on one process."""
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edge", type=int, default=100)
    parser.add_argument("--tolerance", type=float, default=1e-6)
    parser.add_argument("--scan", type=Path, nargs="*", default=[], help=".npy masks, z y x")
    parser.add_argument("--parosol", type=Path, help="folder with the unpacked wheel of parosol-py")
    parser.add_argument("--skip-parosol", action="store_true")
    parser.add_argument("--only-scans", action="store_true")
    asked = parser.parse_args()
    volumes = {} if asked.only_scans else {"rods": rods(asked.edge), "random_field": random_field(asked.edge)}
    volumes |= {path.stem: np.load(path) > 0 for path in asked.scan}
    found = None if asked.skip_parosol else parosol_program(asked.parosol)
    answer: dict[str, Any] = {"tolerance": asked.tolerance, "parosol": "beside" if found else "not run"}
    for name, bone in volumes.items():
        bone = largest_piece(bone)
        jax.clear_caches()
        row: dict[str, Any] = {"shape": list(bone.shape), "bone_share": round(float(bone.mean()), 3)}
        row["ours"] = ours(bone, asked.tolerance)
        if found:
            row["parosol"] = parosol(bone, asked.tolerance, *found)
            if row["parosol"]["exit"] == 0:
                row["times_faster"] = round(row["parosol"]["processor_s"] / row["ours"]["processor_s"], 2)
        answer[name] = row
        print(name, row, flush=True)
    print(record(f"microfe_{asked.edge}", answer))


if __name__ == "__main__":
    main()
