"""Contours, cortex and density: tubes of known answer, and a vendor's own contour and densities."""

import json
import math

import numpy as np
import pytest

from microct import Volume, read, segment
from microct.morphometry.contour import Contours, closed, contours, dilated, eroded, filled, smoothed
from microct.morphometry.cortex import measure_cortex, perimeter, second_moments
from microct.morphometry.density import Calibration, bone_fraction, measure_density
from microct.status import InputError, StudyError

EDGE = 0.05


def tube(outer=30.0, inner=22.0, shape=(24, 80, 84), pore=None):
    _, y, x = np.indices(shape, float)
    radius = np.hypot(y - 40.2, x - 41.7)
    bone = (radius < outer) & (radius >= inner)
    if pore is not None:
        bone &= np.hypot(y - 40.2, x - 41.7 - (outer + inner) / 2) >= pore
    return bone, radius


def drawn(outer=30.0, inner=22.0, **more):
    bone, radius = tube(outer, inner, **more)
    return bone, Contours((radius < outer).astype(np.uint8), radius < inner, (EDGE,) * 3)


def test_a_tube_has_the_cortex_that_it_was_drawn_with():
    bone, given = drawn()
    table = measure_cortex(bone, given, sample="tube")
    outer, inner = 30 * EDGE, 22 * EDGE
    assert table["Tt.Ar"].value == pytest.approx(math.pi * outer**2, rel=0.01)
    assert table["Tb.Ar"].value == pytest.approx(math.pi * inner**2, rel=0.01)
    assert table["Ct.Ar"].value == pytest.approx(table["Tt.Ar"].value - table["Tb.Ar"].value)
    assert table["Ps.Pm"].value == pytest.approx(2 * math.pi * outer, rel=0.01)
    assert table["Ec.Pm"].value == pytest.approx(2 * math.pi * inner, rel=0.01)
    assert table["Ct.Th"].value == pytest.approx(8 * EDGE, rel=0.06)
    assert table["Ct.Po"].value == 0
    moment = math.pi / 4 * (outer**4 - inner**4)
    assert table["Imax"].value == pytest.approx(moment, rel=0.02)
    assert table["Imin"].value == pytest.approx(moment, rel=0.02)
    assert table["pMOI"].value == pytest.approx(2 * moment, rel=0.02)
    assert table["Zmax"].value == pytest.approx(moment / outer, rel=0.03)
    assert table["Tt.Ar"].sample == "tube"


def test_a_canal_is_a_pore():
    bone, given = drawn(outer=34.0, inner=18.0, pore=3.0)
    table = measure_cortex(bone, given)
    assert table["Po.N"].value == 1
    assert table["Po.Dm"].value == pytest.approx(6 * EDGE, rel=0.15)
    assert table["Ct.Po"].value == pytest.approx(100 * 9 / (34**2 - 18**2), rel=0.1)


def test_second_moments_of_a_rectangle():
    section = np.zeros((40, 60), bool)
    section[10:30, 5:55] = True
    largest, smallest, modulus = second_moments(section, 0.1)
    assert largest == pytest.approx(2 * 5**3 / 12)
    assert smallest == pytest.approx(5 * 2**3 / 12)
    assert modulus == pytest.approx(2 * 5**2 / 6)


@pytest.mark.parametrize("radius", [5, 9, 20])
def test_perimeter_of_circles(radius):
    y, x = np.indices((2 * radius + 6,) * 2) - radius - 2.3
    assert perimeter(np.hypot(y, x) < radius, 0.1) == pytest.approx(2 * math.pi * radius * 0.1, rel=0.03)


def test_contours_of_a_shaft_with_trabeculae_and_a_crack():
    bone, radius = tube()
    z, y, x = np.indices(bone.shape)
    struts = (radius < 22) & (z % 8 < 2) & (y % 9 < 2)
    crack = (np.abs(y - 40) < 1.5) & (x > 41)
    grey = np.where((bone | struts) & ~crack, 900, 80).astype(np.int16)
    found = contours(Volume.from_array(grey, 1000 * EDGE), 450.0, sigma=0.8)
    assert found.periosteal.max() == 1
    for mask, truth in ((found.periosteal > 0, radius < 30), (found.trabecular, radius < 22)):
        assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.97
    table = measure_cortex(grey > 450, found)
    assert table["Ct.Th"].value == pytest.approx(8 * EDGE, rel=0.2)


def test_two_bones_are_numbered_by_size():
    grey = np.zeros((12, 60, 100), np.uint8)
    y, x = np.indices((60, 100))
    for center, outer in ((25, 20), (75, 12)):
        ring = np.hypot(y - 30, x - center)
        grey[:, (ring < outer) & (ring > outer - 4)] = 200
    found = contours(Volume.from_array(grey, 50), 100.0, closing_mm=0.2)
    assert found.periosteal.max() == 2
    assert (found.periosteal == 1).sum() == pytest.approx(12 * math.pi * 400, rel=0.03)
    alone = found.bone(2)
    assert set(np.unique(alone.periosteal)) == {0, 1}
    assert not (alone.trabecular & (found.periosteal == 1)).any()
    for number in (0, 3, -1, 1.5, "1", None):
        with pytest.raises(StudyError, match=r"bone: expected a number from 1 \(the largest\) to 2, got"):
            found.bone(number)
    assert alone.bone(np.int64(1)).periosteal.sum() == alone.periosteal.sum()
    with pytest.raises(StudyError, match=r"from 1 .* to 1"):
        alone.bone(2)
    with pytest.raises(StudyError, match="hold no bone"):
        Contours(np.zeros((3, 3, 3), np.uint8), np.zeros((3, 3, 3), bool), found.spacing_mm).bone(1)


def test_balls_grow_shrink_and_close():
    point = np.zeros((15, 15, 15), bool)
    point[7, 7, 7] = True
    ball = dilated(point, 4)
    assert ball.sum() == ((np.indices((15,) * 3) - 7) ** 2).sum(axis=0).__le__(16).sum()
    assert eroded(ball, 3).sum() >= 1
    pair = np.zeros((9, 20, 9), bool)
    pair[:, 5] = pair[:, 9] = True
    assert closed(pair, 3)[4, 7, 4]
    assert not closed(pair, 1)[4, 7, 4]
    ring = np.zeros((5, 9, 9), bool)
    ring[:, 2:7, 2:7] = True
    ring[:, 4, 4] = False
    assert filled(ring)[:, 4, 4].all()  # open at both ends, shut in sideways
    assert smoothed(np.full((4, 5, 6), 7.0), 1.5) == pytest.approx(7.0)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1", None, True])
@pytest.mark.parametrize("name", ["closing_mm", "marrow_closing_mm", "least_cortex_mm", "sigma", "least_share"])
def test_numbers_out_of_range_are_refused(name, value):
    bone = Volume.from_array(np.arange(8**3, dtype=np.uint8).reshape(8, 8, 8), 50)
    with pytest.raises(StudyError, match=f"{name}: expected a number from 0 to "):
        contours(bone, 100.0, **{name: value})
    with pytest.raises(StudyError, match="threshold: expected a number"):
        contours(bone, math.nan)


def test_nothing_dense_is_refused():
    flat = Volume.from_array(np.full((5, 6, 7), 10, np.int16), 50)
    with pytest.raises(InputError, match="values run from 10 to 10"):
        contours(flat, 450.0)
    bone, given = drawn()
    with pytest.raises(InputError, match="shape"):
        measure_cortex(bone[1:], given)


def test_calibrations_agree():
    by_hounsfield = Calibration.hounsfield(0.24, 1600.0, -390.0)
    by_native = Calibration.native(8192.0, 1600.0, -390.0)
    attenuation = 0.5
    assert by_hounsfield.density(np.array([1000 * (attenuation / 0.24 - 1)])) == pytest.approx(410.0)
    assert by_native.density(np.array([8192 * attenuation])) == pytest.approx(410.0)
    header = {"mu_scaling": "8192", "density_slope": "1600", "density_intercept": "-390"}
    assert Calibration.of_header(header) == by_native
    with pytest.raises(InputError, match="density_slope"):
        Calibration.of_header({"mu_scaling": "8192"})
    with pytest.raises(InputError, match="slope above 0"):
        Calibration.linear(0.0, 1.0)


def test_densities_of_compartments():
    bone, given = drawn()
    grey = Volume.from_array(np.where(bone, 300, np.where(given.trabecular, 50, 0)).astype(np.int16), 1000 * EDGE)
    table = measure_density(grey, Calibration.linear(2.0, 100.0), bone=bone, compartments=given)
    assert table["Ct.BMD"].value == pytest.approx(700)
    assert table["TMD"].value == pytest.approx(700)
    assert table["Tb.BMD"].value == pytest.approx(200)
    share = bone.sum() / (given.periosteal > 0).sum()
    assert table["vBMD"].value == pytest.approx(700 * share + 200 * (1 - share))
    volume_cm3 = (given.periosteal > 0).sum() * EDGE**3 / 1000
    assert table["BMC"].value == pytest.approx(table["vBMD"].value * volume_cm3)


def test_partial_voxels_mix_tissue_and_marrow():
    grey = Volume.from_array(np.array([0, 300, 600, 1200, 2000], np.int16).reshape(1, 1, 5), 50)
    fraction = bone_fraction(grey, Calibration.linear(1.0, 0.0))
    np.testing.assert_array_equal(fraction.values.ravel(), [0, 64, 128, 255, 255])
    assert "mgHA" in fraction.provenance.steps[-1]


@pytest.fixture(scope="module")
def joint(shared_data):
    names = ("ormir_GRAY_JOINT.nii.gz", "ormir_AUTOCONTOUR_IPL.nii.gz")
    if not all((shared_data / name).exists() for name in names):
        pytest.skip("the finger joint is not in ../shared/data")
    grey, vendor = (read(shared_data / name) for name in names)
    # the vendor's contour is a box within the scan, one voxel in along y and x (its origin says so)
    shape = vendor.shape
    inside = grey.values[: shape[0], 1 : 1 + shape[1], 1 : 1 + shape[2]]
    return grey.with_values(np.ascontiguousarray(inside), "the contour's box"), vendor.values > 0


@pytest.mark.slow
@pytest.mark.scan
def test_the_vendors_densities(shared_data, joint):
    """Scanco's own vBMD of two finger bones, within 0.1 %."""
    from microct.kernels import components

    reference = json.loads((shared_data / "ref_ormir_gray_joint.json").read_text())
    given = reference["calibration"]
    calibration = Calibration.hounsfield(given["mu_water"], given["rescale_slope"], given["rescale_intercept"])
    grey, vendor = joint
    labels, count = components.label(vendor)
    assert count == 2
    found = [measure_density(grey, calibration, labels == k)["vBMD"].value for k in (1, 2)]
    expected = [reference["vBMD_IPL"][name][0] for name in ("MCP2_DST", "MCP2_PRX")]
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
@pytest.mark.scan
def test_the_vendors_contour(joint):
    """Dice with Scanco's automatic contour at least 0.93 (ORMIR_XCT reaches 0.936)."""
    grey, vendor = joint
    mine = contours(grey, 900.0).periosteal > 0
    assert 2 * (mine & vendor).sum() / (mine.sum() + vendor.sum()) > 0.93


@pytest.mark.slow
@pytest.mark.scan
def test_the_vendors_segmentation(shared_data):
    """Dice with Scanco's mask of bone at least 0.93 (ORMIR_XCT reaches 0.917): the largest piece in each contour."""
    from microct.kernels import components

    if not (shared_data / "ormir_TRAB_SEG_IPL.nii.gz").exists():
        pytest.skip("ormir_TRAB_SEG_IPL.nii.gz is not in ../shared/data")
    grey, vendor = (read(shared_data / f"ormir_{name}.nii.gz") for name in ("GRAY_JOINT", "TRAB_SEG_IPL"))
    bone = segment(grey, threshold=1170, sigma=0.5, keep_largest=False).values > 0
    found = contours(grey, 900.0)
    mine = np.zeros(bone.shape, bool)
    for number in (1, 2):
        mine |= components.largest(bone & (found.bone(number).periosteal > 0))
    steps = zip(vendor.origin_mm, grey.origin_mm, grey.spacing_mm, vendor.shape, strict=True)
    box = tuple(slice(k, k + n) for k, n in ((round((b - a) / step), n) for b, a, step, n in steps))
    theirs = vendor.values > 0
    assert not mine.sum() - mine[box].sum() > 0.01 * mine.sum()
    assert 2 * (mine[box] & theirs).sum() / (mine.sum() + theirs.sum()) > 0.97
