"""How many steps does micro-FE take to a residual of 1e-7, on every volume at hand, and what does each cost?

    python benchmarks/bench_microfe_steps.py [--only trab1240 rods] [--ends clamped] [--largest 10] [--repeat]

Each volume is compressed along z by 1 %, between frictionless plates and between clamped ones. Scans are read from the
folder shared/data beside the repository; those that are not there are named as left out. `--largest` leaves out
what has more million degrees of freedom. The first solve of a volume compiles, so that its processor time is no
measure of cost: `--repeat` makes each a second time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from bench_microfe import MODULUS_MPA, POISSON, STRAIN, largest_piece, random_field, rods
from machine import ROOT, Record
from measure import Budget, options, table

from microct.imaging.specimens import sample
from microct.mechanics import loading
from microct.mechanics.equilibrium import Equilibrium, loaded_mesh

SCANS = ROOT.parent / "shared" / "data"


def plates(edge: int) -> np.ndarray:
    """Plates and rods, as in dense trabecular bone, made by the project's generator."""
    block = sample(
        "trabecular", size_mm=edge * 0.03, voxel_size_um=30.0, seed=2, plate_share=0.7, bone_volume_fraction=0.25
    )
    return block.values >= 128


def _trab1240() -> np.ndarray:
    return np.load(SCANS / "trab1240" / "trab1240_labels.npz")["labels"] > 0


def _lhdl(half: bool) -> np.ndarray:
    """As in the published recipes: 39 um, closed, or 19.5 um."""
    import tifffile
    from scipy import ndimage
    from skimage import filters, morphology

    smooth = filters.gaussian(tifffile.imread(SCANS / "lhdl_3155_D_4_bc.tif"), sigma=1, preserve_range=True)
    if half:
        return morphology.closing(ndimage.zoom(smooth, 0.5, order=2) > 63, morphology.ball(3))
    return smooth > 63


def _nrrd(name: str) -> np.ndarray:
    """A binary scan without its empty border."""
    from microct import read

    return _without_border(read(SCANS / name, voxel_size_um=50).values > 0)


def _joint() -> np.ndarray:
    """Trabeculae of a finger joint in vivo, as the vendor segmented them."""
    from microct import read

    return _without_border(read(SCANS / "ormir_TRAB_SEG_IPL.nii.gz").values > 0)


def _osteon() -> np.ndarray:
    """Bone between a Haversian canal and its cement line, every fourth voxel."""
    labels = np.load(SCANS / "osteon_FM40-1-R1.npz")["labels_zyx"]
    return _without_border(labels[::4, ::4, ::4] == 1)


def _without_border(bone: np.ndarray) -> np.ndarray:
    """Cropped to the largest piece."""
    bone = largest_piece(bone)
    for axis in range(3):
        at = np.flatnonzero(bone.any(axis=tuple(a for a in range(3) if a != axis)))
        bone = bone.take(np.arange(at[0], at[-1] + 1), axis)
    return bone


VOLUMES: dict[str, Callable[[], np.ndarray]] = {
    "rods 64^3": partial(rods, 64),
    "random field 64^3": partial(random_field, 64),
    "plates 100^3": partial(plates, 100),
    "rods 100^3": partial(rods, 100),
    "random field 100^3": partial(random_field, 100),
    "trab1240": _trab1240,
    "lhdl_3155, 39 um": partial(_lhdl, True),
    "osteon": _osteon,
    "shrew": partial(_nrrd, "didsr_Shrew.nrrd"),
    "finger joint": _joint,
    **{
        f"vertebra {name}": partial(_nrrd, f"bonebox_isodata_{name}.nrrd")
        for name in ("67960_roi_140", "67599_roi_87", "07131_roi_70", "04216_roi_4", "04216_roi_8")
    },
    "random field 150^3": partial(random_field, 150),
    "rods 150^3": partial(rods, 150),
    "lhdl_3155, 19.5 um": partial(_lhdl, False),
    "vertebra 300^3": partial(_nrrd, "didsr_ROI10_07131.nrrd"),
}


def main() -> None:
    """Solve each, and record."""
    parser = options(__doc__, 1500.0)
    parser.add_argument("--tolerance", type=float, default=1e-7)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="volumes whose name begins so")
    parser.add_argument("--largest", type=float, default=10.0, help="million degrees of freedom")
    parser.add_argument("--ends", nargs="+", default=["frictionless", "clamped"], help="of the plates")
    parser.add_argument("--repeat", action="store_true", help="solve twice, and take the time of the second")
    asked = parser.parse_args()
    names = ["rods 64^3"] if asked.quick else list(VOLUMES)
    if asked.only:
        names = [name for name in VOLUMES if name.startswith(tuple(asked.only))]
    budget = Budget(asked.budget_seconds)
    record = Record("steps_microfe-quick" if asked.quick else "steps_microfe", asked.out, tolerance=asked.tolerance)
    rows = []
    for name in names:
        try:
            bone = largest_piece(VOLUMES[name]())
        except (FileNotFoundError, ImportError) as missing:
            budget.left_out.append(f"{name}: {missing}"[:120])
            continue
        mesh, _ = loaded_mesh(bone.astype(np.float32) * np.float32(MODULUS_MPA), 0)
        freedom = 3 * len(mesh.positions)
        if freedom > asked.largest * 1e6:
            budget.left_out.append(f"{name}: {freedom / 1e6:.1f} million degrees of freedom")
            continue
        if not budget.allows(name, 50e-6 * freedom + 30):
            continue
        jax.clear_caches()
        solver = Equilibrium(POISSON, asked.tolerance)
        row: dict[str, Any] = {"bone": name, "Mdof": freedom / 1e6, "bone_share": round(float(bone.mean()), 3)}
        for ends in asked.ends:
            for _ in range(1 + asked.repeat):
                began = time.process_time()
                solution = solver.solve(mesh, loading.compression(mesh, "z", STRAIN, ends))
                row[ends] = solution.iterations
                row[f"{ends}, us/dof"] = round((time.process_time() - began) / freedom * 1e6, 2)
            row[f"{ends}, residual"] = solution.residual
        print(row, flush=True)
        rows.append(row)
        record.add(name, row)
    record.content["left_out"] = budget.left_out
    print(table([{k: v for k, v in row.items() if "residual" not in k} for row in rows]))
    print("left out:", *budget.left_out, sep="\n  ")
    print(record.write())


if __name__ == "__main__":
    main()
