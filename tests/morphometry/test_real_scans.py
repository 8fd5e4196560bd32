"""Every shared real scan is measured, and what is known of it comes out."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import euler_number

from microct import measure, read, segment

ROOT = Path(__file__).resolve().parents[2]


def real_scans():
    spec = importlib.util.spec_from_file_location("scans", ROOT / "docs" / "make_morphometry_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SCANS


@pytest.mark.slow
@pytest.mark.scan
@pytest.mark.parametrize("scan", [pytest.param(scan, id=scan[0]) for scan in real_scans()])
def test_measured_without_failure(shared_data, scan):
    file, _, how = scan
    if not (shared_data / file).exists():
        pytest.skip(f"{file} is not in ../shared/data")
    table = how()
    assert 0 < table["BV/TV"].value < 100
    assert table["BS"].value > 0
    for row in table:
        assert math.isfinite(row.value) or row.note, row.symbol
    if "AUTOCONTOUR" in file:  # a filled contour: its thickness is the bones'
        assert 4 < table["Tb.Th"].value < 10
    elif "osteon" in file:  # a solid and its canals; of its box voxels thickness is not defined, and says so
        assert math.isfinite(table["Tb.Th"].value) or "cubic" in table["Tb.Th"].note
    elif "TRAB_SEG" in file:  # with the air around the bone
        assert 0.04 < table["Tb.Th"].value < 0.4 < table["Tb.Sp"].value
    else:
        assert 0.04 < table["Tb.Th"].value < 0.4
        assert table["Tb.Th"].value < table["Tb.Sp"].value
        # mid-axes lie about a trabecula and a gap apart
        assert 0.6 < table["Tb.N"].value * (table["Tb.Th"].value + table["Tb.Sp"].value) < 1.4


@pytest.mark.scan
def test_a_real_vertebra_against_scipy_and_scikit_image(shared_data):
    file = shared_data / "bonebox_isodata_04216_roi_8.nrrd"
    if not file.exists():
        pytest.skip(f"{file.name} is not in ../shared/data")
    scan = read(file, 50.0)
    part = scan.with_values(np.ascontiguousarray(scan.values[1:81, 1:81, 1:81]) > 0, "corner of 80 voxels")
    bone = part.values
    table = measure(part, thickness=False)
    assert table["BV/TV"].value == pytest.approx(100 * bone.mean())
    assert table["N.Comp"].value == ndimage.label(bone, np.ones((3, 3, 3)))[1]
    corrected = 0.0
    for axes in np.ndindex(2, 2, 2):
        chosen = [axis for axis in range(3) if axes[axis]]
        for ends in np.ndindex(*(2,) * len(chosen)):
            face = bone
            for axis, end in zip(chosen, ends, strict=True):
                face = face.take([-1 if end else 0], axis)
            corrected += (-0.5) ** len(chosen) * euler_number(face, connectivity=3)
    assert table["Euler"].value == corrected


@pytest.mark.slow
@pytest.mark.scan
def test_published_bone_volume_of_the_human_scan(shared_data):
    """ciclope's ex09: sigma 1, > 63, largest piece: BV/TV 23.37 % (with its own Gaussian and connectivity)."""
    file = shared_data / "lhdl_3155_D_4_bc.tif"
    if not file.exists():
        pytest.skip(f"{file.name} is not in ../shared/data")
    bone = segment(read(file, 19.5), threshold=64, sigma=1.0)
    assert measure(bone, thickness=False)["BV/TV"].value == pytest.approx(23.37, abs=0.4)
