"""Where the cortex is: a made piece of shaft, bones without any, a mask."""

import numpy as np
import pytest

from microct.imaging.specimens import sample
from microct.remodeling import compartments
from microct.remodeling.compartments import ENDOCORTICAL, INTRACORTICAL, PERIOSTEAL, TRABECULAR
from microct.status import InputError

UM = 30.0


def shaft(canal_um: float = 60.0, plate: bool = True) -> np.ndarray:
    """Along y: 10 voxels of air, 30 of cortex with canals along z, marrow with a plate of 5 voxels standing in it."""
    bone = np.zeros((24, 80, 64), np.uint8)
    bone[:, 10:40] = 255
    half = round(canal_um / UM / 2)
    for y in (18, 30):
        for x in (12, 34, 52):
            bone[:, y - half : y + half, x - half : x + half] = 0
    bone[:, 40:70, 20:25] = 255 * plate
    return bone


def test_a_shaft_is_told_from_its_trabeculae_and_its_canals_belong_to_it() -> None:
    bone = shaft()
    cortex = compartments.cortex(bone, UM, 450.0, 200.0)
    assert cortex[:, 10:40].mean() > 0.995
    assert cortex[:, :10].sum() == 0
    assert cortex[:, 46:].sum() == 0
    place = compartments.labels(bone, cortex, 100.0, UM)
    assert place is not None
    assert (place[:, :10] == PERIOSTEAL).all()
    assert (place[:, 10:13] == PERIOSTEAL).mean() > 0.99
    assert (place[:, 15:34] == INTRACORTICAL).all()
    assert (place[:, 38:40] == ENDOCORTICAL).mean() > 0.9
    assert (place[:, 46:] == TRABECULAR).all()
    bare = shaft(plate=False)
    place = compartments.labels(bare, compartments.cortex(bare, UM, 450.0, 200.0), 100.0, UM)
    assert place is not None
    canals = 6 * 2 * 2 / (np.count_nonzero((place == ENDOCORTICAL) | (place == INTRACORTICAL)) / 24) * 100
    assert compartments.porosity(bare, place) == pytest.approx(canals, rel=0.1)


def test_bone_that_has_no_cortex_has_no_compartments() -> None:
    bone = sample("trabecular", size_mm=1.8, voxel_size_um=40.0, seed=3).values
    cortex = compartments.cortex(bone, 40.0, 450.0, 200.0)
    assert not cortex.any()
    assert compartments.labels(bone, cortex, 100.0, 40.0) is None


def test_a_thick_node_is_no_cortex() -> None:
    """A ball of 600 um among plates holds a small share of the bone."""
    bone = np.zeros((64, 64, 64), np.uint8)
    bone[::8] = 255
    bone[1::8] = 255
    z, y, x = np.indices(bone.shape) - 32
    bone[z**2 + y**2 + x**2 < 8**2] = 255
    assert not compartments.cortex(bone, 40.0, 450.0, 100.0).any()


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="shape of the bone"):
        compartments.labels(shaft(), np.ones((2, 2, 2), bool), 100.0, UM)
