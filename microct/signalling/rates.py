"""The whole cell model in one place: signals of the moment, and d(cells)/dt.

Drugs will enter here: `Surroundings` is what the cells cannot change, and each drug of a later room adds a field to
it (a competitor of RANK for RANKL, a factor on sclerostin, on osteoclast life, on births).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax

from microct.signalling import immune, lineages, marrow, osteocytes, rank_axis
from microct.signalling.parameters import CellParameters
from microct.signalling.state import CellState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Surroundings:
    """What the cells live in: estrogen deficit D = 1 - E [1] and the woman's age [yr]."""

    estrogen_deficit: jax.Array
    age_yr: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Signals:
    """What the cells tell one another at a moment; folds of health [1]."""

    il17: jax.Array
    tnf_alpha: jax.Array
    il6: jax.Array
    sclerostin: jax.Array
    pth: jax.Array
    rankl_osteocyte: jax.Array
    rankl_stromal: jax.Array
    rankl_b_cell: jax.Array
    rankl: jax.Array
    opg: jax.Array
    rank_occupancy: jax.Array
    fusion: jax.Array
    osteoclast_life: jax.Array
    osteogenic_share: jax.Array
    wnt: jax.Array
    osteoblast_life: jax.Array


def signals(cells: CellState, around: Surroundings, p: CellParameters) -> Signals:
    """Every signal that follows at once from cells and surroundings."""
    deficit, age = around.estrogen_deficit, around.age_yr
    il17 = immune.il17(cells)
    tnf = immune.tnf_alpha(cells, p)
    il6 = immune.il6(cells, il17, p)
    scl = osteocytes.sclerostin(deficit, age, p)
    pth = rank_axis.pth(age, p)
    from_osteocytes = osteocytes.osteocyte_rankl(cells, deficit, p)
    from_stroma = rank_axis.stromal_rankl(deficit, il17, tnf, il6, pth, p)
    from_b_cells = rank_axis.b_cell_rankl(cells, deficit, p)
    rankl = rank_axis.rankl(from_osteocytes, from_stroma, from_b_cells, p)
    opg = rank_axis.opg(cells, deficit, p)
    occupancy = rank_axis.rank_occupancy(rankl, opg, p)
    return Signals(
        il17=il17,
        tnf_alpha=tnf,
        il6=il6,
        sclerostin=scl,
        pth=pth,
        rankl_osteocyte=from_osteocytes,
        rankl_stromal=from_stroma,
        rankl_b_cell=from_b_cells,
        rankl=rankl,
        opg=opg,
        rank_occupancy=occupancy,
        fusion=rank_axis.fusion(occupancy, p),
        osteoclast_life=lineages.osteoclast_life(cells, deficit, occupancy, p),
        osteogenic_share=marrow.osteogenic_share(cells, p),
        wnt=lineages.wnt(scl, tnf, p),
        osteoblast_life=lineages.osteoblast_life(deficit, tnf, p),
    )


def rates(cells: CellState, around: Surroundings, p: CellParameters) -> CellState:
    """d(cells)/dt [1/day], one line for each population; exactly 0 in health."""
    deficit, age = around.estrogen_deficit, around.age_yr
    s = signals(cells, around, p)
    influx = lineages.precursor_influx(s.rankl, s.opg, s.tnf_alpha, s.il17, s.il6, p)
    return CellState(
        th17=immune.th17_rate(cells, deficit, p),
        treg=immune.treg_rate(cells, deficit, p),
        macrophages=immune.macrophage_rate(cells, deficit, s.tnf_alpha, p),
        neutrophils=immune.neutrophil_rate(cells, deficit, p),
        b_cells=immune.b_cell_rate(cells, s.rankl_osteocyte, p),
        osteocytes=osteocytes.osteocyte_rate(cells, deficit, p),
        marrow_fat=marrow.marrow_fat_rate(cells, deficit, age, p),
        precursors=lineages.precursor_rate(cells, influx, s.fusion, p),
        osteoclasts=lineages.osteoclast_rate(cells, s.fusion, s.osteoclast_life, p),
        osteoclast_memory=lineages.osteoclast_memory_rate(cells, deficit, p),
        coupling=lineages.coupling_rate(cells, p),
        preosteoblasts=lineages.preosteoblast_rate(cells, s.osteogenic_share, s.wnt, p),
        osteoblasts=lineages.osteoblast_rate(cells, s.osteoblast_life, p),
    )
