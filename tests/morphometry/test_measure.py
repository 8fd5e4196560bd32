"""The table of one volume: known structures, regions, thresholds, and volumes that are hardly bone."""

import math
from dataclasses import replace

import numpy as np
import pytest

from microct import Volume, measure, sample
from microct.status import InputError, StudyError

SYMBOLS = (
    "TV", "BV", "BV/TV", "Po", "BS", "BS/BV", "BS/TV", "Tb.Th", "Tb.Th.SD", "Tb.Th.Max", "Tb.Sp", "Tb.Sp.SD",
    "Tb.Sp.Max", "Tb.N", "Tb.1/N.SD", "Euler", "Conn.D", "N.Comp", "Is.V", "SMI", "DA", "DA.BJ", "H1", "H2", "H3",
    "Tb.Th.pl", "Tb.N.pl", "Tb.Sp.pl",
)  # fmt: skip


def volume(array, um=20.0):
    return Volume.from_array(np.ascontiguousarray(array), um)


def blob_structure(shape=(30, 30, 30)):
    z, y, x = np.indices(shape) / 3.1
    return np.sin(z) * np.cos(y) + np.sin(y) * np.cos(x) + np.sin(x) * np.cos(z) > 0.4


def plates(thickness=4, period=12, periods=4, across=30):
    layer = (np.arange(period * periods) - (period - thickness) // 2) % period < thickness
    return np.broadcast_to(layer[:, None, None], (len(layer), across, across))


@pytest.mark.slow
@pytest.mark.parametrize("normal", [(1, 1, 0), (1, 1, 1), (3, 1, 5), (1, 2, 3), (0.2, 1, 0.1)])
def test_tilted_plates(normal):
    """What docs/morphometry.md says of thin plates in any tilt: mid-axes of two voxels bring Tb.N up, never down."""
    along = np.tensordot(np.array(normal) / np.linalg.norm(normal), np.indices((96, 96, 96)) - 47.5, 1)
    for period, thickness in ((12, 4), (24, 8)):
        table = measure(volume((along / period + 0.25) % 1 < thickness / period))
        assert 0.99 < table["Tb.N"].value * period * 0.02 < 1.15
        assert 1.02 < table["Tb.Th"].value / (thickness * 0.02) < 1.24
        assert 1.0 < table["Tb.Sp"].value / ((period - thickness) * 0.02) < 1.13


def test_plates():
    table = measure(volume(plates()))
    assert table.symbols == SYMBOLS
    assert table["BV/TV"].value == pytest.approx(100 / 3)
    assert table["Po"].value == pytest.approx(200 / 3)
    assert table["Tb.Th"].value == pytest.approx(0.08, rel=1e-12)
    assert table["Tb.Th.SD"].value == 0
    assert table["Tb.Sp"].value == pytest.approx(0.16, rel=1e-12)
    assert table["Tb.N"].value == pytest.approx(1 / 0.24, rel=0.025)  # outermost gaps are cut in the middle
    assert table["Euler"].value == 0  # plates that go on beyond every face
    assert table["Conn.D"].value == pytest.approx(1 / table["TV"].value)
    assert table["N.Comp"].value == 4
    assert table["Is.V"].value == 0
    # Crofton in 13 directions reads a plane that lies in the lattice 7.3 % low
    assert table["BS"].value == pytest.approx(8 * (30 * 0.02) ** 2, rel=0.08)


def test_rod_lattice():
    bars = (np.arange(100) + 8) % 20 < 4
    a, b, c = bars[:, None, None], bars[None, :, None], bars[None, None, :]
    table = measure(volume((a & b) | (b & c) | (a & c)), thickness=False)
    assert table["BV/TV"].value == pytest.approx(10.4)
    assert table["Euler"].value == -250  # 125 knots, 375 bars: 5 of the 20 um periods, cut in the middle of the bars
    assert table["N.Comp"].value == 1
    assert "Tb.Th" not in table


def test_published_connectivity_of_a_box_frame():
    shape, edge = (32, 64, 128), 0.2
    near = [np.isin(np.arange(n), [0, n - 1]) for n in shape]
    a, b, c = near[0][:, None, None], near[1][None, :, None], near[2][None, None, :]
    frame = np.pad((a & b) | (b & c) | (a & c), [(32, 32), (16, 16), (32, 32)])
    table = measure(volume(frame, 1000 * edge), thickness=False)
    assert table["Euler"].value == -4
    assert table["Conn.D"].value == pytest.approx(5 / (frame.size * edge**3))


def test_units_scale_with_the_voxel():
    small, large = measure(volume(blob_structure(), 10)), measure(volume(blob_structure(), 30))
    powers = {"mm3": 3, "mm2": 2, "mm": 1, "1/mm": -1, "1/mm3": -3, "%": 0, "": 0}
    for a, b in zip(small, large, strict=True):
        assert b.value == pytest.approx(a.value * 3.0 ** powers[a.unit], rel=1e-9)


@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (0, 2)])
def test_a_quarter_turn_changes_nothing(axes):
    bone = blob_structure((26, 30, 34))
    bone[3, 3, 3:5] ^= True
    turned = measure(volume(np.rot90(bone, axes=axes)))
    for row in measure(volume(bone)):
        # mid-axes between two voxels go to the first of them, so that Tb.N may differ in its third digit
        tolerance = 1e-2 if row.symbol in ("Tb.N", "Tb.1/N.SD") else 1e-9
        assert turned[row.symbol].value == pytest.approx(row.value, rel=tolerance), row.symbol


def test_same_bits_again():
    first, second = (measure(volume(blob_structure())) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 127), (100, 0), (-1, 5)])
def test_binary_volumes_of_any_two_values(values):
    bone = blob_structure()
    low, high = sorted(values)
    found = measure(volume(np.where(bone, high, low).astype(np.int16)))
    assert [row.value for row in found] == [row.value for row in measure(volume(bone))]


def test_grey_values_need_a_threshold():
    grey = np.where(blob_structure(), 180, 40).astype(np.uint8)
    grey[0, 0, 0] = 90
    with pytest.raises(InputError, match="segment it first, or give threshold="):
        measure(volume(grey))
    table = measure(volume(grey), threshold=100)
    np.testing.assert_array_equal([row.value for row in table], [r.value for r in measure(volume(grey >= 100))])
    assert table.parameters["threshold"] == "value >= 100"


def test_bone_fraction_counts_partial_voxels():
    fraction = np.where(blob_structure(), 255, 0).astype(np.uint8)
    fraction[10:20] //= 2  # 127: under half, but it counts in the volume
    table = measure(volume(fraction), threshold="half")
    assert table["BV"].value == pytest.approx(int(fraction.sum(dtype=int)) / 255 * 0.02**3, rel=1e-14)
    structure = measure(volume(fraction >= 128))
    for symbol in ("BS", "Tb.Th", "Tb.Sp", "Tb.N", "Euler", "N.Comp"):
        assert table[symbol].value == structure[symbol].value
    assert table["BS/BV"].value == pytest.approx(table["BS"].value / table["BV"].value)


def test_a_volume_that_says_it_is_a_fraction_needs_no_threshold():
    bone = sample("trabecular", size_mm=1.6, voxel_size_um=40, seed=3)
    assert bone.kind == "fraction"
    table = measure(bone, thickness=False)
    assert table["BV/TV"].value == pytest.approx(100 * bone.values.mean() / 255)
    assert table.parameters["threshold"] == "bone fraction >= 128 of 255"
    cut = bone.with_values(np.ascontiguousarray(bone.values[:20]), "half of it")
    assert measure(cut, thickness=False)["BV"].value == pytest.approx(int(cut.values.sum()) / 255 * 0.04**3)
    with pytest.raises(InputError, match="kind"):
        Volume(bone.values, bone.spacing_mm, kind="grey?")


def test_islands():
    bone = np.array(plates())
    bone[0, 10:12, 10:12] = True  # at the border
    bone[22:24, 14:17, 14] = True
    table = measure(volume(bone))
    assert table["N.Comp"].value == 6
    assert table["Is.V"].value == pytest.approx(6 * 0.02**3)


def test_mask_of_a_box_equals_the_crop_in_volume_surface_and_euler():
    bone = blob_structure((34, 34, 34))
    mask = np.zeros(bone.shape, bool)
    mask[4:30, 5:29, 6:28] = True
    masked, cropped = measure(volume(bone), mask=mask), measure(volume(bone[4:30, 5:29, 6:28]))
    for symbol in ("TV", "BV", "BV/TV", "BS", "BS/BV", "BS/TV", "Euler", "Conn.D", "N.Comp"):
        assert masked[symbol].value == pytest.approx(cropped[symbol].value, rel=1e-12), symbol
    assert masked["Tb.Th"].value == pytest.approx(cropped["Tb.Th"].value, rel=0.05)
    assert masked.parameters["mask"] == f"{26 * 24 * 22} of {34**3} voxels"


def test_the_rim_of_a_mask_is_no_surface():
    grid = np.indices((30, 30, 30)) - 14.5
    mask = volume((grid**2).sum(axis=0) < 12**2)
    table = measure(volume(np.ones((30, 30, 30), bool)), mask=mask)
    assert table["BS"].value == 0
    assert table["BV/TV"].value == 100
    assert table["Euler"].value == pytest.approx(0, abs=1.0)


def test_wrong_masks_are_refused():
    bone = volume(blob_structure())
    with pytest.raises(InputError, match="shape"):
        measure(bone, mask=np.ones((3, 3, 3)))
    with pytest.raises(InputError, match="nothing to measure"):
        measure(bone, mask=np.zeros(bone.shape))
    holed = np.ones(bone.shape)
    holed[3:5] = np.nan
    with pytest.raises(InputError, match="got NaN in 1800 voxels"):
        measure(bone, mask=holed)
    with pytest.raises(InputError, match="expected voxels of"):
        measure(bone, mask=volume(np.ones(bone.shape, bool), 40.0))


def test_wrong_arguments_are_refused():
    bone = volume(blob_structure())
    with pytest.raises(StudyError, match="exact, bonej, ipl"):
        measure(bone, convention="skyscan")
    with pytest.raises(InputError, match="expected a microct"):
        measure(bone.values)
    with pytest.raises(InputError, match="threshold"):
        measure(bone, threshold="otsu")
    with pytest.raises(InputError, match="finite"):
        measure(bone, threshold=math.nan)
    with pytest.raises(InputError, match="uint8"):
        measure(bone, threshold="half")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 8), (7, 1, 1), (6, 5, 4)])
@pytest.mark.parametrize("fill", ["marrow", "bone"])
@pytest.mark.parametrize("convention", ["exact", "bonej", "ipl"])
def test_all_marrow_and_all_bone(shape, fill, convention):
    table = measure(volume(np.full(shape, fill == "bone")), convention=convention)
    assert table.symbols == SYMBOLS
    for row in table:
        assert not math.isnan(row.value) or row.note, row.symbol
        assert not math.isinf(row.value)
    assert table["BV/TV"].value == (100 if fill == "bone" else 0)
    assert table["BS"].value == 0
    assert math.isnan(table["Tb.Th"].value)
    assert table["N.Comp"].value == (1 if fill == "bone" else 0)


def test_one_voxel_and_one_plane():
    bone = np.zeros((5, 5, 5), bool)
    bone[2, 2, 2] = True
    table = measure(volume(bone))
    assert table["Euler"].value == 1
    assert table["Is.V"].value == 0  # the largest piece is no island
    assert table["Tb.Th"].value == pytest.approx(2 * 0.02)  # one voxel reads as two: its neighbors' centers decide
    assert "voxels across" in table["Tb.Th"].note
    assert np.isfinite(table["Tb.N"].value)
    flat = measure(volume(np.eye(7, dtype=bool)[None]))
    assert all(np.isfinite(row.value) for row in flat)


def test_thin_bone_is_warned_of():
    assert "voxel size decides" in measure(volume(plates(2)))["Tb.Th"].note
    assert measure(volume(plates(4)))["Tb.Th"].note == ""


def test_box_voxels_leave_thickness_out_with_a_reason():
    table = measure(volume(blob_structure(), (20, 20, 30)))
    for symbol in ("Tb.Th", "Tb.Sp", "Tb.N"):
        assert math.isnan(table[symbol].value)
        assert "resample" in table[symbol].note
    assert np.isfinite(table["BS"].value)
    nearly = measure(volume(blob_structure(), (20, 20, 20.0004)))
    assert np.isfinite(nearly["Tb.Th"].value)


def test_what_the_numbers_depend_on_is_recorded():
    table = measure(volume(blob_structure()), time_yr=3.5, sample="L2")
    assert table.parameters["voxel_size_um"] == "20 x 20 x 20"
    assert table.parameters["threshold"] == "binary, the higher value is bone"
    assert table.parameters["convention"] == "exact"
    assert table.parameters["mask"] == "none"
    assert table.parameters["microct"]
    assert {row.time_yr for row in table} == {3.5}
    assert {row.sample for row in table} == {"L2"}
    assert table["Tb.Th"].convention == "exact"


def test_a_mask_of_another_field_of_view_is_laid_by_its_origin():
    rng = np.random.default_rng(8)
    bone = rng.random((12, 14, 16)) < 0.4
    volume = Volume(bone, (0.02,) * 3, origin_mm=(0.1, 0.2, 0.3))
    whole = np.zeros(bone.shape, bool)
    whole[2:9, 3:14, 0:10] = True
    # The mask's own field of view begins before the volume along x, after it along z, and ends beyond it along y.
    seen = np.zeros((7, 13, 12), bool)
    seen[:, :11, 2:] = True
    mask = Volume(seen, (0.02,) * 3, origin_mm=(0.1 + 0.04, 0.2 + 0.06, 0.3 - 0.04))
    assert measure(volume, mask, thickness=False).rows == measure(volume, whole, thickness=False).rows
    for changed in ({"origin_mm": (0.149, 0.26, 0.26)}, {"spacing_mm": (0.03,) * 3}):
        with pytest.raises(InputError, match="mask: expected the volume's shape"):
            measure(volume, replace(mask, **changed), thickness=False)
    # of the same shape: by its origin too, where both say where they lie
    shifted = Volume(whole, (0.02,) * 3, origin_mm=(0.1 + 0.04, 0.2, 0.3))
    moved = np.zeros_like(whole)
    moved[2:] = whole[:-2]
    assert measure(volume, shifted, thickness=False).rows == measure(volume, moved, thickness=False).rows
    silent = Volume(whole, (0.02,) * 3)
    assert measure(volume, silent, thickness=False).rows == measure(volume, whole, thickness=False).rows
    far = replace(mask, origin_mm=(9.0, 9.0, 9.0))
    with pytest.raises(InputError, match="no voxel is inside"):
        measure(volume, far, thickness=False)
