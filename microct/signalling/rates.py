"""The whole cell model in one place: signals of the moment, and d(cells)/dt."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax

from microct.signalling import immune, lineages, marrow, osteocytes, rank_axis
from microct.signalling.drugs.effects import Effects
from microct.signalling.parameters import CellParameters
from microct.signalling.state import CellState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Surroundings:
    """What the cells live in and cannot change.

    Attributes:
        estrogen_deficit: D = 1 - E of the ovaries alone [1].
        age_yr: the woman's age.
        drugs: what drugs do; nothing by default.
    """

    estrogen_deficit: jax.Array
    age_yr: jax.Array
    drugs: Effects = field(default_factory=Effects)

    @property
    def deficit(self) -> jax.Array:
        """Deficit that the cells feel [1]: what hormone replacement leaves."""
        return self.estrogen_deficit * (1 - self.drugs.estrogen_restored)

    @property
    def deficit_at_osteoclasts(self) -> jax.Array:
        """Deficit that RANKL, OPG and osteoclasts feel [1]: what raloxifene leaves of it."""
        return self.deficit * (1 - self.drugs.osteoclast_deficit_masked)


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
    births: jax.Array
    osteoclast_life: jax.Array
    osteogenic_share: jax.Array
    wnt: jax.Array
    anabolic: jax.Array
    osteoblast_life: jax.Array


def signals(cells: CellState, around: Surroundings, p: CellParameters) -> Signals:
    """Every signal that follows at once from cells and surroundings."""
    deficit, felt, age, drugs = around.deficit, around.deficit_at_osteoclasts, around.age_yr, around.drugs
    il17 = immune.il17(cells)
    tnf = immune.tnf_alpha(cells, p)
    il6 = immune.il6(cells, il17, p)
    scl = osteocytes.sclerostin(deficit, age, p)
    pth = rank_axis.pth(age, p)
    from_osteocytes = osteocytes.osteocyte_rankl(cells, felt, p)
    from_stroma = rank_axis.stromal_rankl(felt, il17, tnf, il6, pth, drugs.rankl_gain, p)
    from_b_cells = rank_axis.b_cell_rankl(cells, felt, p)
    rankl = rank_axis.rankl(from_osteocytes, from_stroma, from_b_cells, p)
    opg = rank_axis.opg(cells, felt, drugs.opg_gain, p)
    occupancy = rank_axis.rank_occupancy(rankl, opg, drugs.rank_block, p)
    fusion = rank_axis.fusion(occupancy, p)
    return Signals(
        il17=il17,
        tnf_alpha=tnf,
        il6=il6,
        sclerostin=scl * (1 - drugs.sclerostin_bound),
        pth=pth,
        rankl_osteocyte=from_osteocytes,
        rankl_stromal=from_stroma,
        rankl_b_cell=from_b_cells,
        rankl=rankl,
        opg=opg,
        rank_occupancy=occupancy,
        fusion=fusion,
        births=lineages.births(cells, fusion, drugs.births_block),
        osteoclast_life=lineages.osteoclast_life(cells, felt, occupancy, drugs.life_block, p),
        osteogenic_share=marrow.osteogenic_share(cells, p),
        wnt=lineages.wnt(scl, tnf, p),
        anabolic=lineages.anabolic(cells, drugs.sclerostin_bound, drugs.osteoblast_drive, p),
        osteoblast_life=lineages.osteoblast_life(deficit, tnf, drugs.osteoblast_care, p),
    )


def rates(cells: CellState, around: Surroundings, p: CellParameters, told: Signals | None = None) -> CellState:
    """d(cells)/dt [1/day], one line for each population; exactly 0 in health.

    Args:
        cells, around, p: the moment.
        told: `signals` of the moment, where they are known already.
    """
    deficit, age = around.deficit, around.age_yr
    s = signals(cells, around, p) if told is None else told
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
        osteoclasts=lineages.osteoclast_rate(cells, s.births, s.osteoclast_life, p),
        osteoclast_memory=lineages.osteoclast_memory_rate(cells, around.deficit_at_osteoclasts, p),
        coupling=lineages.coupling_rate(cells, p),
        preosteoblasts=lineages.preosteoblast_rate(cells, s.osteogenic_share, s.wnt, s.anabolic, p),
        osteoblasts=lineages.osteoblast_rate(cells, s.osteoblast_life, p),
        reserve=lineages.reserve_rate(cells, around.drugs.modeling_drive, p),
    )
