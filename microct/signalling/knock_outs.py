"""Mechanisms switched off by name: each is a few constants set to what silences it, so that nothing else changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from microct.signalling.parameters import CellParameters
from microct.signalling.spelling import refused

_SILENCED: dict[str, tuple[str, ...]] = {
    "estrogen": ("estrogen_response",),
    "th17": ("th17_gain",),
    "treg": ("treg_loss",),
    "macrophages": ("macrophage_gain", "macrophage_tnf_gain"),
    "b_cells": ("b_cell_gain", "b_cell_rankl_gain", "opg_b_cell_loss"),
    "neutrophils": ("neutrophil_gain",),
    "osteocytes": ("osteocyte_death_per_yr", "osteocyte_apoptosis_gain", "osteocyte_rankl_gain"),
    "sclerostin": ("sclerostin_gain", "sclerostin_per_yr"),
    "marrow_fat": ("fat_deficit_gain", "fat_per_yr"),
    "osteoclast_lifespan": ("osteoclast_life_gain",),
    "osteoblast_apoptosis": ("osteoblast_apoptosis_gain", "osteoblast_apoptosis_tnf"),
    "stromal_rankl": ("stromal_rankl_gain",),
    "opg": ("opg_stromal_loss", "opg_b_cell_loss", "opg_b_cell_exponent"),
    "ageing": ("ageing_response",),
}

KNOCK_OUTS = tuple(_SILENCED)


def knocked_out(parameters: CellParameters, names: Sequence[str]) -> CellParameters:
    """The parameters with the named mechanisms held at their healthy level.

    Args:
        parameters: the constants to start from.
        names: any of `KNOCK_OUTS`.

    Raises:
        StudyError: a name that is not in `KNOCK_OUTS`.
    """
    changes: dict[str, float] = {}
    for name in (names,) if isinstance(names, str) else names:
        if name not in _SILENCED:
            raise refused("knock-out", name, KNOCK_OUTS)
        changes.update(dict.fromkeys(_SILENCED[name], 0.0))
        if name == "marrow_fat":
            changes["fat_young"] = parameters.fat_healthy
    return dataclasses.replace(parameters, **changes)
