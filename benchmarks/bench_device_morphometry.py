"""How fast do the kernels of morphometry run where the volume lies: on the device alone?

    python benchmarks/bench_device_morphometry.py [--edges 128 256 512] [--budget-seconds 300] [--quick]

From a mask in the device's memory to the answer there: local thickness of bone and of marrow, mid-axes, squared
distances and the histogram of one pass, on the Gaussian field of `bench_morphometry`. A copy of the volume's integers
(read and written once) is there to compare with: "of_copy" is the time of the copy by that of the kernel. The first
call, which compiles, is reported apart; shares are of the fastest repeat. Memory is the most that the device held
since the start, where it tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from bench_morphometry import volume
from machine import Record
from measure import Budget, device_memory, options, timed

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


def main() -> None:
    """Run and record."""
    parser = options(__doc__, 300.0)
    parser.add_argument("--edges", type=int, nargs="+", default=[128, 256])
    asked = parser.parse_args()
    budget = Budget(asked.budget_seconds)
    name = "device_morphometry" + ("-quick" if asked.quick else "")
    record = Record(name, asked.out)
    for edge in [48] if asked.quick else asked.edges:
        bone = jax.device_put(volume(edge))
        integers = jnp.zeros(bone.shape, jnp.int32)
        copy = timed(lambda integers=integers: _copied(integers))
        copy["gigabyte_per_s"] = 2 * integers.nbytes / min(copy["wall_s"]) / 1e9
        found: dict[str, dict[str, Any]] = {"copy": copy}
        del integers
        for kernel_name, kernel in KERNELS.items():
            if not budget.allows(f"{kernel_name}, {edge}^3", 5.0):
                continue
            took = timed(lambda kernel=kernel, bone=bone: kernel(bone), 3, budget.left / 4)
            best = min(took["wall_s"])
            took |= {"million_voxels_per_s": bone.size / best / 1e6, "of_copy": min(copy["wall_s"]) / best}
            held = device_memory().get("peak")
            if held:
                took["byte_per_voxel_at_most"] = held / bone.size
            found[kernel_name] = took
            record.add(f"{edge}^3", found)
            print(f"{edge}^3  {kernel_name:44s} {best:9.4f} s  {took['of_copy']:7.3f} of a copy", flush=True)
    record.content["left_out"] = budget.left_out
    print(record.write())


if __name__ == "__main__":
    main()
