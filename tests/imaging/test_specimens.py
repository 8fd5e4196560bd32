"""Generated bone: what was asked is what comes, at any voxel size, and it is like scanned bone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from microct import Volume, sample
from microct.imaging import phantoms
from microct.imaging.localthickness import CENTER_BIAS, mean_local_thickness
from microct.kernels.thickness import local_squared_radius
from microct.status import MicroctError, StudyError, VoxelSizeError


@cache
def bone(**options: object) -> Volume:
    return sample(**options)  # type: ignore[arg-type]


def fraction(volume: Volume) -> float:
    return float(volume.values.mean()) / 255.0


def thickness_um(volume: Volume) -> float:
    return mean_local_thickness(volume.values >= 128) * volume.voxel_size_um


def conn_d(volume: Volume) -> float:
    """Connectivity density without edge correction [1/mm3]."""
    from skimage.measure import euler_number

    return (1 - euler_number(volume.values >= 128, connectivity=3)) / float(np.prod(volume.size_mm))


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"bone_volume_fraction": 0.1, "plate_share": 0.2, "size_mm": 2.4}, marks=pytest.mark.slow),
        pytest.param(
            {"bone_volume_fraction": 0.25, "trabecular_thickness_um": 140.0, "plate_share": 0.5}, marks=pytest.mark.slow
        ),
    ],
    ids=["vertebra", "osteoporotic", "dense"],
)
def test_what_is_asked_is_what_comes(options: dict) -> None:
    volume = bone(**{"size_mm": 1.6, "voxel_size_um": 20.0, "seed": 5, **options})
    asked = {"bone_volume_fraction": 0.18, "trabecular_thickness_um": 170.0, **options}
    assert fraction(volume) == pytest.approx(asked["bone_volume_fraction"], rel=0.05)
    assert thickness_um(volume) == pytest.approx(asked["trabecular_thickness_um"], rel=0.05)


def test_the_same_bone_at_any_voxel_size() -> None:
    fine, coarse = (bone(size_mm=1.6, voxel_size_um=h, seed=5) for h in (20.0, 40.0))
    assert fraction(coarse) == pytest.approx(fraction(fine), rel=0.02)
    means = fine.values.reshape(40, 2, 40, 2, 40, 2).mean(axis=(1, 3, 5))
    assert np.abs(means - coarse.values).mean() < 0.01 * 255
    assert ((means >= 128) != (coarse.values >= 128)).mean() < 0.005


def test_the_thickness_that_calibrates_stays_near_the_one_that_is_reported() -> None:
    structure = bone(size_mm=1.6, voxel_size_um=20.0, seed=5).values >= 128
    exact = 2.0 * np.sqrt(local_squared_radius(structure)[structure], dtype=float).mean() - CENTER_BIAS
    assert mean_local_thickness(structure) / exact == pytest.approx(1.005, abs=0.005)


@pytest.mark.parametrize("kind", ["trabecular", "cortical"])
def test_one_piece_and_one_history(kind: str) -> None:
    volume = bone(kind=kind, size_mm=1.6, voxel_size_um=40.0, seed=5, cortical_thickness_mm=0.8)
    assert volume.values.dtype == np.uint8
    assert ndimage.label(volume.values >= 128, np.ones((3, 3, 3)))[1] == 1
    assert ndimage.label(volume.values > 0, np.ones((3, 3, 3)))[1] == 1  # nor partial voxels adrift
    again = sample(kind, size_mm=1.6, voxel_size_um=40.0, seed=5, cortical_thickness_mm=0.8)
    assert np.array_equal(again.values, volume.values)
    assert again.provenance.sha256 == volume.provenance.sha256
    assert "seed 5" in volume.provenance.source
    other = bone(kind=kind, size_mm=1.6, voxel_size_um=40.0, seed=6, cortical_thickness_mm=0.8)
    assert (other.values >= 128).mean() == pytest.approx((volume.values >= 128).mean(), rel=0.2)
    assert ((other.values >= 128) != (volume.values >= 128)).mean() > 0.05


def test_a_piece_that_goes_leaves_no_crumbs() -> None:
    """Two balls, the smaller one pressed away: what is drawn is the larger one, as if the other had never been."""
    from microct.imaging.smoothfield import SmoothField, block_inside, lattice, without_islands

    half, step = np.array([0.4, 0.4, 0.8]), 0.02
    shape, first = lattice(half, step, margin=4)
    z, y, x = np.meshgrid(*(f + step * np.arange(n) for f, n in zip(first, shape, strict=True)), indexing="ij")
    large = 0.25 - np.sqrt(z**2 + y**2 + (x + 0.3) ** 2)
    small = 0.15 - np.sqrt(z**2 + y**2 + (x - 0.25) ** 2)
    inside = block_inside(shape, first, half, step)
    drawn = []
    for field in (without_islands(np.maximum(large, small), inside, slope=step), large):
        drawn.append(SmoothField(field.astype(np.float32), step, first).draw((0.8, 0.8, 1.6), 15.0, "balls").values)
    assert drawn[1].any()
    assert np.abs(drawn[0].astype(int) - drawn[1]).max() <= 2


def chords(mask: np.ndarray) -> np.ndarray:
    """Mean length of bone along z, y, x [voxel]."""
    return np.array([2 * mask.sum() / np.abs(np.diff(mask.astype(np.int8), axis=axis)).sum() for axis in range(3)])


@pytest.mark.slow
def test_anisotropy_stretches_along_z() -> None:
    ratio = {}
    for anisotropy in (1.0, 1.6):
        z, y, x = chords(bone(size_mm=2.4, voxel_size_um=40.0, seed=2, anisotropy=anisotropy).values >= 128)
        ratio[anisotropy] = z / (0.5 * (y + x))
    assert ratio[1.6] > 1.2 * ratio[1.0]


@pytest.mark.slow
def test_plate_share_closes_walls() -> None:
    """Plates have more bone within reach of one sphere than rods: less surface for the same bone."""
    density = []
    for share in (0.05, 0.9):
        volume = bone(size_mm=2.4, voxel_size_um=40.0, seed=2, plate_share=share)
        density.append(np.abs(np.diff(volume.values.astype(float), axis=2)).sum() / volume.values.sum())
    assert density[1] < 0.9 * density[0]


def test_cortex() -> None:
    volume = bone(kind="cortical", size_mm=(2.0, 2.0, 2.4), voxel_size_um=20.0, seed=11, cortical_thickness_mm=1.2)
    solid = volume.values >= 128
    # air before the outer surface, marrow behind
    assert not solid[:, :4].any()
    assert fraction(volume.with_values(volume.values[:, -20:], "marrow side")) < 0.5
    surface = np.median(solid.argmax(axis=1), axis=0)
    middle = len(surface) // 2
    assert surface[0] > surface[middle] < surface[-1]  # the outer surface bulges toward the air
    compact = volume.values[:, int(surface.max()) + 5 : int(surface.max()) + 40] / 255.0
    assert 1.0 - compact.mean() == pytest.approx(0.06, abs=0.02)
    # canals run along z: holes are far longer that way
    z, y, x = chords(compact < 0.5)
    assert z > 2.5 * max(y, x)
    labels, count = ndimage.label(compact[50] < 0.5)
    areas = np.bincount(labels.ravel())[1:] * 0.02**2
    canals = areas[areas > 2 * 0.02**2]
    diameters = 2000 * np.sqrt(canals / np.pi)
    assert 35 < np.median(diameters) < 90
    density = count / (compact.shape[1] * compact.shape[2] * 0.02**2)
    assert 8 < density < 35  # canals a mm2; human cortex has 10 to 25


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "spongy"},
        {"seed": -1},
        {"seed": 1.5},
        {"bone_volume_fraction": 0.9},
        {"trabecular_thickness_um": float("nan")},
        {"anisotropy": 0},
        {"plate_share": 1.2},
        {"size_mm": 0.3},
        {"voxel_size_um": 200.0},
        {"kind": "cortical", "porosity": 0.5},
        {"kind": "cortical", "cortical_thickness_mm": 3.1},
    ],
)
def test_refusals_name_the_argument(options: dict) -> None:
    with pytest.raises(StudyError, match=list(options)[-1]) as refusal:
        sample(**options)
    assert "\n" not in str(refusal.value)


def test_unusable_voxel_size() -> None:
    with pytest.raises(VoxelSizeError):
        sample(voxel_size_um=-20)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"bone_volume_fraction": v} for v in (0.04, 0.45)] + [{"plate_share": 1.0}])
def test_the_ends_of_the_ranges_give_bone(options: dict) -> None:
    try:
        volume = sample(size_mm=2.0, voxel_size_um=50.0, seed=1, trabecular_thickness_um=120.0, **options)
    except MicroctError as refusal:
        assert "size_mm" in str(refusal)  # noqa: PT017 - so thin a network may need a larger block, and must say so
    else:
        assert fraction(volume) == pytest.approx(options.get("bone_volume_fraction", 0.18), rel=0.1)


@pytest.mark.parametrize("tilt", [5.0, 13.0, 20.0, 30.0, 40.0])
def test_local_thickness_of_plates(tilt: float) -> None:
    means = [
        mean_local_thickness(phantoms.slab(t, 60.0, 1000, tilt_deg=tilt).values >= 128) for t in (6.2, 6.6, 7.0, 7.4)
    ]
    assert np.mean(means) == pytest.approx(6.8, rel=0.05)


@pytest.mark.slow
def test_in_the_range_of_scanned_vertebrae() -> None:
    """Real lumbar vertebrae at 50 um have 1.9 to 3.3 connections a mm3 and spacings of 0.8 to 1.3 mm."""
    volume = bone(size_mm=3.2, voxel_size_um=25.0, seed=7)
    assert 1.0 < conn_d(volume) < 6.0
    spacing = mean_local_thickness(volume.values[::2, ::2, ::2] < 128) * 0.05
    assert 0.6 < spacing < 1.3
