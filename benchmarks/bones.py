"""Bone for benchmarks: of any size, made within seconds, and at work."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np

sys.path.insert(1, str(machine.ROOT / "tests"))

VOXEL_UM = 20.0
_BASE, _SMALLEST = 128, 48


def field(edge: int, share: float = 0.2) -> np.ndarray:
    """(edge, edge, edge) bool: a Gaussian field of 128 voxels laid side by side, 10 voxels thick."""
    from reference.fields import gaussian_field, level

    base = min(edge, _BASE)
    bone = gaussian_field(base, 4.0, 1) > level(share)
    times = -(-edge // base)
    return np.ascontiguousarray(np.tile(bone, (times,) * 3)[:edge, :edge, :edge])


def specimen(edge: int, base: int = 256) -> Any:
    """A trabecular specimen of ``edge`` voxels of 20 um; beyond ``base`` it is tiled, since only its size matters."""
    from microct.imaging.specimens import sample
    from microct.volume import Volume

    made = max(min(edge, base), _SMALLEST)
    block = sample("trabecular", size_mm=made * VOXEL_UM / 1000.0, voxel_size_um=VOXEL_UM, seed=1)
    times = -(-edge // block.shape[0])
    values = block.values if times == 1 else np.tile(block.values, (times,) * 3)
    return Volume.from_array(np.ascontiguousarray(values[:edge, :edge, :edge]), VOXEL_UM)


def demand(frequency_per_yr: float) -> dict[str, float]:
    """Settings of a study whose bone turns over steadily, in balance."""
    return {"activation_frequency_per_year": frequency_per_yr, "erosion_depth_um": 48.0, "wall_thickness_um": 48.0}


def built(bone: Any, frequency_per_yr: float, years: float) -> Any:
    """The model of a bone under a steady demand."""
    from microct.simulation.build import build
    from microct.simulation.config import Study

    study = Study().with_values(time={"years": years, "burn_in_years": 0.0}, remodeling=demand(frequency_per_yr))
    return build(bone, study)


def without_births(model: Any) -> Any:
    """The model under a demand that asks for no birth: what is at work goes on, alone."""
    none = np.zeros_like(model.demand.activation_frequency_per_yr)
    return dataclasses.replace(model, demand=dataclasses.replace(model.demand, activation_frequency_per_yr=none))


def on_host(state: Any) -> Any:
    """The arrays of a state as copies on the host: what is handed to a step is used up by it."""
    return jax.tree.map(np.array, (state.fields, state.bmus))


def on_device(state: Any, arrays: Any) -> Any:
    """The state with these arrays on the device."""
    fields, bmus = jax.block_until_ready(jax.tree.map(jnp.array, arrays))
    return dataclasses.replace(state, fields=fields, bmus=bmus)
