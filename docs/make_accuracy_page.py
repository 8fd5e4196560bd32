"""Make docs/accuracy.md: our error against truth, and that of every peer that is installed, in the same run.

Run from the repository's root: ``python docs/make_accuracy_page.py`` (some minutes). Truth is a closed form, a shape
whose measure is known, or the same structure on a finer grid. Peers that are missing are left out of the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module, metadata
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from reference.fields import (  # noqa: E402
    curvature_density,
    directed_field,
    euler_density,
    gaussian_field,
    level,
    surface_density,
)

import microct  # noqa: E402
from microct import Volume, measure  # noqa: E402
from microct.kernels import intercepts, minkowski, stencil, surface, thickness  # noqa: E402

UNIT = (1.0, 1.0, 1.0)
PAGE = ROOT / "docs" / "accuracy.md"
DATA = ROOT.parent / "shared" / "data"


def wrapped(bone: np.ndarray) -> np.ndarray:
    """A periodic volume with its first planes once more behind its last."""
    return np.pad(bone, ((0, 1),) * 3, mode="wrap")


def percent(value: float) -> str:
    """A relative error as text."""
    return f"{100 * value:+.1f} %"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


#: Peers, and the module that must load for them to count.
PEERS = {
    "porespy": "porespy",
    "localthickness": "localthickness",
    "scikit-image": "skimage.measure",
    "quantimpy": "quantimpy.minkowski",
}


@lru_cache
def installed(name: str) -> str:
    """Version of a peer, "" where it is missing or does not load beside the other packages."""
    try:
        import_module(PEERS[name])
        return metadata.version(name)
    except (ImportError, ValueError):  # ValueError: built for another NumPy
        return ""


def thickness_ways() -> dict[str, Callable[[np.ndarray], float]]:
    """Mean thickness in voxels, by us and by peers."""
    ways: dict[str, Callable[[np.ndarray], float]] = {}
    for name in ("exact", "bonej", "ipl"):
        ways[f"microct {name}"] = lambda bone, name=name: (
            measure(Volume(bone, (1.0,) * 3), convention=name)["Tb.Th"].value
        )  # type: ignore[misc]
    if installed("porespy"):

        def by_porespy(bone: np.ndarray) -> float:
            import porespy

            return float(2 * porespy.filters.local_thickness(bone)[bone].mean())

        ways["porespy"] = by_porespy
    if installed("localthickness"):

        def by_localthickness(bone: np.ndarray) -> float:
            import localthickness

            return float(2 * localthickness.local_thickness(bone)[bone].mean())

        ways["localthickness"] = by_localthickness
    return ways


def thickness_section() -> str:
    """One structure at many voxel sizes, against itself on the fine grid."""
    fine = gaussian_field(168, 9.0, 1) > level(0.2)
    truth = float(np.mean(2 * np.sqrt(thickness.local_squared_radius(fine)[fine])))
    steps = (8, 6, 5, 4, 3, 2)
    rows = []
    for name, way in thickness_ways().items():
        errors = []
        for step in steps:
            found = [way(np.ascontiguousarray(fine[k::step, k::step, k::step])) for k in (0, step // 2)]
            errors.append(percent(step * float(np.mean(found)) / truth - 1))
        rows.append([name, *errors])
    head = ["Tb.Th in voxels", *(f"{truth / step:.1f}" for step in steps)]
    return (
        "## Tb.Th\n\nOne Gaussian field (BV/TV 0.2, 168^3) on ever coarser grids, against its own exact value at "
        f"{truth:.1f} voxels.\nReported by others on such structures, not in this run: BoneJ +11, +6.5, +3.6, +0.8 % "
        "at 3.65, 4.9, 7.6, 10 voxels; ORMIR_XCT -38 to -18 %.\n\n" + table(head, rows)
    )


def surface_ways() -> dict[str, Callable[[np.ndarray], float]]:
    """Surface area in voxel faces."""
    ways: dict[str, Callable[[np.ndarray], float]] = {
        "microct": lambda bone: minkowski.measure_block(bone, UNIT).surface,
        "microct, plain Crofton": lambda bone: surface.crofton_surface(stencil.configuration_histogram(bone), UNIT),
    }
    if installed("scikit-image"):

        def by_mesh(bone: np.ndarray) -> float:
            from skimage.measure import marching_cubes, mesh_surface_area

            corners, faces, _, _ = marching_cubes(bone.astype(np.float32), 0.5)
            return float(mesh_surface_area(corners, faces))

        ways["scikit-image mesh"] = by_mesh
    if installed("quantimpy"):

        def by_quantimpy(bone: np.ndarray) -> float:
            from quantimpy import minkowski as quantimpy_minkowski

            return float(8 * quantimpy_minkowski.functionals(np.ascontiguousarray(bone))[1])

        ways["quantimpy"] = by_quantimpy
    return ways


def surface_section() -> str:
    """Balls, planes and Gaussian fields."""
    balls = {}
    for radius in (3, 5, 10):
        rng = np.random.default_rng(radius)
        shapes = []
        for _ in range(12):
            grid = np.indices((2 * radius + 6,) * 3, float)
            center = radius + 2.5 + rng.random(3)
            shapes.append(sum((a - c) ** 2 for a, c in zip(grid, center, strict=True)) <= radius**2)
        balls[f"ball r {radius}"] = (shapes, 4 * np.pi * radius**2)
    fields = {}
    for sigma, words, count in ((1.3, "3.1", 2), (1.5, "3.6", 3), (2.0, "4.9", 6), (3.0, "7.3", 16)):
        bones = [wrapped(gaussian_field(96, sigma, seed) > level(0.2)) for seed in range(count)]
        fields[f"field, Tb.Th {words}"] = (bones, 96**3 * surface_density(sigma, level(0.2)))
    plate = np.zeros((24, 40, 40), bool)
    plate[8:16] = True
    grid = np.indices((24, 40, 40), float)
    tilted = np.abs(grid[0] - 12 + 0.5 * (grid[1] - 19.5)) / np.sqrt(1.25) < 3.0
    cases = {
        **balls,
        **fields,
        "plane of the lattice": ([plate], 2 * 39 * 39),
        "plane at 26.6 degree": ([tilted[:, 12:28]], 2 * 39 * 15 * np.sqrt(1.25)),
    }
    rows = []
    for name, way in surface_ways().items():
        errors = [percent(float(np.mean([way(bone) for bone in bones])) / truth - 1) for bones, truth in cases.values()]
        rows.append([name, *errors])
    return (
        "## BS\n\nAgainst 4 pi r^2, the closed form of Gaussian fields (BV/TV 0.2; the fields' own chance is about 1 % "
        "of the\nsurface), and planes. Crofton in 13 directions reads a plane of the lattice 7.3 % low and is right on "
        "average over tilts; no\nset of weights on 2x2x2 voxels is right for every plane.\n\n"
        + table(["", *cases], rows)
    )


def direction_section() -> str:
    """Stretched fields, along the lattice and turned."""
    rows = []
    for stretch in ((3, 3, 6), (2, 4, 6)):
        for turn in (None, 1, 2):
            axes = np.eye(3) if turn is None else np.linalg.qr(np.random.default_rng(turn).normal(size=(3, 3)))[0]
            covariance = axes.T @ np.diag(np.square(stretch).astype(float)) @ axes
            bones = [wrapped(directed_field(128, covariance, seed) > level(0.3)) for seed in range(3)]
            found = intercepts.fabric(sum(stencil.configuration_histogram(bone) for bone in bones), UNIT)
            assert found is not None
            truth = stretch[2] / stretch[0]
            off = np.degrees(np.arccos(min(1.0, float(abs(found.axes[0] @ axes[2])))))
            where = "along the lattice" if turn is None else f"turned ({turn})"
            rows.append(
                [f"{stretch}, {where}", f"{truth:g}", percent(found.anisotropy / truth - 1), f"{off:.1f} degree"]
            )
    return (
        "## DA\n\nGaussian fields (3 x 128^3, BV/TV 0.3) stretched so that DA is known. Reported by others on such "
        "fields, not in this run: BoneJ2\n-16 % at DA 2, -23 % at DA 3, and another answer at every run.\n\n"
        + table(["standard deviations (voxels)", "DA", "error", "first axis off by"], rows)
    )


def curvature_section() -> str:
    """SMI, mean curvature and Euler number of Gaussian fields."""
    known = {0.1: 3.4412, 0.2: 2.8333, 0.3: 2.1322}
    rows = []
    for fraction, index in known.items():
        nu = level(fraction)
        found = [minkowski.measure_block(wrapped(gaussian_field(96, 2.5, seed) > nu), UNIT) for seed in range(6)]
        volume, area, bending, euler = np.mean([f[1:5] for f in found], axis=0)
        rows.append(
            [
                f"{fraction:g}",
                percent(area / 96**3 / surface_density(2.5, nu) - 1),
                percent(bending / 96**3 / curvature_density(2.5, nu) - 1),
                f"{12 * volume * bending / area**2:.3f} ({index})",
                f"{euler / 96**3 * 1e4:.3f} ({euler_density(2.5, nu) * 1e4:.3f})",
            ]
        )
    head = ["BV/TV", "BS/TV", "mean curvature", "SMI (truth)", "Euler for 10^4 voxels (truth)"]
    return (
        "## Curvature, SMI, Euler\n\nMean of six Gaussian fields of 96^3, standard deviation 2.5 voxels.\n\n"
        + table(head, rows)
    )


def known_shapes_section() -> str:
    """Published test values."""
    layer = (np.arange(120) - 4) % 12 < 4
    plates = measure(Volume(np.ascontiguousarray(np.broadcast_to(layer[:, None, None], (120, 40, 40))), (1.0,) * 3))
    bars = np.arange(100) % 20 < 4
    a, b, c = bars[:, None, None], bars[None, :, None], bars[None, None, :]
    lattice = minkowski.measure_block(wrapped((a & b) | (b & c) | (a & c)), UNIT)
    rows = [
        ["plates 4 thick at 12: Tb.Th, Tb.Sp", "4, 8", f"{plates['Tb.Th'].value:g}, {plates['Tb.Sp'].value:g}"],
        ["the same: Tb.N", "0.08333", f"{plates['Tb.N'].value:.5f}"],
        ["the same: Conn.D x TV", "1", f"{plates['Conn.D'].value * plates['TV'].value:g}"],
        ["rod lattice 20/4, 100^3, periodic: Euler", "-250", f"{lattice.euler:g}"],
    ]
    for diameter in (10, 20, 50):
        size = diameter + 5
        ball = ((np.indices((size,) * 3) - size // 2) ** 2).sum(axis=0) < (diameter / 2) ** 2
        found = measure(Volume(ball, (1.0,) * 3), convention="ipl")["Tb.Th"].value
        rows.append([f'ball of {diameter}, convention "ipl"', f"{diameter - 1}", f"{found:.2f}"])
    return "## Shapes of known measure\n\n" + table(["shape and index", "truth or published", "microct"], rows)


def scanner_section() -> str:
    """The vendor's densities and contour, where the scan is here."""
    names = ("ormir_GRAY_JOINT.nii.gz", "ormir_AUTOCONTOUR_IPL.nii.gz", "ref_ormir_gray_joint.json")
    if not all((DATA / name).exists() for name in names):
        return ""
    from microct.kernels import components
    from microct.morphometry.contour import contours
    from microct.morphometry.density import Calibration, measure_density

    reference = json.loads((DATA / names[2]).read_text())
    given = reference["calibration"]
    calibration = Calibration.hounsfield(given["mu_water"], given["rescale_slope"], given["rescale_intercept"])
    grey, vendor = microct.read(DATA / names[0]), microct.read(DATA / names[1]).values > 0
    inside = grey.values[: vendor.shape[0], 1 : 1 + vendor.shape[1], 1 : 1 + vendor.shape[2]]
    cut = grey.with_values(np.ascontiguousarray(inside), "the contour's box")
    labels, _ = components.label(vendor)
    rows = []
    for number, name in ((1, "MCP2_DST"), (2, "MCP2_PRX")):
        found = measure_density(cut, calibration, labels == number)["vBMD"].value
        truth = reference["vBMD_IPL"][name][0]
        rows.append([f"vBMD of {name} (mgHA/cm3)", f"{truth:.2f}", f"{found:.2f} ({100 * (found / truth - 1):+.3f} %)"])
    mine = contours(cut, 900.0).periosteal > 0
    dice = 2 * (mine & vendor).sum() / (mine.sum() + vendor.sum())
    rows.append(["Dice of the automatic contour with Scanco's", "ORMIR_XCT 0.936", f"{dice:.3f}"])
    if (DATA / "ormir_TRAB_SEG_IPL.nii.gz").exists():
        dice = _segmentation_dice(grey, microct.read(DATA / "ormir_TRAB_SEG_IPL.nii.gz"))
        rows.append(
            ["Dice of bone (sigma 0.5, >= 1170 HU, largest pieces) with Scanco's", "ORMIR_XCT 0.917", f"{dice:.3f}"]
        )
    return "## A vendor's numbers (finger joint, HR-pQCT)\n\n" + table(["", "Scanco IPL or peer", "microct"], rows)


def _segmentation_dice(grey: Volume, vendor: Volume) -> float:
    """Overlap of the largest piece in each of our contours with the vendor's mask, laid by its origin."""
    from microct.kernels import components
    from microct.morphometry.contour import contours

    bone = microct.segment(grey, threshold=1170, sigma=0.5, keep_largest=False).values > 0
    found = contours(grey, 900.0)
    mine = np.zeros(bone.shape, bool)
    for number in (1, 2):
        mine |= components.largest(bone & (found.bone(number).periosteal > 0))
    steps = zip(vendor.origin_mm, grey.origin_mm, grey.spacing_mm, vendor.shape, strict=True)
    box = tuple(slice(k, k + n) for k, n in ((round((b - a) / step), n) for b, a, step, n in steps))
    theirs = vendor.values > 0
    return float(2 * (mine[box] & theirs).sum() / (mine.sum() + theirs.sum()))


def main() -> None:
    """Write the page."""
    peers = ", ".join(
        f"{name} {version}" if (version := installed(name)) else f"{name} (does not load here)" for name in PEERS
    )
    parts = [
        "# Accuracy: our error and that of others",
        "Made by `python docs/make_accuracy_page.py`; nothing here is typed by hand. microct "
        f"{microct.__version__}; peers in the same run: {peers or 'none'}.\nTimes and memory: "
        "`python benchmarks/bench_morphometry.py`. Definitions: [morphometry.md](morphometry.md).\nquantimpy's wheels "
        "are built for NumPy 1; beside NumPy 2 it loads when built from source: `pip install cython setuptools`, "
        "then\n`pip install --no-build-isolation --no-binary quantimpy quantimpy`.",
        thickness_section(),
        surface_section(),
        direction_section(),
        curvature_section(),
        known_shapes_section(),
        scanner_section(),
    ]
    PAGE.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
