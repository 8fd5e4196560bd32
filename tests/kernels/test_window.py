"""Sums, least places and packed bits of small blocks against NumPy, whatever their shape."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from microct import volume
from microct.kernels import window

SHAPES = [
    (1, 1, 1), (3, 5, 7), (4, 4, 4), (9, 8, 33),
    *(pytest.param(shape, marks=pytest.mark.slow) for shape in ((5, 7, 70), (16, 16, 32))),
]  # fmt: skip


def test_kernels_and_volumes_call_the_same_bone() -> None:
    assert window.BONE == volume.BONE == np.ceil(volume.HALF)


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_and_least_places_are_numpys(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    values, others = rng.integers(-9, 9, shape).astype(np.int32), rng.integers(0, 5, shape).astype(np.int32)
    assert int(window.total(jnp.asarray(values))) == values.sum()
    chosen = window.total(jnp.asarray(values), jnp.asarray(others), of=lambda v, o: jnp.where(o < 2, v, 0))
    assert int(chosen) == values[others < 2].sum()
    # Many places share the least value: the first of them counts.
    assert int(window.first_of_least(jnp.asarray(values))) == values.argmin()


@pytest.mark.parametrize("shape", SHAPES)
def test_packed_bits_are_the_mask(shape: tuple[int, int, int]) -> None:
    mask = np.random.default_rng(sum(shape)).random(shape) < 0.4
    bits = np.asarray(window.packed(jnp.asarray(mask)))
    for z, y, x in np.ndindex(shape):
        assert bool(bits[z, y, x // 32] >> np.uint32(x % 32) & np.uint32(1)) == mask[z, y, x]
    np.testing.assert_array_equal(np.asarray(window.unpacked(jnp.asarray(bits), shape[2])), mask)
    np.testing.assert_array_equal(
        np.asarray(window.Ranked.of(jnp.asarray(mask)).place(jnp.arange(mask.sum()))), np.flatnonzero(mask)
    )
