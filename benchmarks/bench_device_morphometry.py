"""How fast do the kernels of morphometry run where the volume lies: on the device alone?

    python benchmarks/bench_device_morphometry.py [--edges 128 256 512]

From a mask in the device's memory to the answer there: local thickness of bone and of marrow, mid-axes, squared
distances and the histogram of one pass, on the Gaussian field of `bench_morphometry`. A copy of the volume's integers
(read and written once) is there to compare with: "of_copy" is the time of the copy by that of the kernel. The first
call, which compiles, is reported apart; the seconds are the best of three. Memory is the most that the device held
since the start, where it tells.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from bench_morphometry import volume
from machine import record

from microct.kernels.distance import squared_distance
from microct.kernels.stencil import configuration_histogram
from microct.kernels.thickness import local_radius_and_axes, local_squared_radius, radius_counts


@jax.jit
def _copied(values: jax.Array) -> jax.Array:
    return values + 1


def _mean_thickness(mask: jax.Array) -> Any:
    return radius_counts(local_squared_radius(mask), mask)


#: What is asked, of a mask of bone.
KERNELS: dict[str, Callable[[jax.Array], Any]] = {
    "squared distance, bone": squared_distance,
    "squared distance, marrow": lambda bone: squared_distance(~bone),
    "local thickness, bone": local_squared_radius,
    "local thickness, marrow": lambda bone: local_squared_radius(~bone),
    "local thickness and mid-axes, bone": local_radius_and_axes,
    "local thickness and its distribution, bone": _mean_thickness,
    "histogram of one pass": configuration_histogram,
}


def timed(do: Callable[[], Any]) -> dict[str, float]:
    """Seconds of the first call and of the best of three more."""
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        jax.block_until_ready(do())
        seconds.append(time.perf_counter() - start)
    return {"first_s": seconds[0], "seconds": min(seconds[1:])}


def main() -> None:
    """Run and record."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--edges", type=int, nargs="+", default=[128, 256])
    answer: dict[str, Any] = {}
    for edge in options.parse_args().edges:
        bone = jax.device_put(volume(edge))
        integers = jnp.zeros(bone.shape, jnp.int32)
        copy = timed(lambda integers=integers: _copied(integers))
        copy["gigabyte_per_s"] = 2 * integers.nbytes / copy["seconds"] / 1e9
        found: dict[str, dict[str, float]] = {"copy": copy}
        del integers
        for name, kernel in KERNELS.items():
            took = found[name] = timed(lambda kernel=kernel, bone=bone: kernel(bone))
            took["million_voxels_per_s"] = bone.size / took["seconds"] / 1e6
            took["of_copy"] = copy["seconds"] / took["seconds"]
            held = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
            if held:
                took["byte_per_voxel_at_most"] = held / bone.size
            print(f"{edge}^3  {name:44s} {took['seconds']:9.4f} s  {took['of_copy']:7.3f} of a copy", flush=True)
        answer[f"{edge}^3"] = found
    print(record("device_morphometry", answer))


if __name__ == "__main__":
    main()
