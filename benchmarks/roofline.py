"""What this device can do at most, measured in the same run: bytes moved, arithmetic, random access, launches."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from measure import timed

#: Independent chains of multiply-adds, and how long each is: enough to hide the latency of one.
_CHAINS, _LINKS = 8, 32


@dataclass(frozen=True)
class Limits:
    """Rates of one device, the best of some repeats each.

    Attributes:
        copy: bytes read and written by ``a = a ^ 1`` on an array that fits into no cache [byte/s].
        float32, float64: multiply-adds in registers, or a matrix product, whichever is faster [operations/s].
        int32, uint8: sums and exclusive ors in registers [operations/s].
        gathered, scattered: single bytes at random places of an array that fits into no cache [bytes/s].
        dispatch_s: one call of a compiled program that does nothing, many in flight [s].
        turn_s: one turn of a loop on the device around one small operation [s].
        sector: bytes that memory hands out at least.
    """

    copy: float
    float32: float
    float64: float
    int32: float
    uint8: float
    gathered: float
    scattered: float
    dispatch_s: float
    turn_s: float
    sector: int

    def floor_s(self, bytes_: float, operations: float = 0.0, kind: str = "float32") -> float:
        """Seconds that no kernel of this traffic and arithmetic goes below."""
        return max(bytes_ / self.copy, operations / getattr(self, kind))

    def plain(self) -> dict[str, float]:
        """For the record."""
        return asdict(self)


def limits(small: bool = False) -> Limits:
    """Measure this device; ``small`` for a test, whose numbers mean nothing."""
    on_cpu = jax.default_backend() == "cpu"
    large = 1 << (14 if small else 28 if on_cpu else 30)  # bytes of one array
    numbers = 1 << (10 if small else 21 if on_cpu else 25)
    side = 64 if small else 1536 if on_cpu else 8192
    chained = {kind: _chained(kind, numbers) for kind in ("float32", "int32", "uint8")}
    with jax.enable_x64(True):
        double = max(_chained("float64", numbers), _product("float64", side))
    gathered, scattered = _random_access(large, 1 << (10 if small else 22))
    return Limits(
        copy=_copied(large),
        float32=max(chained["float32"], _product("float32", side)),
        float64=double,
        int32=chained["int32"],
        uint8=chained["uint8"],
        gathered=gathered,
        scattered=scattered,
        dispatch_s=_best(_in_place(jax.jit(lambda x: x + 1, donate_argnums=0), jnp.int32(0))),
        turn_s=_turn(),
        sector=64 if on_cpu else 32,
    )


def _best(do: Callable[[], Any], repeats: int = 7) -> float:
    return min(timed(do, repeats, budget_s=5.0)["wall_s"])


def _in_place(program: Callable[[Any], Any], start: Any) -> Callable[[], Any]:
    """A call that works on what the last one left: no new memory, which on a CPU costs more than the copy itself."""
    held = [start]

    def do() -> Any:
        held[0] = program(held[0])
        return held[0]

    return do


def _copied(large: int) -> float:
    program = jax.jit(lambda a: a ^ 1, donate_argnums=0)
    return 2 * large / _best(_in_place(program, jnp.zeros(large // 4, jnp.uint32)))


def _chained(kind: str, numbers: int) -> float:
    @jax.jit
    def program(x: Any, factor: Any, term: Any) -> Any:
        chains = [x + x.dtype.type(k) for k in range(_CHAINS)]
        for _ in range(_LINKS):
            if x.dtype.kind == "f":
                chains = [chain * factor + term for chain in chains]
            else:  # an exclusive or between, since a compiler may gather whole numbers' sums and products
                chains = [(chain + factor) ^ term for chain in chains]
        return sum(chains[1:], chains[0])

    one = np.dtype(kind).type(1)
    call = partial(program, jnp.ones(numbers, kind), jnp.asarray(one), jnp.asarray(one))
    return 2.0 * _CHAINS * _LINKS * numbers / _best(call)


def _product(kind: str, side: int) -> float:
    a = jnp.full((side, side), 1.5, kind)
    program = jax.jit(partial(jnp.dot, precision="highest"))
    return 2.0 * side**3 / _best(lambda: program(a, a), 4)


def _random_access(large: int, many: int) -> tuple[float, float]:
    # an odd factor runs through a power of two without meeting a place twice, in no order that a cache could use
    places = jnp.asarray((np.arange(many, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(large)).astype(np.int32))
    sheet = jnp.zeros(large, jnp.uint8)
    read = jax.jit(lambda a, at: a.at[at].get(mode="promise_in_bounds"))
    gathered = many / _best(lambda: read(sheet, places))
    write = jax.jit(lambda a, at: a.at[at].set(jnp.uint8(1), mode="drop", unique_indices=True), donate_argnums=0)
    scattered = many / _best(_in_place(lambda a: write(a, places), sheet))
    return gathered, scattered


def _turn(turns: int = 1000) -> float:
    program = jax.jit(lambda n, x: jax.lax.fori_loop(0, n, lambda _, x: x * 1.0001 + 1.0, x))
    x = jnp.zeros(4096, jnp.float32)
    return _best(lambda: program(jnp.int32(turns), x), 3) / turns


def main() -> None:
    """Print the limits alone."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    for name, value in limits().plain().items():
        print(f"{name:12s} {value:.4g}")


if __name__ == "__main__":
    main()
