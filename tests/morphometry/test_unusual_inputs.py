"""Empty, solid, one voxel, flat, stretched, big-endian, masked: each index is a number, or says why it is none."""

import math

import numpy as np
import pytest

from microct import Volume, measure
from microct.morphometry.pair import measure_pair
from microct.status import InputError, MicroctError

RNG = np.random.default_rng(11)


def one_voxel(shape=(9, 10, 11)):
    bone = np.zeros(shape, bool)
    bone[tuple(n // 2 for n in shape)] = True
    return bone


STRUCTURE = RNG.random((13, 14, 15)) < 0.35
HALF = np.zeros((13, 14, 15), bool)
HALF[3:10, 2:12] = True

#: (bone, voxel edges along (z, y, x) [mm], region)
UNUSUAL = {
    "empty": (np.zeros((8, 9, 10), bool), (0.02,) * 3, None),
    "solid": (np.ones((8, 9, 10), bool), (0.02,) * 3, None),
    "one voxel of bone": (one_voxel(), (0.02,) * 3, None),
    "one voxel of marrow": (~one_voxel(), (0.02,) * 3, None),
    "a volume of one voxel": (np.ones((1, 1, 1), bool), (0.02,) * 3, None),
    "an empty volume of one voxel": (np.zeros((1, 1, 1), bool), (0.02,) * 3, None),
    "one plane": (RNG.random((1, 12, 14)) < 0.4, (0.02,) * 3, None),
    "one line": (RNG.random((1, 1, 30)) < 0.5, (0.02,) * 3, None),
    "long": (RNG.random((4, 5, 60)) < 0.3, (0.02,) * 3, None),
    "stretched voxels": (STRUCTURE, (0.02, 0.03, 0.025), None),
    "masked": (STRUCTURE, (0.02,) * 3, HALF),
    "stretched and masked": (STRUCTURE, (0.04, 0.02, 0.02), HALF),
    "masked, empty inside": (~HALF, (0.02,) * 3, HALF),
    "masked, solid inside": (HALF, (0.02,) * 3, HALF),
    "a mask of one voxel": (STRUCTURE, (0.02,) * 3, one_voxel(STRUCTURE.shape)),
}


ORDINARY = {
    indices: {row.symbol for row in measure(Volume(STRUCTURE, (0.02,) * 3), indices=indices)}
    for indices in ("standard", "all")
}


@pytest.mark.parametrize("convention", ["exact", "bonej", "ipl"])
@pytest.mark.parametrize("name", UNUSUAL)
def test_every_index_is_a_number_or_says_why_not(name, convention):
    bone, spacing, region = UNUSUAL[name]
    indices = "all" if convention == "exact" else "standard"  # the others differ in thickness alone
    table = measure(Volume(bone, spacing), region, convention, indices=indices)
    assert {row.symbol for row in table} == ORDINARY[indices]
    for row in table:
        assert not math.isinf(row.value), row
        assert not math.isnan(row.value) or row.note, row
    inside = bone if region is None else bone[region]
    assert table["BV/TV"].value == pytest.approx(100.0 * inside.mean())
    assert table["BV"].value == pytest.approx(inside.sum() * np.prod(spacing))


@pytest.mark.parametrize(("name", "kind"), [("stretched voxels", ">u2"), ("masked", ">f4"), ("one plane", ">i4")])
def test_byte_order_changes_nothing(name, kind):
    bone, spacing, region = UNUSUAL[name]
    grey = np.where(bone, 700, 20)
    other = measure(Volume(grey.astype(kind), spacing), region, threshold=500, indices="all")
    native = measure(Volume(grey.astype(kind[1:]), spacing), region, threshold=500, indices="all")
    np.testing.assert_array_equal([row.value for row in other], [row.value for row in native])


@pytest.mark.parametrize("name", UNUSUAL)
def test_two_states_of_unusual_bone(name):
    bone, spacing, _ = UNUSUAL[name]
    later = bone.copy()
    later.flat[::7] = ~later.flat[::7]
    try:
        table = measure_pair(Volume(bone, spacing), Volume(later, spacing))
    except MicroctError as refusal:
        assert "expected" in str(refusal) or ":" in str(refusal)  # noqa: PT017 - a clear refusal will do, too
    else:
        for row in table:
            assert not math.isinf(row.value), row
            assert not math.isnan(row.value) or row.note, row


def test_what_has_no_defined_answer_is_refused():
    with pytest.raises(InputError, match="three non-empty axes"):
        Volume(np.zeros((0, 4, 4), bool), (0.02,) * 3)
    with pytest.raises(InputError, match="NaN"):
        Volume(np.full((2, 2, 2), np.nan), (0.02,) * 3)
    with pytest.raises(InputError, match="no voxel is inside"):
        measure(Volume(STRUCTURE, (0.02,) * 3), np.zeros(STRUCTURE.shape, bool))


def test_anisotropy_by_normals_asks_for_cubes() -> None:
    ball = np.add.reduce(np.indices((20, 20, 20)) - 9.5, axis=0) ** 2 < 90
    row = measure(Volume.from_array(ball, (30.0, 20.0, 20.0)), indices="all", thickness=False)["DA.N"]
    assert math.isnan(row.value)
    assert "cubic voxels" in row.note
