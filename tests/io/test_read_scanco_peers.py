"""AIM and ISQ against two independent programs: files that they write, and files of ours that they read.

Needs py_aimio (package aimio-py) or itk with itk-ioscanco, which are oracles of tests only.
"""

import numpy as np
import pytest

from microct import read
from microct.morphometry.density import Calibration

SHAPE = (6, 7, 8)
GREY = np.random.default_rng(1).integers(-2000, 9000, SHAPE).astype(np.int16)
STEP = 0.0607
PLACE = (2, 3, 4)  # (x, y, z) voxels


def log(voxels: int) -> str:
    lines = {
        "Mu_Scaling": "8192",
        "HU: mu water": "0.2409",
        "Density: unit": "mg HA/ccm",
        "Density: slope": "1603.519",
        "Density: intercept": "-391.209",
        "Patient Name": "A Person",
        "No. samples": str(voxels),
    }
    return "! Processing Log\n!\n" + "".join(f"{key:30s}  {value}\n" for key, value in lines.items())


@pytest.mark.parametrize("kind", [np.int16, np.int8, np.float32])
@pytest.mark.parametrize("version", [2, 3])
def test_aim_written_by_aimio(kind, version, tmp_path):
    aimio = pytest.importorskip("py_aimio")
    values = ((GREY > 3000) * 127).astype(kind) if kind is np.int8 else GREY.astype(kind)  # bytes are packed masks
    path = tmp_path / "scan.aim"
    meta = {"element_size": (STEP,) * 3, "position": PLACE, "version": version, "processing_log_raw": log(values.size)}
    aimio.write_aim(str(path), values, meta, unit="native")
    volume = read(path)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.spacing_mm == pytest.approx((STEP,) * 3, rel=1e-6)
    assert volume.origin_mm == pytest.approx([STEP * number for number in PLACE[::-1]], rel=1e-6)
    if kind is not np.int8:  # py_aimio 1.0 cannot read its own bytes
        np.testing.assert_array_equal(aimio.read_aim(str(path))[0], values)
    assert "A Person" not in str(volume.provenance)


def test_aim_written_by_itk(tmp_path):
    itk = pytest.importorskip("itk")

    image = itk.image_from_array(GREY)
    image.SetSpacing((STEP,) * 3)
    image.SetOrigin([STEP * number for number in PLACE])
    path = tmp_path / "scan.aim"
    writer = itk.ImageFileWriter[itk.Image[itk.SS, 3]].New(FileName=str(path), Input=image)
    writer.SetImageIO(itk.ScancoImageIO.New())
    writer.Update()
    volume = read(path)
    np.testing.assert_array_equal(volume.values, GREY)
    assert volume.spacing_mm == pytest.approx((STEP,) * 3, rel=1e-6)
    assert volume.origin_mm == pytest.approx([STEP * number for number in PLACE[::-1]], rel=1e-6)


def test_itk_reads_the_same_from_an_isq(tmp_path):
    itk = pytest.importorskip("itk")
    from_our_test = pytest.importorskip("test_read_scanners")
    path = tmp_path / "scan.isq"
    path.write_bytes(from_our_test.isq_file(GREY))
    reader = itk.ImageFileReader[itk.Image[itk.SS, 3]].New(FileName=str(path))
    theirs = itk.ScancoImageIO.New()
    reader.SetImageIO(theirs)
    reader.Update()
    volume = read(path)
    header = volume.provenance.header
    for key, value in (
        ("density_slope", theirs.GetRescaleSlope()),
        ("density_intercept", theirs.GetRescaleIntercept()),
        ("mu_water", theirs.GetMuWater()),
        ("mu_scaling", theirs.GetMuScaling()),
    ):
        assert float(header[key]) == pytest.approx(value, rel=1e-6), key
    assert list(reader.GetOutput().GetSpacing())[::-1] == pytest.approx(volume.spacing_mm)
    # ITK gives Hounsfield units, cut to whole numbers.
    attenuation = volume.values / float(header["mu_scaling"])
    hounsfield = 1000 * attenuation / float(header["mu_water"]) - 1000
    np.testing.assert_allclose(itk.array_from_image(reader.GetOutput()), hounsfield, atol=1.01)
    slope, intercept = float(header["density_slope"]), float(header["density_intercept"])
    np.testing.assert_allclose(Calibration.of_header(header).density(volume.values), attenuation * slope + intercept)
