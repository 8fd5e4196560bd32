"""Products in which every worker keeps what it makes in its registers, for processors where many work side by side.

Compilers lay the motion of all corners down in memory, and then all forces. What one worker does is written once here,
as a body that is given what it may read and returns its numbers; there are two ways to let all do it. `launched` makes
one kernel of it, by Pallas with Triton, which jax is to let go of (deprecated in 0.11). `spread` writes the same out
for the compiler, which then lays down no more than what is gathered: the same answers, in three times the time by a
compiler's plan. GPUs for which no kernel can be made are left to it. Where no GPU is, products are worked out plainly,
by matrices.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from microct.kernels.device import has_accelerator
from microct.kernels.gathering import VALID

Array = Any

#: What one block of workers does: of arrays to read, the rows that are theirs and their case, the numbers of each row.
Body = Callable[..., list[Any]]

#: Nodes or cells that one block of workers owns at most.
_BLOCK = 128

#: Rows of a long list of which `spread` makes the numbers at a time: an eighth.
_PARTS, _LONG = 8, 1 << 18


class Launch(Protocol):
    """A way to let all workers do what a body says."""

    def __call__(self, body: Body, out: jax.ShapeDtypeStruct, *given: Array) -> Array:
        """What workers return, ``out``: (rows, cases, numbers of each)."""


def launched(body: Body, out: jax.ShapeDtypeStruct, *given: Array, interpret: bool = False) -> Array:
    """As one kernel, a block of rows and a case each; ``interpret``: without a GPU."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    rows, cases, numbers = out.shape
    block = min(_BLOCK, rows & -rows)

    def kernel(*refs: Any) -> None:
        *read, written = refs
        case = pl.program_id(1)
        own = ((pl.program_id(0) * block + jnp.arange(block)) * cases + case) * numbers
        for k, number in enumerate(body(*read, pl.ds(pl.program_id(0) * block, block), case, cases)):
            written[own + k] = number

    anywhere = pl.BlockSpec(memory_space=pl.ANY)
    return pl.pallas_call(
        kernel, grid=(rows // block, cases), out_shape=jax.ShapeDtypeStruct((out.size,), out.dtype),
        in_specs=[anywhere] * len(given), out_specs=anywhere, interpret=interpret,
        compiler_params=None if interpret else triton.CompilerParams(num_warps=max(block // 32, 1)),
    )(*given).reshape(out.shape)  # fmt: skip


def spread(body: Body, out: jax.ShapeDtypeStruct, *given: Array) -> Array:
    """As sums and products of whole lists, of which the compiler makes kernels."""
    rows, cases, _ = out.shape
    parts = _PARTS if rows >= _LONG else 1
    read = [_Reader(array) for array in given]

    def part(k: Any) -> Array:
        mine = _Rows(k * (rows // parts), rows // parts)
        numbers = [jnp.stack(body(*read, mine, case, cases), axis=-1) for case in range(cases)]
        return jnp.stack(numbers, axis=1).astype(out.dtype)

    return part(0) if parts == 1 else lax.map(part, jnp.arange(parts)).reshape(out.shape)


class _Rows:
    """So many rows from one on."""

    def __init__(self, start: Any, size: int) -> None:
        self.start, self.size = start, size


class _Reader:
    """An array that is read as a kernel reads: a number, the rows of a block, or numbers here and there."""

    def __init__(self, array: Array) -> None:
        self._array, self.shape = array, array.shape

    def __getitem__(self, index: Any) -> Array:
        if isinstance(index, int | np.integer):
            return self._array[index]
        if isinstance(index, tuple):
            return lax.dynamic_slice_in_dim(self._array[index[0]], index[1].start, index[1].size)
        return self._array.at[index].get(**VALID)


def on_gpu(fused: Callable[..., Array], plainly: Callable[..., Array], *given: Array) -> Array:
    """What ``fused`` (by a way to launch, `Launch`) makes of arrays on a GPU, and a plain function elsewhere."""
    there = partial(fused, launched if has_kernels() else spread)
    return lax.platform_dependent(*given, cuda=there, rocm=there, default=plainly)


@cache
def has_kernels() -> bool:
    """Whether kernels can be made: this jax knows how to, and a first one does what it should on the GPU at hand."""
    try:
        import_module("jax.experimental.pallas.triton")
    except ImportError:
        return False
    if not has_accelerator():  # a program may be compiled for a GPU that is not here
        return True
    values, places = np.arange(64, dtype=np.float32), np.arange(64, dtype=np.int32)[None, ::-1].copy()
    out = jax.ShapeDtypeStruct((64, 1, 1), np.float32)
    try:
        # compiled apart, as this may be asked while another program is traced
        tried = jax.jit(partial(launched, _trial, out)).lower(values, places).compile()
        right = bool((np.asarray(tried(values, places)).ravel() == 2 * values[::-1]).all())
    except Exception as failure:
        warnings.warn(f"no kernels of Pallas on this GPU ({failure}): micro-FE goes a slower way", stacklevel=2)
        return False
    if not right:
        warnings.warn("a kernel of Pallas gave wrong numbers on this GPU: micro-FE goes a slower way", stacklevel=2)
    return right


def _trial(values: Any, places: Any, mine: Any, case: Any, cases: int) -> list[Any]:
    return [2 * values[places[0, mine]]]


def patterns(corners: list[Any]) -> list[Any]:
    """Sums over eight corners with the signs of each of `parities.SIGNS`, in three rounds of sums and differences."""
    for bit in (1, 2, 4):
        pairs = [(corners[k & ~bit], corners[k | bit]) for k in range(8)]
        corners = [low - high if k & bit else low + high for k, (low, high) in enumerate(pairs)]
    return corners


def total(terms: list[Any]) -> Any:
    """The sum of one term or more."""
    return sum(terms[1:], terms[0])
