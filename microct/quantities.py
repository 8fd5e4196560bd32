"""Every measured quantity once: ASBMR name and symbol, unit, what it is, source.

Tables, HDF5 attributes, figure axes and reports all read this list, so that a unit is written in one place.
Names follow the ASBMR nomenclature (Parfitt et al. 1987; Dempster et al. 2013) and the micro-CT guidelines
(Bouxsein et al. 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

BOUXSEIN = "Bouxsein et al. 2010, doi:10.1002/jbmr.141"
DEMPSTER = "Dempster et al. 2013, doi:10.1002/jbmr.1805"
HILDEBRAND = "Hildebrand, Ruegsegger 1997, doi:10.1046/j.1365-2818.1997.1340694.x"
ODGAARD = "Odgaard, Gundersen 1993, doi:10.1016/8756-3282(93)90245-6"


@dataclass(frozen=True)
class Quantity:
    """One quantity: `name` (snake case, in code), `symbol` (in tables), `unit` ("" if none), meaning, source."""

    name: str
    symbol: str
    unit: str
    meaning: str
    source: str = BOUXSEIN
    group: str = "structure"

    @property
    def label(self) -> str:
        """Axis label: symbol and unit."""
        return f"{self.symbol} ({self.unit})" if self.unit else self.symbol


def _listed(*quantities: Quantity) -> dict[str, Quantity]:
    return {quantity.symbol: quantity for quantity in quantities}


QUANTITIES: dict[str, Quantity] = _listed(
    # structure
    Quantity("total_volume", "TV", "mm3", "volume of the region that was measured"),
    Quantity("bone_volume", "BV", "mm3", "volume of bone, partial voxels counted by their fraction"),
    Quantity("bone_volume_fraction", "BV/TV", "%", "bone volume in the total volume"),
    Quantity("porosity", "Po", "%", "100 - BV/TV: marrow and canals in the total volume"),
    Quantity("bone_surface", "BS", "mm2", "bone surface, Crofton in 13 directions, without cut faces"),
    Quantity("specific_bone_surface", "BS/BV", "1/mm", "bone surface for each volume of bone"),
    Quantity("bone_surface_density", "BS/TV", "1/mm", "bone surface for each total volume"),
    Quantity("trabecular_thickness", "Tb.Th", "mm", "mean local thickness of bone", HILDEBRAND),
    Quantity("trabecular_thickness_sd", "Tb.Th.SD", "mm", "spread of the local thickness", HILDEBRAND),
    Quantity("trabecular_separation", "Tb.Sp", "mm", "mean local thickness of marrow", HILDEBRAND),
    Quantity("trabecular_separation_sd", "Tb.Sp.SD", "mm", "spread of the local thickness of marrow", HILDEBRAND),
    Quantity("trabecular_number", "Tb.N", "1/mm", "1 / mean spacing of the mid-axes of bone", HILDEBRAND),
    Quantity(
        "euler_characteristic",
        "Euler",
        "",
        "bone 26-connected, marrow 6-connected, edge-corrected",
        ODGAARD,
        "topology",
    ),
    Quantity("connectivity_density", "Conn.D", "1/mm3", "(1 - Euler) for each total volume", ODGAARD, "topology"),
    Quantity("number_of_components", "N.Comp", "", "26-connected pieces of bone", "microct", "topology"),
    Quantity(
        "island_volume",
        "Is.V",
        "mm3",
        "bone that hangs on nothing: not in the largest piece, not at the border",
        "microct",
        "topology",
    ),
    # the mass ledger, since the start of the run
    Quantity("resorbed_volume", "Rs.V", "mm3", "bone resorbed since the start of the burn-in", "microct", "ledger"),
    Quantity("formed_volume", "Fm.V", "mm3", "bone formed since the start of the burn-in", "microct", "ledger"),
    Quantity(
        "lost_island_volume",
        "Is.V.lost",
        "mm3",
        "bone lost as islands since the start of the burn-in",
        "microct",
        "ledger",
    ),
    Quantity(
        "ledger_residual",
        "Ledger",
        "1/255 voxel",
        "change of BV - (formed - resorbed - islands); 0 always",
        "microct",
        "ledger",
    ),
    # dynamic
    Quantity(
        "activation_frequency", "Ac.f", "1/yr", "births of BMUs at a site of surface and year", DEMPSTER, "dynamic"
    ),
    Quantity("erosion_depth", "E.De", "um", "mean depth of a finished cavity", DEMPSTER, "dynamic"),
    Quantity("wall_thickness", "W.Th", "um", "mean thickness refilled by a BMU", DEMPSTER, "dynamic"),
    Quantity("bone_balance", "B.Ba", "um", "wall thickness - erosion depth", DEMPSTER, "dynamic"),
    Quantity("bmu_births", "N.Birth", "", "BMUs born since the start of the burn-in", "microct", "dynamic"),
    Quantity(
        "bmu_births_missed",
        "N.Birth.missed",
        "",
        "births that the Poisson process asked for and no free surface took; 0 unless BMUs hold most of the surface",
        "microct",
        "dynamic",
    ),
    Quantity(
        "voxels_dropped",
        "N.Vx.dropped",
        "",
        "voxels of cavities that were left alone because a list was too short; 0 always",
        "microct",
        "ledger",
    ),
    Quantity("bmu_live", "N.BMU", "", "BMUs at work", "microct", "dynamic"),
    Quantity("remodeling_space", "Rm.Sp", "%", "volume of open cavities, for each bone volume", DEMPSTER, "dynamic"),
    Quantity("eroded_surface", "ES/BS", "%", "share of surface in resorption or reversal", DEMPSTER, "dynamic"),
    Quantity("osteoid_surface", "OS/BS", "%", "share of surface in formation", DEMPSTER, "dynamic"),
    Quantity("turnover", "Rs.R", "%/yr", "bone resorbed in a year, for each bone volume", DEMPSTER, "dynamic"),
    Quantity(
        "mean_tissue_age",
        "T.Age",
        "yr",
        "mean age of bone formed since the start; older bone counts as old as the run",
        "microct",
        "dynamic",
    ),
    # signals, healthy young = 1 unless the unit says otherwise
    Quantity("estradiol", "E2", "", "estrogen, healthy premenopause = 1", "Sowers et al. 2008", "signals"),
    Quantity("rankl", "RANKL", "", "RANKL of all sources, healthy = 1", "microct cell model (fitted)", "signals"),
    Quantity("opg", "OPG", "", "osteoprotegerin, healthy = 1", "microct cell model (fitted)", "signals"),
    Quantity("sclerostin", "Scl", "", "sclerostin, healthy = 1", "Modder et al. 2011", "signals"),
    Quantity("il17", "IL-17", "", "interleukin 17, healthy = 1", "microct cell model (fitted)", "signals"),
    Quantity(
        "tnf_alpha", "TNF-a", "", "tumor necrosis factor alpha, healthy = 1", "microct cell model (fitted)", "signals"
    ),
    Quantity("il6", "IL-6", "", "interleukin 6, healthy = 1", "microct cell model (fitted)", "signals"),
    Quantity("osteoclasts", "Oc", "", "active osteoclasts, healthy = 1", "microct cell model (fitted)", "signals"),
    Quantity("osteoblasts", "Ob", "", "active osteoblasts, healthy = 1", "microct cell model (fitted)", "signals"),
    Quantity("viable_osteocytes", "Ot", "", "viable osteocytes, healthy = 1", "microct cell model (fitted)", "signals"),
    Quantity("marrow_fat", "M.Fat", "%", "fat in the marrow", "Griffith; Baum", "signals"),
)
