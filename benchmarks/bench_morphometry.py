"""How long does measuring take, and how much memory, beside the peers that pip installs?

    python benchmarks/bench_morphometry.py [--edges 128 256 512] [--quick] [--limit-s 900] [--without NAME ...]
        [--only QUESTION ...] [--add]

Every way runs alone in a process of its own on the same Gaussian field (BV/TV 0.2, Tb.Th about 10 voxels; periodic,
so that the larger volumes are the smaller one laid side by side). Once to warm up (compilers), then once for the clock.
Seconds are of the processor, all cores together; memory is what the process grew by at its peak, for each voxel.
Peers that are missing, or do not load, are left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import record, recorded_answer
from measure import Peak

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

BASE = 128
SIGMA = 4.0


def volume(edge: int) -> np.ndarray:
    """(edge, edge, edge) bool."""
    from reference.fields import gaussian_field, level

    base = min(edge, BASE)
    bone = gaussian_field(base, SIGMA, 1) > level(0.2)
    times = -(-edge // base)
    return np.ascontiguousarray(np.tile(bone, (times,) * 3)[:edge, :edge, :edge])


def _microct_distance(bone: np.ndarray) -> Any:
    from microct.kernels.distance import squared_distance

    return squared_distance(bone)


def _microct_thickness(bone: np.ndarray) -> Any:
    from microct.kernels.thickness import local_squared_radius

    return local_squared_radius(bone)


def _microct_separation(bone: np.ndarray) -> Any:
    return _microct_thickness(~bone)


def _microct_one_pass(bone: np.ndarray) -> Any:
    from microct.kernels.minkowski import functionals
    from microct.kernels.stencil import configuration_histogram

    return functionals(configuration_histogram(bone), (1.0, 1.0, 1.0))


def _microct_one_pass_bent(bone: np.ndarray) -> Any:
    from microct.kernels.minkowski import measure_block

    return measure_block(bone, (1.0, 1.0, 1.0))


def _microct_labels(bone: np.ndarray) -> Any:
    from microct.kernels.components import label

    return label(bone)


def _microct_all(bone: np.ndarray) -> Any:
    from microct import Volume, measure

    return measure(Volume(bone, (0.02,) * 3))


def _scipy_distance(bone: np.ndarray) -> Any:
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(bone)


def _edt_distance(bone: np.ndarray) -> Any:
    import edt

    return edt.edt(bone, black_border=False)


def _porespy_thickness(bone: np.ndarray) -> Any:
    import porespy

    return porespy.filters.local_thickness(bone)


def _localthickness_thickness(bone: np.ndarray) -> Any:
    import localthickness

    return localthickness.local_thickness(bone)


def _localthickness_separation(bone: np.ndarray) -> Any:
    return _localthickness_thickness(~bone)


def _porespy_separation(bone: np.ndarray) -> Any:
    return _porespy_thickness(~bone)


def _scikit_euler(bone: np.ndarray) -> Any:
    from skimage.measure import euler_number

    return euler_number(bone, connectivity=3)


def _scikit_mesh(bone: np.ndarray) -> Any:
    from skimage.measure import marching_cubes, mesh_surface_area

    corners, faces, _, _ = marching_cubes(bone.astype(np.float32), 0.5)
    return mesh_surface_area(corners, faces)


def _quantimpy(bone: np.ndarray) -> Any:
    from quantimpy import minkowski

    return minkowski.functionals(bone)


def _scipy_labels(bone: np.ndarray) -> Any:
    from scipy.ndimage import label

    return label(bone, np.ones((3, 3, 3)))


def _cc3d_labels(bone: np.ndarray) -> Any:
    import cc3d

    return cc3d.connected_components(bone, connectivity=26)


#: Questions, our way first; what each way gives is said where it differs.
QUESTIONS: dict[str, dict[str, Callable[[np.ndarray], Any]]] = {
    "local thickness of bone": {
        "microct (exact)": _microct_thickness,
        "porespy (25 radii)": _porespy_thickness,
        "localthickness (dilations)": _localthickness_thickness,
    },
    "local thickness of marrow": {
        "microct (exact)": _microct_separation,
        "porespy (25 radii)": _porespy_separation,
        "localthickness (dilations)": _localthickness_separation,
    },
    "distance": {
        "microct (exact squares)": _microct_distance,
        "scipy (float64)": _scipy_distance,
        "edt (float32)": _edt_distance,
    },
    "volume, surface, curvature, Euler, MIL": {
        "microct (one pass)": _microct_one_pass,
        "microct (and bending)": _microct_one_pass_bent,
        "scikit-image (Euler alone)": _scikit_euler,
        "scikit-image (surface alone)": _scikit_mesh,
        "quantimpy (without MIL)": _quantimpy,
    },
    "components": {
        "microct": _microct_labels,
        "scipy": _scipy_labels,
        "connected-components-3d": _cc3d_labels,
    },
    "the whole standard table": {"microct": _microct_all},
}


def child(question: str, way: str, edge: int) -> None:
    """Run one way and print what it took."""
    do = QUESTIONS[question][way]
    do(volume(64))
    bone = volume(edge)
    if edge <= 256:
        do(bone[: edge // 2].copy())  # compile for planes of this size
    with Peak() as peak:
        wall, processor = time.perf_counter(), time.process_time()
        do(bone)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(json.dumps({"wall_s": wall, "processor_s": processor, "byte_per_voxel": peak.grown / bone.size}))


def asked(question: str, way: str, edge: int, limit_s: float) -> dict[str, float] | None:
    """What a process of its own says; None where the peer is missing or takes too long."""
    words = [sys.executable, __file__, "--child", question, way, str(edge)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return None
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else None


def main() -> None:
    """Run and record."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--edges", type=int, nargs="+", default=[128, 256])
    options.add_argument("--quick", action="store_true", help="128 only")
    options.add_argument("--add", action="store_true", help="to the answers of the last record of this machine")
    options.add_argument("--limit-s", type=float, default=300.0, help="for each way")
    options.add_argument("--without", nargs="+", default=[], help="peers to leave out, by the first word of their name")
    options.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), help="of the questions")
    options.add_argument("--child", nargs=3, metavar=("QUESTION", "WAY", "EDGE"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.child:
        child(given.child[0], given.child[1], int(given.child[2]))
        return
    edges = [128] if given.quick else given.edges
    answer: dict[str, Any] = recorded_answer("morphometry") if given.add else {}
    for edge in edges:
        for question in given.only:
            ways = QUESTIONS[question]
            chosen = [way for way in ways if way.split()[0] not in given.without]
            found = {way: asked(question, way, edge, given.limit_s) for way in chosen}
            ours = next(iter(found.values()))
            for way, took in found.items():
                if took is None:
                    print(f"{edge}^3  {question:40s} {way:30s} missing, or beyond the limit")
                    continue
                took["times_ours"] = took["processor_s"] / ours["processor_s"] if ours else float("nan")
                print(
                    f"{edge}^3  {question:40s} {way:30s} {took['processor_s']:8.2f} s  "
                    f"{took['times_ours']:7.2f} x ours  {took['byte_per_voxel']:7.1f} byte/voxel",
                    flush=True,
                )
            answer[f"{question}, {edge}^3"] = {way: took for way, took in found.items() if took}
            recorded = record("morphometry-quick" if given.quick else "morphometry", answer)
    print(recorded)


if __name__ == "__main__":
    main()
