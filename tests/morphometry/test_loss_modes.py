"""Modes of loss on bones whose fate is known, and the additivity of the Euler number on any bone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microct.kernels import stencil
from microct.kernels.euler_change import around, core_of_loss
from microct.kernels.topology import euler_characteristic
from microct.morphometry.loss_modes import Mode, loss_modes, loss_rows
from microct.morphometry.pair import change_map
from microct.status import InputError
from microct.volume import Volume

SHAPE = (30, 32, 34)


def plate(thickness: int = 5) -> np.ndarray:
    """A plate that spans the block."""
    bone = np.zeros(SHAPE, bool)
    bone[12 : 12 + thickness] = True
    return bone


def frame() -> np.ndarray:
    """Two plates, and a rod of 5 x 5 voxels between them."""
    bone = np.zeros(SHAPE, bool)
    bone[3:8] = bone[22:27] = True
    bone[8:22, 14:19, 15:20] = True
    return bone


def euler(bone: np.ndarray) -> float:
    return euler_characteristic(stencil.configuration_histogram(np.pad(bone, 1)))


@pytest.mark.parametrize("thickness", [1, 2, 4, 5])
def test_a_hole_through_a_plate_is_a_perforation(thickness: int) -> None:
    before = plate(thickness)
    after = before.copy()
    after[:, 10:18, 9:20] = False
    found = loss_modes(before, after)
    assert (found.perforations, found.breakages, found.islands) == (1, 0, 0)
    assert found.volume[Mode.PERFORATION] == found.lost == 8 * 11 * thickness
    assert found.euler_change == -1


def test_holes_that_run_together_are_one_sheet_of_several_tunnels() -> None:
    before = plate(3)
    after = before.copy()
    after[:, 10:20, 9:20] = False
    after[13, 15, 9:20] = True  # a bar across the hole
    found = loss_modes(before, after)
    assert (found.perforations, found.breakages) == (2, 0)
    assert found.euler_change == -2


def test_a_cut_rod_is_a_breakage() -> None:
    before = frame()
    after = before.copy()
    after[11:18, 14:19, 15:20] = False
    found = loss_modes(before, after)
    assert (found.perforations, found.breakages, found.islands) == (0, 1, 0)
    assert found.volume[Mode.BREAKAGE] == found.lost == 7 * 25
    assert found.euler_change == 1


def test_a_rod_cut_where_the_volume_ends_is_a_breakage() -> None:
    before = np.zeros(SHAPE, bool)
    before[:, 14:18, 15:19] = True
    after = before.copy()
    after[:6] = False
    found = loss_modes(before, after)
    assert (found.breakages, found.volume[Mode.BREAKAGE]) == (1, 6 * 16)


def test_the_end_of_a_dangling_rod_only_thins() -> None:
    before = frame()
    before[18:22] = False
    after = before.copy()
    after[11:18, 14:19, 15:20] = False
    found = loss_modes(before, after)
    assert found.volume[Mode.THINNING] == found.lost == 7 * 25
    assert (found.perforations, found.breakages, found.islands) == (0, 0, 0)


def test_pieces_that_vanish_or_hang_on_nothing_are_islands() -> None:
    before = plate()
    before[2:6, 5:9, 5:9] = True
    after = plate()
    found = loss_modes(before, after)
    assert (found.islands, found.volume[Mode.ISLAND], found.lost) == (1, 64, 64)
    # Cut free of the plate, a block stands on nothing: all of it is lost to load, and the stub goes with it.
    before = plate()
    before[2:6, 4:10, 4:10] = before[6:12, 6:8, 6:8] = True
    after = before.copy()
    after[8:11, 6:8, 6:8] = False
    found = loss_modes(before, after)
    assert (found.islands, found.volume[Mode.ISLAND]) == (1, 4 * 36 + 2 * 4)
    assert (found.breakages, found.volume[Mode.BREAKAGE]) == (1, 12)
    assert found.lost == 4 * 36 + 5 * 4


def test_a_shaved_surface_only_thins() -> None:
    before, after = plate(), plate()
    after[12] = False
    after[16, 3:9, 4:20] = False
    found = loss_modes(before, after)
    assert found.volume[Mode.THINNING] == found.lost == np.count_nonzero(before & ~after)
    assert found.euler_change == 0


def test_all_at_once_through_thinning_that_touches_everything() -> None:
    before = frame()
    after = before.copy()
    after[3] = after[26] = False
    after[7] = after[22] = False
    after[[7, 22], 14:19, 15:20] = True
    after[8:22, 14] = after[8:22, 18] = False
    after[10:15, :, :] = False  # the rod
    after[22:27, 2:8, 2:9] = False  # a hole in the upper plate
    found = loss_modes(before, after)
    assert (found.perforations, found.breakages, found.islands) == (1, 1, 0)
    assert found.volume[Mode.PERFORATION] == pytest.approx(5 * 6 * 7, abs=26 * 3)
    assert found.volume[Mode.BREAKAGE] == pytest.approx(125, abs=50)
    assert found.lost == np.count_nonzero(before & ~after)


def test_a_plate_that_moves_is_not_holed() -> None:
    before = plate(3)
    after = np.roll(before, 3, axis=0)
    found = loss_modes(before, after)
    assert (found.perforations, found.breakages, found.islands) == (0, 0, 0)


def test_partial_voxels_count_by_their_share() -> None:
    before = plate().astype(np.uint8) * 255
    after = before.copy()
    after[12] = 200  # thinner, but still bone
    after[:, 10:14, 9:13] = 51
    found = loss_modes(before, after)
    assert found.lost == pytest.approx(np.maximum(before.astype(int) - after, 0).sum() / 255.0)
    assert found.volume[Mode.PERFORATION] == pytest.approx(0.8 * 16 * 5)


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 0.8), st.floats(0.05, 0.6))
def test_cores_account_for_every_change_of_topology(seed: int, density: float, loss: float) -> None:
    """Peeling changes no topology, and the changes of separate cores add up."""
    random = np.random.default_rng(seed)
    bone = np.pad(random.random((7, 8, 9)) < density, 1)
    lost = bone & (random.random(bone.shape) < loss)
    core = core_of_loss(bone, lost)
    assert euler(bone & ~lost) - euler(bone) == pytest.approx(core.euler_change.sum())


def test_simple_points_are_those_that_change_no_number() -> None:
    """Voxels of a random bone with one piece of bone and of marrow around go without a change of topology."""
    random = np.random.default_rng(5)
    from microct.kernels import components

    bone = np.pad(random.random((5, 5, 5)) < 0.55, 1)
    places = np.flatnonzero(bone)
    bones, marrows = around(bone, places)
    for place, b, m in zip(places, bones, marrows, strict=True):
        without = bone.copy()
        without.reshape(-1)[place] = False
        same = (
            euler(without) == euler(bone)
            and components.count(without) == components.count(bone)
            and components.count(~without, 6) == components.count(~bone, 6)
        )
        if b == 1 and m == 1:
            assert same


def test_rows_name_volumes_shares_and_counts() -> None:
    before = frame().astype(np.uint8) * 255
    after = before.copy()
    after[11:18, 14:19, 15:20] = 0
    first, second = Volume.from_array(before, 20), Volume.from_array(after, 20)
    table = loss_rows(first, second, time_yr=5.0)
    assert table["Rod.Bk.V"].value == pytest.approx(7 * 25 * 0.02**3)
    assert table["Rod.Bk.V/LV"].value == pytest.approx(100.0)
    assert table["N.Rod.Bk"].value == 1
    # Of what fell in the cut, the ledger says how much came loose first.
    split = loss_rows(first, second, island_volume_mm3=75 * 0.02**3)
    assert split["Is.LV"].value == pytest.approx(75 * 0.02**3)
    assert split["Rod.Bk.V"].value == pytest.approx(100 * 0.02**3)
    assert sum(split[f"{name}/LV"].value for name in ("Pl.Pf.V", "Rod.Bk.V", "Is.LV", "Thin.V")) == pytest.approx(100.0)


def test_a_map_of_change_is_signed_and_loses_noise() -> None:
    before, after = plate().astype(np.uint8) * 255, plate().astype(np.uint8) * 255
    after[12] = 100
    after[20, 5, 5] = 255
    first, second = Volume.from_array(before, 20), Volume.from_array(after, 20)
    both = change_map(first, second)
    assert both.values[12].max() == -155
    assert both.values[20, 5, 5] == 255
    assert change_map(first, second, least_voxels=2).values[20, 5, 5] == 0
    assert both.values.sum() == after.astype(int).sum() - before.astype(int).sum()


def test_refusals() -> None:
    with pytest.raises(InputError, match="same voxels"):
        loss_modes(plate(), plate()[:-1])
    with pytest.raises(InputError, match="uint8"):
        loss_modes(plate().astype(float), plate().astype(float))
