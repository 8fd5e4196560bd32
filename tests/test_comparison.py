"""`microct.follow_up`: a known change between two bones, a region of it, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import microct
from microct.status import InputError, StudyError
from microct.volume import Volume


def blocks() -> tuple[np.ndarray, np.ndarray]:
    """Bone, and the same where a cube was lost and another gained."""
    first = np.zeros((20, 20, 20), bool)
    first[4:16, 4:16, 4:16] = True
    second = first.copy()
    second[4:6, 8:10, 8:10] = False
    second[16:19, 8:11, 8:11] = True
    return first, second


def test_what_was_lost_and_gained_is_found_to_the_voxel() -> None:
    first, second = blocks()
    found = microct.follow_up(*(Volume.from_array(bone, 20.0) for bone in (first, second)), register=False)
    assert found.table["RV/BV"].value == pytest.approx(100 * 8 / first.sum())
    assert found.table["FV/BV"].value == pytest.approx(100 * 27 / first.sum())
    assert found.motion is None
    change = found.change.values
    assert ((change == -255) == (first & ~second)).all()
    assert ((change == 255) == (second & ~first)).all()
    assert (found.before.values == first).all()
    assert [row.value for row in found.table if row.symbol == "BV"] == pytest.approx(
        [bone.sum() * 0.02**3 for bone in (first, second)]
    )
    assert not found.doubts


def test_a_region_and_the_least_cluster_bound_what_is_found() -> None:
    volumes = [Volume.from_array(bone, 20.0) for bone in blocks()]
    lower = np.zeros((20, 20, 20), bool)
    lower[:12] = True
    within = microct.follow_up(*volumes, mask=lower, register=False)
    assert within.table["FV/BV"].value == 0.0 < within.table["RV/BV"].value
    coarse = microct.follow_up(*volumes, register=False, least_voxels=9)
    assert coarse.table["RV/BV"].value == 0.0 < coarse.table["FV/BV"].value
    assert coarse.change.values.min() == 0


def test_what_cannot_be_compared_is_refused() -> None:
    one, two = (Volume.from_array(bone, 20.0) for bone in blocks())
    grey = Volume.from_array(np.random.default_rng(1).random((20, 20, 20)), 20.0)
    with pytest.raises(InputError, match="of one kind, got a mask or bone fraction and grey values"):
        microct.follow_up(one, grey)
    with pytest.raises(InputError, match="same voxels"):
        microct.follow_up(one, Volume.from_array(two.values[1:], 20.0), register=False)
    with pytest.raises(StudyError, match=r"least_voxels: expected 1 or more \(usual: 5"):
        microct.follow_up(one, two, least_voxels=0)
    with pytest.raises(StudyError, match="threshold: expected"):
        microct.follow_up(one, two, threshold="otzu")
    with pytest.raises(StudyError, match="sigma: expected 0 to 20"):
        microct.follow_up(one, two, sigma=-1.0)
    with pytest.raises(InputError, match=r"expected a microct\.Volume"):
        microct.follow_up(one, two.values)  # type: ignore[arg-type]
