"""Every measured quantity once: ASBMR name and symbol, unit, what it is, source.

Tables, HDF5 attributes, figure axes and reports all read this list, so that a unit is written in one place.
Names follow the ASBMR nomenclature (Parfitt et al. 1987; Dempster et al. 2013) and the micro-CT guidelines
(Bouxsein et al. 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

DAYS_PER_YEAR = 365.25

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


def _entries(group: str, source: str, *entries: tuple[str, str, str, str]) -> tuple[Quantity, ...]:
    return tuple(Quantity(name, symbol, unit, meaning, source, group) for name, symbol, unit, meaning in entries)


# One line for each: name, symbol, unit, meaning.
# fmt: off
_MORPHOMETRY = (
    *_entries("architecture", HILDEBRAND,
        ("trabecular_thickness_max", "Tb.Th.Max", "mm", "largest local thickness of bone"),
        ("trabecular_separation_max", "Tb.Sp.Max", "mm", "largest local thickness of marrow"),
        ("trabecular_spacing_sd", "Tb.1/N.SD", "mm", "spread of the spacing of mid-axes"),
    ),
    *_entries("architecture", "Parfitt et al. 1987, doi:10.1002/jbmr.5650020617",
        ("plate_thickness", "Tb.Th.pl", "mm", "2 BV / BS: thickness if bone were plates"),
        ("plate_number", "Tb.N.pl", "1/mm", "BS / (2 TV): number if bone were plates"),
        ("plate_separation", "Tb.Sp.pl", "mm", "1 / Tb.N.pl - Tb.Th.pl: gap if bone were plates"),
    ),
    *_entries("architecture", "Hildebrand, Ruegsegger 1997, doi:10.1080/01495739708936692",
        ("structure_model_index", "SMI", "", "12 BV H / BS2, H the integral of mean curvature: plate 0, rod 3, ball 4"),
    ),
    *_entries("architecture", "Salmon et al. 2015, doi:10.3389/fendo.2015.00162",
        ("structure_model_index_convex", "SMI+", "", "SMI of convex surface alone"),
        ("structure_model_index_concave", "SMI-", "", "SMI of concave surface alone, negative"),
        ("concave_surface", "Cv.S/BS", "%", "share of surface that is concave"),
    ),
    *_entries("architecture", "Harrigan, Mann 1984, doi:10.1007/BF00541201",
        ("degree_of_anisotropy", "DA", "", "longest by shortest mean intercept length; 1 is isotropic"),
        ("degree_of_anisotropy_bonej", "DA.BJ", "", "1 - (shortest / longest mean intercept length)2; 0 is isotropic"),
        ("intercept_length_longest", "H1", "mm", "mean intercept length along the first principal axis"),
        ("intercept_length_middle", "H2", "mm", "mean intercept length along the second principal axis"),
        ("intercept_length_shortest", "H3", "mm", "mean intercept length along the third principal axis"),
    ),
    *_entries("architecture", "microct",
        ("normal_anisotropy", "DA.N", "", "root of the ratio of the eigenvalues of the tensor of surface normals"),
    ),
    *_entries("architecture", "Fazzalari, Parkinson 1996, doi:10.1002/jbmr.5650110512",
        ("fractal_dimension", "FD", "", "dimension of bone by counting boxes"),
        ("fractal_fit", "FD.R2", "", "R2 of the line behind FD"),
    ),
    *_entries("architecture", "Doube 2015, doi:10.3389/fendo.2015.00015",
        ("ellipsoid_factor", "EF", "", "mean of a/b - b/c of the largest ellipsoids: plates -1, rods 1"),
        ("ellipsoid_factor_sd", "EF.SD", "", "spread of the ellipsoid factor over bone"),
        ("ellipsoid_filling", "EF.Fill", "%", "share of bone within some ellipsoid"),
        ("plate_share", "Pl.BV/BV", "%", "share of the filled bone whose ellipsoid is a plate (EF < 0)"),
        ("rod_share", "Rd.BV/BV", "%", "share of the filled bone whose ellipsoid is a rod (EF > 0)"),
    ),
    *_entries("architecture", "microct",
        ("betti_0", "B0", "", "pieces of bone, 26-connected"),
        ("betti_1", "B1", "", "tunnels through bone"),
        ("betti_2", "B2", "", "hollows: marrow shut in by bone, 6-connected"),
    ),
    *_entries("architecture", "Reznikov et al. 2016, doi:10.1016/j.actbio.2016.08.040",
        ("number_of_branches", "N.Br", "", "branches of the skeleton"),
        ("number_of_junctions", "N.Jn", "", "junctions of the skeleton"),
        ("number_of_ends", "N.En", "", "free ends of the skeleton"),
        ("branch_length", "Br.Le", "mm", "mean length of a branch of the skeleton"),
        ("inter_trabecular_angle_3", "ITA3", "degree", "mean angle at junctions of three branches"),
        ("inter_trabecular_angle_4", "ITA4", "degree", "mean angle at junctions of four branches"),
    ),
    *_entries("cortex", BOUXSEIN,
        ("total_area", "Tt.Ar", "mm2", "mean cross-section within the periosteal contour"),
        ("cortical_area", "Ct.Ar", "mm2", "mean cross-section of the cortex, between periosteal and endosteal contour"),
        ("trabecular_area", "Tb.Ar", "mm2", "mean cross-section within the endosteal contour"),
        ("cortical_area_fraction", "Ct.Ar/Tt.Ar", "%", "share of the cross-section that is cortex"),
        ("cortical_thickness", "Ct.Th", "mm", "mean local thickness of the cortex, pores filled"),
        ("cortical_thickness_sd", "Ct.Th.SD", "mm", "spread of the local thickness of the cortex"),
        ("cortical_porosity", "Ct.Po", "%", "pores in the cortex, for the volume of the cortex"),
        ("pore_diameter", "Po.Dm", "mm", "mean local thickness of the pores of the cortex"),
        ("number_of_pores", "Po.N", "", "pores of the cortex, 26-connected"),
        ("periosteal_perimeter", "Ps.Pm", "mm", "mean length of the periosteal contour in a cross-section"),
        ("endosteal_perimeter", "Ec.Pm", "mm", "mean length of the endosteal contour in a cross-section"),
        ("largest_second_moment", "Imax", "mm4", "mean largest second moment of area of the cortical bone"),
        ("smallest_second_moment", "Imin", "mm4", "mean smallest second moment of area of the cortical bone"),
        ("polar_moment", "pMOI", "mm4", "mean polar moment of inertia of the cortical bone: Imax + Imin"),
        ("section_modulus", "Zmax", "mm3", "mean section modulus: Imax by the farthest bone from its axis"),
    ),
    *_entries("density", BOUXSEIN,
        ("total_mineral_density", "vBMD", "mgHA/cm3", "mean density within the periosteal contour, or the region"),
        ("cortical_mineral_density", "Ct.BMD", "mgHA/cm3", "mean density of the cortex, pores included"),
        ("trabecular_mineral_density", "Tb.BMD", "mgHA/cm3", "mean density within the endosteal contour"),
        ("tissue_mineral_density", "TMD", "mgHA/cm3", "mean density of voxels of bone"),
        ("bone_mineral_content", "BMC", "mgHA", "mineral within the region"),
    ),
    *_entries("pair", DEMPSTER,
        ("formed_volume_share", "FV/BV", "%", "bone that only the second scan has, for the bone of the first"),
        ("resorbed_volume_share", "RV/BV", "%", "bone that only the first scan has, for the bone of the first"),
        ("formed_surface_share", "FS/BS", "%", "share of the first surface that new bone covers"),
        ("resorbed_surface_share", "RS/BS", "%", "share of the first surface from which bone went"),
        ("formation_thickness", "F.Th", "um", "formed volume for its surface"),
        ("resorption_depth", "R.De", "um", "resorbed volume for its surface"),
        ("perforations", "N.Perf", "", "tunnels that the second scan has more than the first"),
    ),
    *_entries("loss", "after Liu, Guo 2008, Bone 43:292 (abstract); method of microct",
        ("perforated_volume", "Pl.Pf.V", "mm3", "bone lost where plates were perforated"),
        ("broken_rod_volume", "Rod.Bk.V", "mm3", "bone lost where rods were cut"),
        ("fallen_island_volume", "Is.LV", "mm3", "bone lost as pieces that hang on nothing"),
        ("thinned_volume", "Thin.V", "mm3", "bone lost without any change of connection"),
        ("perforated_share", "Pl.Pf.V/LV", "%", "share of lost bone that went by perforation of plates"),
        ("broken_rod_share", "Rod.Bk.V/LV", "%", "share of lost bone that went by breakage of rods"),
        ("fallen_island_share", "Is.LV/LV", "%", "share of lost bone that went as islands"),
        ("thinned_share", "Thin.V/LV", "%", "share of lost bone that went by thinning"),
        ("plate_perforations", "N.Pl.Pf", "", "tunnels made through plates"),
        ("rod_breakages", "N.Rod.Bk", "", "connections cut"),
        ("fallen_islands", "N.Is", "", "pieces that came to hang on nothing, or vanished as a whole"),
    ),
    *_entries("mineral", "Roschger et al. 2003, 2008 (BMDD)",
        ("mean_calcium", "CaMean", "wt %", "mean calcium of bone tissue"),
        ("peak_calcium", "CaPeak", "wt %", "most frequent calcium of bone tissue"),
        ("calcium_width", "CaWidth", "wt %", "full width at half maximum of the distribution of calcium"),
        ("low_calcium", "CaLow", "%", "bone below 17.68 wt % calcium"),
    ),
    *_entries("mineral", "Hernandez et al. 2001, doi:10.1016/S8756-3282(01)00467-7",
        ("tissue_modulus", "E.Ti", "MPa", "mean Young's modulus of bone tissue by its ash fraction"),
    ),
    *_entries("dynamic", DEMPSTER,
        ("activation_frequency_read", "Ac.f.Bx", "1/yr", "births times their patches of surface, for BS and year"),
        ("erosion_depth_read", "E.De.Bx", "um", "mean depth of cavities that are eroded and not yet refilled"),
        ("wall_thickness_read", "W.Th.Bx", "um", "mean thickness that sites in formation are on their way to"),
        ("mineralizing_surface", "MS/BS", "%", "surface that takes label, from a lag after formation began"),
        ("mineral_apposition_rate", "MAR", "um/d", "mean speed of the front of formation"),
        ("adjusted_apposition_rate", "Aj.AR", "um/d", "MAR MS / OS: averaged over osteoid surface"),
        ("bone_formation_rate_surface", "BFR/BS", "um/yr", "bone formed in a year for its surface (um3/um2/yr)"),
        ("bone_formation_rate_volume", "BFR/BV", "%/yr", "bone formed in a year for its volume"),
        ("formation_period", "FP", "d", "wall thickness / Aj.AR: mean time of formation at a site"),
        ("eroded_surface_section", "ES/BS.2D", "%", "eroded share of the outline of bone in plane sections"),
        ("osteoid_surface_section", "OS/BS.2D", "%", "forming share of the outline of bone in plane sections"),
    ),
    *_entries("dynamic", "microct",
        ("modeled_volume", "Md.V", "mm3", "of Fm.V, bone formed without resorption before it"),
        ("modeling_surface", "Md.S/BS", "%", "share of surface on which bone forms without resorption before it"),
        ("modeling_sites", "N.Md", "", "sites that formed so since the start of the burn-in"),
    ),
    *_entries("osteocytes", "Mullender et al. 1996; Jin et al. 2017; see docs/science-tissue.md",
        ("osteocyte_density", "N.Ot/BV", "1/mm3", "living osteocytes for each volume of bone"),
        ("empty_lacunae", "Lc.E", "%", "share of lacunae whose osteocyte has died"),
        ("targeted_share", "Tg.Rm", "%", "share of births that dying osteocytes and damage call to their places"),
        ("damage", "Dm", "", "mean microdamage; 1 in the bone of the scan under its usual load"),
        ("crack_density", "Cr.Dn", "1/mm2", "microcracks that such damage stands for: 0.0525 /mm2 in healthy bone"),
    ),
    *_entries("compartments", "microct; see docs/science-remodeling.md",
        ("porosity_of_first_cortex", "Ct.Po.now", "%", "what is no bone in the cortex of the first scan"),
        ("trabecular_bone_volume", "Tb.BV", "mm3", "bone of the trabecular compartment"),
        ("trabecular_surface", "Tb.BS", "mm2", "its surface, as births see it"),
        ("trabecular_births", "Tb.Ac.f", "1/yr", "births times footprint, for its surface and year"),
        ("endocortical_bone_volume", "Ec.BV", "mm3", "bone of the endocortical compartment"),
        ("endocortical_surface", "Ec.BS", "mm2", "its surface, as births see it"),
        ("endocortical_births", "Ec.Ac.f", "1/yr", "births times footprint, for its surface and year"),
        ("intracortical_bone_volume", "Ic.BV", "mm3", "bone of the intracortical compartment"),
        ("intracortical_surface", "Ic.BS", "mm2", "its surface, as births see it"),
        ("intracortical_births", "Ic.Ac.f", "1/yr", "births times footprint, for its surface and year"),
        ("periosteal_bone_volume", "Ps.BV", "mm3", "bone of the periosteal compartment"),
        ("periosteal_surface", "Ps.BS", "mm2", "its surface, as births see it"),
        ("periosteal_births", "Ps.Ac.f", "1/yr", "births times footprint, for its surface and year"),
    ),
    *_entries("imaging", "projection of the simulated bone; see docs/science-tissue.md",
        ("areal_mineral_density", "aBMD", "g/cm2", "bone mineral content for the projected area"),
        ("projected_area", "B.Ar.P", "cm2", "area of the projection that counts as bone"),
        ("projected_content", "BMC.P", "g", "bone mineral content within the projected area"),
    ),
)
# fmt: on


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
    Quantity(
        "osteoid_surface",
        "OS/BS",
        "%",
        "surface in formation, or formed within the lag of mineral",
        DEMPSTER,
        "dynamic",
    ),
    Quantity("turnover", "Rs.R", "%/yr", "bone resorbed in a year, for each bone volume", DEMPSTER, "dynamic"),
    Quantity(
        "mean_tissue_age",
        "T.Age",
        "yr",
        "mean age of bone formed since the start; older bone counts as old as the run",
        "microct",
        "dynamic",
    ),
    # mechanics
    Quantity(
        "apparent_modulus",
        "E.app",
        "MPa",
        "stress over strain of the whole block in compression; in a run between frictionless plates",
        "microct",
        "mechanics",
    ),
    Quantity(
        "stiffness",
        "K",
        "N/mm",
        "force over shortening in compression; in a run between frictionless plates",
        "microct",
        "mechanics",
    ),
    Quantity(
        "failure_load",
        "F.ult",
        "N",
        "force at failure in compression; in a run between frictionless plates",
        "Pistoia et al. 2002",
        "mechanics",
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
    *_MORPHOMETRY,
)
