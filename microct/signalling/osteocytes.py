"""Osteocytes: how many live, and the RANKL and sclerostin they send; rates in 1/day, the rest fold of health."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from microct.quantities import DAYS_PER_YEAR
from microct.signalling.parameters import CellParameters
from microct.signalling.state import CellState


def years_past_onset(age_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Years [yr] by which PTH and sclerostin have been rising with age; 0 where ageing is off."""
    return p.ageing_response * jnp.maximum(age_yr - p.ageing_onset_yr, 0)


def osteocyte_rate(cells: CellState, deficit: jax.Array, p: CellParameters) -> jax.Array:
    """Renewal by turnover of bone against death, which estrogen deficit multiplies: death x (1 + 3 D).

    The death that remains in health (D = 0) is an effect of age, and stops with ageing.
    """
    renewal = p.osteocyte_renewal_per_yr * (1 - cells.osteocytes)
    death = p.osteocyte_death_per_yr * (p.ageing_response + p.osteocyte_apoptosis_gain * deficit) * cells.osteocytes
    return (renewal - death) / DAYS_PER_YEAR


def osteocyte_rankl(cells: CellState, deficit: jax.Array, p: CellParameters) -> jax.Array:
    """RANKL of osteocytes: from estrogen deficit, from dying neighbors, from empty lacunae (Fujiwara 2016).

    ``osteocyte_rankl_gene`` of the parameters is what is left of the gene: 1, or less where it is ablated.
    """
    apoptosis = p.osteocyte_apoptosis_gain * deficit
    vacancy = 1 - cells.osteocytes
    sent = p.osteocyte_rankl_gain * deficit + p.osteocyte_rankl_apoptosis * apoptosis
    return p.osteocyte_rankl_gene * (1 + sent + p.osteocyte_rankl_vacancy * vacancy)


def sclerostin(deficit: jax.Array, age_yr: jax.Array, p: CellParameters) -> jax.Array:
    """Sclerostin, up with estrogen deficit and with age (directions: Modder 2011)."""
    return (1 + p.sclerostin_gain * deficit) * (1 + p.sclerostin_per_yr * years_past_onset(age_yr, p))
