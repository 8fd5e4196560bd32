"""Random numbers: the published bits, the same bits in NumPy and JAX, and laws that are what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import random_numbers as definition
from scipy import stats

from microct.kernels import random

WORD = st.integers(0, 2**32 - 1)
ONES = 0xFFFFFFFF

#: Known answers of the authors' own test (Random123, kat_vectors, threefry2x32 20): key, counter, words.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((ONES, ONES), (ONES, ONES), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


def drawn(key, counter, xp):
    u32 = np.uint32 if xp is np else jnp.uint32
    arrays = [xp.asarray([value], u32) for value in (*key, *counter)]
    return tuple(int(word[0]) for word in random.threefry2x32(*arrays, xp))


@pytest.mark.parametrize(("key", "counter", "words"), KNOWN)
def test_the_published_known_answers(key, counter, words):
    assert definition.threefry(key, counter) == words
    assert drawn(key, counter, np) == words
    assert drawn(key, counter, jnp) == words


@given(WORD, st.integers(0, 2**29 - 1), st.integers(0, random.STREAMS - 1), st.lists(WORD, min_size=8, max_size=8))
def test_numpy_and_jax_draw_the_bits_of_the_definition(seed, step, stream, index):
    expected = [definition.words(seed, step, stream, i) for i in index]
    for xp in (np, jnp):
        arrays = random.words(xp.uint32(seed), xp.uint32(step), stream, xp.asarray(np.array(index, np.uint32)), xp)
        assert list(zip(*(np.asarray(a).tolist() for a in arrays), strict=True)) == expected


@given(WORD, st.integers(1, 2**16 - 1))
def test_below_is_the_exact_share_of_the_bound(word, bound):
    expected = definition.below(word, bound)
    assert 0 <= expected < bound
    assert int(random.below(np.uint32(word), np.uint32(bound), np)) == expected
    assert int(random.below(jnp.uint32(word), jnp.uint32(bound))) == expected


def test_a_number_does_not_depend_on_how_many_are_drawn_or_under_what_transformation():
    index = jnp.arange(64)
    whole = random.words(jnp.uint32(5), jnp.int32(9), random.DEPTH, index)
    part = random.words(jnp.uint32(5), jnp.int32(9), random.DEPTH, index[17:23])
    mapped = jax.vmap(lambda i: random.words(jnp.uint32(5), jnp.int32(9), random.DEPTH, i))(index)
    for a, b, c in zip(whole, part, mapped, strict=True):
        np.testing.assert_array_equal(a[17:23], b)
        np.testing.assert_array_equal(a, c)


def test_streams_steps_and_seeds_share_no_numbers():
    index = np.arange(2000)
    words = [
        random.words(np.uint32(seed), np.uint32(step), stream, index, np)[0]
        for seed in (0, 1)
        for step in (0, 1, 2)
        for stream in range(random.STREAMS)
    ]
    drawn = np.concatenate(words)
    # 96000 words of 32 bits meet by chance about 1.1 times; a shared stream would meet 2000 times.
    assert len(np.unique(drawn)) > len(drawn) - 10


@pytest.mark.parametrize("bound", [6, 100, 1024])
def test_below_is_uniform(bound):
    words = random.words(np.uint32(3), np.uint32(1), random.POSITION, np.arange(200_000), np)
    for word in words:
        counts = np.bincount(random.below(word, bound, np), minlength=bound)
        assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(("mean", "draws"), [(0.3, 4000), (7.0, 4000), (480.0, 1500), (1700.0, 400)])
def test_poisson_has_its_law(mean, draws):
    counts = np.array([random.poisson(11, step, mean) for step in range(draws)])
    assert counts.mean() == pytest.approx(mean, abs=4.0 * (mean / draws) ** 0.5)
    assert counts.var(ddof=1) / mean == pytest.approx(1.0, abs=4.0 * ((2.0 + 1.0 / mean) / draws) ** 0.5)
    law = stats.poisson(mean)
    edges = np.unique(law.ppf(np.linspace(0.0, 1.0, 11)[1:-1]))
    expected = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]])) * draws
    seen = np.bincount(np.searchsorted(edges, counts), minlength=len(expected))
    assert stats.chisquare(seen, expected).pvalue > 1e-3


def test_poisson_at_the_ends():
    assert random.poisson(1, 1, 0.0) == 0
    assert random.poisson(1, 1, 1e6) == pytest.approx(1e6, abs=5e3)
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="Poisson mean"):
            random.poisson(1, 1, wrong)
