"""Which step of formation a voxel has: the words that decide it, and that resorption decides nothing."""

import jax.numpy as jnp
import numpy as np
import pytest
from bone_at_work import Bone, foam
from hypothesis import given
from hypothesis import strategies as st
from reference import random_numbers as definition

from microct.kernels import random

WORD = st.integers(0, 2**32 - 1)


@given(WORD, st.integers(0, 2**16 - 1), st.lists(st.integers(0, 2**30 - 1), min_size=8, max_size=8))
def test_numpy_and_jax_mix_as_defined(salt, step, index):
    mass = np.arange(1, 9) * 31
    expected = [definition.takes_step(9, int(m), step, i, salt) for m, i in zip(mass, index, strict=True)]
    for xp in (np, jnp):
        word = random.mixed(xp.uint32(salt), step, xp.asarray(np.array(index, np.int32)), xp)
        found = random.below(word, xp.asarray(mass), xp) < 9
        assert np.asarray(found).tolist() == expected


def test_chances_are_met_and_neighbors_and_steps_are_independent():
    """Gained d of m: takes the step with chance d / m, also along lines, from step to step, and beside the dither."""
    salt = random.words(np.uint32(5), np.uint32(0), random.DEPTH, np.arange(40), np)[1][:, None, None]
    z, y, x = np.indices((12, 12, 12))
    cell = ((z << 20) | (y << 10) | x).ravel()[None, None]
    step = np.arange(30, 60)[None, :, None]
    with np.errstate(over="ignore"):
        word = random.mixed(salt, step, cell, np)
    dither = np.vectorize(definition.dither)(cell[0, 0][None], salt[:, :, 0])
    for gained, mass in ((1, 2), (40, 255), (200, 255), (3, 7)):
        taken = (random.below(word, np.uint32(mass), np) < gained).astype(float)
        chance = gained / mass
        spread = np.sqrt(chance * (1 - chance))
        assert abs(taken.mean() - chance) < 3.5 * spread / np.sqrt(taken.size)
        centered = (taken - chance) / spread
        for one, other in (
            (centered[:, 1:], centered[:, :-1]), (centered[:, :, 1:], centered[:, :, :-1]),
            (centered[:, :, 144:], centered[:, :, :-144]), (centered[1:], centered[:-1]),
            (centered, np.broadcast_to(((dither - 127.5) / 73.9)[:, None], centered.shape)),
        ):  # fmt: skip
            assert abs((one * other).mean()) < 4.5 / np.sqrt(one.size)


@pytest.mark.parametrize(("candidates", "resorbs"), [pytest.param(24, True, marks=pytest.mark.slow), (0, False)])
def test_without_formation_no_label_changes(candidates, resorbs):
    """Neither by resorption alone, nor with turnover knocked out."""
    bone = Bone(foam(), wall_um=0.0, candidates=candidates)
    labels = np.random.default_rng(3).integers(0, 500, foam().shape).astype(np.uint16)
    bone.fields = bone.fields._replace(formed_on=jnp.asarray(labels))
    bone.go(40)
    assert (bone.moved[0] > 255 * 100) == resorbs
    assert bone.moved[1] == 0
    np.testing.assert_array_equal(np.asarray(bone.fields.formed_on), labels)
