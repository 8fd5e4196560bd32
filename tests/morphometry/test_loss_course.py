"""Loss told interval by interval: sequences of known fate, and the volume that every telling must agree on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microct.kernels import components
from microct.morphometry.loss_course import LossCourse
from microct.morphometry.loss_modes import LossModes, Mode, loss_modes, loss_rows
from microct.status import InputError
from microct.volume import Volume

SHAPE = (24, 30, 32)
PERFORATION, BREAKAGE, ISLAND, THINNING = Mode.PERFORATION, Mode.BREAKAGE, Mode.ISLAND, Mode.THINNING


def plate() -> np.ndarray:
    """A plate of 4 voxels that spans the block."""
    bone = np.zeros(SHAPE, bool)
    bone[10:14] = True
    return bone


def told(*bones: np.ndarray) -> LossModes:
    course = LossCourse(bones[0])
    for bone in bones[1:]:
        course.add(bone)
    return course.found


def test_a_plate_that_perforates_and_whose_remains_break_counts_both() -> None:
    """Two holes leave a bar of 4 x 4 voxels between them; later the bar breaks."""
    whole = plate()
    holed = whole.copy()
    holed[:, 6:14, 4:28] = holed[:, 18:26, 4:28] = False
    broken = holed.copy()
    broken[:, 14:18, 12:20] = False
    found = told(whole, holed, broken)
    assert (found.perforations, found.breakages, found.islands) == (2, 1, 0)
    assert found.volume[PERFORATION] == 2 * 4 * 8 * 24
    assert found.volume[BREAKAGE] == 4 * 4 * 8
    assert found.euler_change == -2 + 1
    # In one comparison all of it is a single hole.
    at_once = loss_modes(whole, broken)
    assert (at_once.perforations, at_once.breakages) == (1, 0)
    assert found.lost == at_once.lost == np.count_nonzero(whole & ~broken)


def test_a_hole_that_heals_was_made_but_is_no_loss() -> None:
    holed = plate()
    holed[:, 10:14, 10:14] = False
    found = told(plate(), holed, plate())
    assert (found.perforations, found.lost) == (1, 0.0)
    # What is lost at the same place afterwards goes by its own mode.
    shaved = plate()
    shaved[13, 10:14, 10:14] = False
    assert told(plate(), holed, plate(), shaved).volume == {
        THINNING: 16.0,
        PERFORATION: 0.0,
        BREAKAGE: 0.0,
        ISLAND: 0.0,
    }


def test_the_rim_of_a_hole_that_recedes_thins() -> None:
    holed, wider = plate(), plate()
    holed[:, 10:14, 10:14] = False
    wider[:, 8:16, 8:16] = False
    found = told(plate(), holed, wider)
    assert found.volume[PERFORATION] == 4 * 16
    assert found.volume[THINNING] == 4 * (64 - 16)


def test_what_a_simulation_took_away_is_an_island_to_the_voxel() -> None:
    """A piece on a free stem: the stem is resorbed, the piece falls, and both would look like a receding end."""
    before = plate()
    before[2:6, 6:12, 6:12] = before[6:10, 8:10, 8:10] = True
    before = before.astype(np.uint8) * np.uint8(255)
    before[1, 6:12, 6:12] = 60  # partial voxels of its surface
    stood = before.copy()
    stood[7:10, 8:10, 8:10] = 0
    fallen = np.where(components.islands(stood >= 128), stood, 0).astype(np.uint8)
    fallen[1] = stood[1]
    course = LossCourse(before)
    interval = course.add(stood - fallen, fallen)
    found = course.found
    assert interval.islands == found.islands == 1
    piece = 4 * 36 + 4 + 36 * 60 / 255
    assert found.volume[ISLAND] == pytest.approx(piece)
    assert found.lost == pytest.approx(piece + 12)
    assert LossCourse(before).found.lost == 0.0
    # Two pictures alone take the piece for the end of a stem.
    assert loss_modes(before, stood - fallen).volume[ISLAND] == 0.0
    table = loss_rows(Volume.from_array(before, 20), Volume.from_array(stood - fallen, 20), found=found)
    assert table["Is.LV"].value == pytest.approx(piece * 0.02**3)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_volume_over_intervals_is_the_whole_loss_exactly(seed: int, intervals: int) -> None:
    """Random bones that lose and gain partial voxels, pieces that hang on nothing among them."""
    random = np.random.default_rng(seed)
    bones = [random.integers(0, 256, (7, 8, 9), np.uint8)]
    for _ in range(intervals):
        change = random.integers(-200, 120, bones[0].shape)
        bones.append(np.clip(bones[-1] + change, 0, 255).astype(np.uint8))
    course = LossCourse(bones[0])
    for bone in bones[1:]:
        course.add(bone)
    found = course.found
    standing = (found.mode == ISLAND) & (bones[-1] >= 128)
    lost = np.maximum(bones[0].astype(int) - bones[-1], 0).sum() + bones[-1][standing].sum(dtype=int)
    assert 255.0 * found.lost == pytest.approx(lost, rel=1e-12)
    if intervals == 1:
        alone = loss_modes(*bones)
        assert (found.mode == alone.mode).all()
        assert found.volume == alone.volume
        assert (found.perforations, found.breakages, found.islands) == (
            alone.perforations, alone.breakages, alone.islands,
        )  # fmt: skip


def test_refusals() -> None:
    whole = plate().astype(np.uint8) * np.uint8(255)
    with pytest.raises(InputError, match="no more than is missing"):
        LossCourse(whole).add(whole, whole)
    with pytest.raises(InputError, match="same voxels"):
        LossCourse(whole).add(whole[1:])
    with pytest.raises(InputError, match="uint8"):
        LossCourse(whole.astype(float))
