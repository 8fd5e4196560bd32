"""Measure the real scans that CONTRIBUTING.md lists and print one Markdown table, the one in docs/morphometry.md.

Run from the repository's root: ``python docs/make_morphometry_table.py [PART OF A NAME ...]``. Scans that
are not there are left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import microct
import microct.quantities
from microct import Volume
from microct.imaging.resampling import resample
from microct.table import Row, Table

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COLUMNS = ("BV/TV", "BS/TV", "Tb.Th", "Tb.Sp", "Tb.N", "Conn.D", "SMI", "DA", "Euler", "N.Comp", "Is.V")


def _without_border(volume: Volume) -> Volume:
    """BoneBox's regions have an empty border of one voxel, which is no marrow."""
    return volume.with_values(np.ascontiguousarray(volume.values[1:-1, 1:-1, 1:-1]), "empty border of 1 voxel cropped")


def _bonebox(name: str) -> Callable[[], Table]:
    return lambda: microct.measure(_without_border(microct.read(DATA / f"bonebox_isodata_{name}.nrrd", 50.0)))


def _human_grey() -> Table:
    grey = microct.read(DATA / "lhdl_3155_D_4_bc.tif", 19.5)
    return microct.measure(microct.segment(grey, threshold=64, sigma=1.0))


def _labels(file: str, key: str, unit_mm: float, spacing_key: str, cubes_um: float = 0.0) -> Table:
    with np.load(DATA / file) as stored:
        spacing = stored[spacing_key] * unit_mm
        bone = stored[key] > 0
    spacing = spacing if spacing_key.startswith("spacing_zyx") else spacing[::-1]
    volume = Volume(bone, tuple(spacing))
    return microct.measure(resample(volume, cubes_um), threshold="half") if cubes_um else microct.measure(volume)


def _joint() -> Table:
    """The larger bone of the finger joint: contours found, trabecular compartment, cortex and density."""
    from microct.morphometry.contour import contours
    from microct.morphometry.cortex import measure_cortex
    from microct.morphometry.density import Calibration, measure_density

    given = json.loads((DATA / "ref_ormir_gray_joint.json").read_text())["calibration"]
    calibration = Calibration.hounsfield(given["mu_water"], given["rescale_slope"], given["rescale_intercept"])
    grey = microct.read(DATA / "ormir_GRAY_JOINT.nii.gz")
    compartments = contours(grey, 900.0).bone(1)
    bone = grey.values >= 1170
    inside = microct.measure(grey, compartments.trabecular, threshold=1170)
    cortex = measure_cortex(bone, compartments)
    return inside.extended([*cortex, *measure_density(grey, calibration, bone=bone, compartments=compartments)])


#: (file, what is done, how).
SCANS: tuple[tuple[str, str, Callable[[], Table]], ...] = (
    *((f"bonebox_isodata_{name}.nrrd", "50 um, `[1:-1]`", _bonebox(name))
      for name in ("67960_roi_140", "67599_roi_87", "07131_roi_70", "04216_roi_4", "04216_roi_8")),
    ("didsr_ROI10_07131.nrrd", "51.3 um", lambda: microct.measure(microct.read(DATA / "didsr_ROI10_07131.nrrd", 51.3))),
    ("didsr_Shrew.nrrd", "4.1 um", lambda: microct.measure(microct.read(DATA / "didsr_Shrew.nrrd", 4.1))),
    ("lhdl_3155_D_4_bc.tif", "19.5 um, sigma 1, >= 64, largest piece", _human_grey),
    ("trab1240/trab1240_labels.npz", "60.7 um, labels > 0",
     lambda: _labels("trab1240/trab1240_labels.npz", "labels", 1.0, "spacing_xyz")),
    *((f"ormir_{name}_IPL.nii.gz", "60.7 um, with the air around it",
       lambda name=name: microct.measure(microct.read(DATA / f"ormir_{name}_IPL.nii.gz")))
      for name in ("TRAB_SEG", "AUTOCONTOUR")),
    ("ormir_GRAY_JOINT.nii.gz", "larger bone, trabecular compartment, >= 1170 HU", _joint),
    ("osteon_FM40-1-R1.npz", "0.38 x 0.38 x 0.4 um, labels > 0",
     lambda: _labels("osteon_FM40-1-R1.npz", "labels_zyx", 1e-3, "spacing_zyx_um")),
    ("osteon_FM40-1-R1.npz", "resampled to 0.8 um, labels > 0",
     lambda: _labels("osteon_FM40-1-R1.npz", "labels_zyx", 1e-3, "spacing_zyx_um", cubes_um=0.8)),
)  # fmt: skip


def measured() -> Iterator[tuple[str, str, Table, float]]:
    """File, treatment, table and seconds of processor time of each scan that is there."""
    wanted = sys.argv[1:]
    for file, treatment, how in SCANS:
        if wanted and not any(part in file for part in wanted):
            continue
        if (DATA / file).exists():
            start = time.process_time()
            table = how()
            yield file, treatment, table, time.process_time() - start


def main() -> None:
    """Print the table."""
    units = [microct.quantities.QUANTITIES[symbol].label for symbol in COLUMNS]
    print("| scan | treated | " + " | ".join(units) + " | CPU s |")
    print("|---" * (len(COLUMNS) + 3) + "|")
    cortical: list[Row] = []
    for file, treatment, table, seconds in measured():
        values = [f"{table[symbol].value:.4g}" if symbol in table else "" for symbol in COLUMNS]
        print(f"| {file} | {treatment} | " + " | ".join(values) + f" | {seconds:.1f} |", flush=True)
        if "Ct.Th" in table:
            cortical = [row for row in table if row.quantity.group in ("cortex", "density")]
    if cortical:
        print("\nCortex and density of the finger bone: " + ", ".join(f"{row}" for row in cortical) + ".")


if __name__ == "__main__":
    main()
