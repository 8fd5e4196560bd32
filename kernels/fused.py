"""Kernels for processors where many work side by side (GPUs): how they are launched, and what they have in common.

Compilers make several kernels of a product with stiffness, which lay the motion of all corners down, and then all
forces, in memory. Here each worker keeps them in its registers. Where no GPU is, products are worked out plainly. The
kernels themselves can be interpreted there, which is what tests do.

They are written for Pallas with Triton, which jax is to let go of (deprecated in 0.11). Where a jax no longer has it,
GPUs work products out plainly too: the same answers, 7 times the memory and 5 times as long by a compiler's plan.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any

import jax
from jax import lax

Array = Any

#: Nodes or cells that one block of workers owns at most.
_BLOCK = 128


@cache
def has_kernels() -> bool:
    """Whether this jax can make such kernels for a GPU."""
    try:
        import_module("jax.experimental.pallas.triton")
    except ImportError:
        return False
    return True


def kernel_on_gpu(kernel: Callable[..., Array], plainly: Callable[..., Array], *given: Array) -> Array:
    """What a ``kernel`` makes of arrays on a GPU, and a plain function of the same meaning elsewhere."""
    if not has_kernels():
        return plainly(*given)
    return lax.platform_dependent(*given, cuda=kernel, rocm=kernel, default=plainly)


def launched(
    kernel: Callable[..., None], shape: jax.ShapeDtypeStruct, rows: int, cases: int, interpret: bool, *given: Array
) -> Array:
    """What a kernel makes of arrays, a block of rows and a case each."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    block = min(_BLOCK, rows & -rows)
    anywhere = pl.BlockSpec(memory_space=pl.ANY)
    return pl.pallas_call(
        partial(kernel, block=block), grid=(rows // block, cases), out_shape=shape, in_specs=[anywhere] * len(given),
        out_specs=anywhere, interpret=interpret,
        compiler_params=None if interpret else triton.CompilerParams(num_warps=max(block // 32, 1)),
    )(*given)  # fmt: skip


def patterns(corners: list[Any]) -> list[Any]:
    """Sums over eight corners with the signs of each of `parities.SIGNS`, in three rounds of sums and differences."""
    for bit in (1, 2, 4):
        pairs = [(corners[k & ~bit], corners[k | bit]) for k in range(8)]
        corners = [low - high if k & bit else low + high for k, (low, high) in enumerate(pairs)]
    return corners


def total(terms: list[Any]) -> Any:
    """The sum of one term or more."""
    return sum(terms[1:], terms[0])
