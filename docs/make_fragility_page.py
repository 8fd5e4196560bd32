"""Makes docs/fragility.md from real donors: ``python docs/make_fragility_page.py`` (about ten minutes on two cores).

How much faster than bone itself stiffness and strength are lost. CONTRIBUTING.md says where the scans can be had;
without them nothing is made.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
from natural_history_lives import BEFORE, DONORS, bone_of, quick_wanted, study_of

from microct.mechanics.equilibrium import Equilibrium
from microct.mechanics.strength import strength
from microct.simulation.build import build, first_state
from microct.simulation.run import Moment, run
from microct.status import NoLoadError
from microct.volume import Volume

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PAGE = Path(__file__).parent / "fragility.md"
PICTURE = Path(__file__).parent / "fragility.png"
YEARS = (-2.0, 0.0, 2.0, 7.0, 15.0)
AXES = "zyx"
MODULUS_MPA, POISSON, STRAIN, TOLERANCE = 10_000.0, 0.3, -0.01, 1e-5
#: Exponent of stiffness and strength over BV/TV among bones, as reviews give it (unverified).
LITERATURE = (1.6, 2.5)

HEAD = """# Fragility

Made by `python docs/make_fragility_page.py`; do not edit. The five donors of [natural history](natural-history.md) live
through the same menopause under the same load; at some years micro-FE (one 8-node cube for each voxel with a bone
fraction of half or more, E = 10 GPa, nu = 0.3, frictionless plates, residual 1e-5) asks each for its stiffness along
all three axes of the scan and for the failure load of Pistoia (2 % of the bone beyond 0.7 % effective strain) along z.

An exponent is the slope of the logarithm of stiffness over that of BV/TV along one bone's own path of loss, by least
squares over the years of the table. Among bones of different density it is 1.6 to 2.5 in the literature, and steeper
along a path of loss than along one of gain (as reviews give it, unverified). Nothing was fitted to it. Across the main
trabeculae, where few struts bear the load, one strut that breaks can cost more than half of the stiffness. Each donor
lives once, by one seed: exponents of single donors are chance as much as bone.
"""


@dataclass
class Loss:
    """One bone over the years: lists along `YEARS`; stiffness (years, axes)."""

    name: str
    bvtv: list[float] = field(default_factory=list)
    modulus: list[list[float]] = field(default_factory=list)
    failure: list[float] = field(default_factory=list)

    def exponent(self, axis: int) -> float:
        """Slope of log modulus over log BV/TV along an axis."""
        return _slope(self.bvtv, [row[axis] for row in self.modulus])

    def strength_exponent(self) -> float:
        """The same of the failure load."""
        return _slope(self.bvtv, self.failure)


def _slope(bvtv: list[float], value: list[float]) -> float:
    held = [(b, v) for b, v in zip(bvtv, value, strict=True) if v > 0]
    if len(held) < 2:
        return float("nan")
    logs = np.log(np.array(held))
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def asked(path: Loss, bone: Volume, solver: Equilibrium) -> None:
    """Add one year of a bone; zeros where nothing reaches from face to face any more. Bone that dwindles fits into the
    compiled shapes of its first year.
    """
    whole = bone.with_values(np.asarray(bone.values) >= 128, "half or more")
    path.bvtv.append(100.0 * float(np.asarray(whole.values).mean()))
    row = []
    for axis in AXES:
        try:
            found = strength(whole, MODULUS_MPA, POISSON, STRAIN, axis, "frictionless", TOLERANCE, solver=solver)
            row.append(found.apparent_modulus_mpa)
            failure = abs(found.failure_load_n)
        except NoLoadError:
            row.append(0.0)
            failure = 0.0
        if axis == "z":
            path.failure.append(failure)
    path.modulus.append(row)


def lived(name: str, bone: Volume, years: tuple[float, ...]) -> Loss:
    """Let the years pass, and ask at each of ``years`` after the final menstrual period."""
    path, began = Loss(name), time.perf_counter()
    solver = Equilibrium(POISSON, TOLERANCE, room=0.05)
    study = study_of(BEFORE + years[-1], every=1.0)
    model = build(bone, study)

    class Asker:
        def report(self, moment: Moment) -> None:
            if round(moment.time_yr - BEFORE, 1) in years:
                asked(path, moment.bone, solver)

        def save(self, moment: Moment) -> None: ...

    run(first_state(model, bone), model, study, bone, [Asker()])
    print(f"{name}: {time.perf_counter() - began:.0f} s, exponent along z {path.exponent(0):.2f}", flush=True)
    return path


def table(paths: list[Loss], years: tuple[float, ...]) -> list[str]:
    """What is left of each bone, and the exponents."""
    lines = ["## What is left", "", "Last year of the table over year -2, and values at year -2 and at the last.", ""]
    lines += ["| donor | BV/TV | E along z, y, x | failure load | BV/TV left | E left z, y, x | failure load left |"]
    lines += ["|---" * 7 + "|", "| | % | MPa | N | % | % | % |"]
    for path in paths:
        first, last = path.modulus[0], path.modulus[-1]
        left = ", ".join(f"{100.0 * b / a:.0f}" for a, b in zip(first, last, strict=True))
        lines.append(
            f"| {path.name} | {path.bvtv[0]:.1f} to {path.bvtv[-1]:.1f} | {', '.join(f'{v:.0f}' for v in first)} | "
            f"{path.failure[0]:.1f} to {path.failure[-1]:.1f} | {100.0 * path.bvtv[-1] / path.bvtv[0]:.0f} | {left} | "
            f"{100.0 * path.failure[-1] / path.failure[0]:.0f} |"
        )
    lines += ["", "## Exponents along the path of loss", "", "| donor | E, z | E, y | E, x | failure load, z |"]
    lines += ["|---" * 5 + "|"]
    rows = [[*(path.exponent(axis) for axis in range(3)), path.strength_exponent()] for path in paths]
    for path, row in zip(paths, rows, strict=True):
        lines.append(f"| {path.name} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
    mean = np.nanmean(np.array(rows), axis=0)
    lines.append("| mean | " + " | ".join(f"{value:.2f}" for value in mean) + " |")
    main = float(np.mean([row[int(np.argmax(path.modulus[0]))] for path, row in zip(paths, rows, strict=True)]))
    inside = LITERATURE[0] <= main <= LITERATURE[1]
    lines += [
        "",
        f"Mean exponent of stiffness along each donor's stiffest axis: {main:.2f}; literature {LITERATURE[0]} to "
        f"{LITERATURE[1]}: {'within' if inside else '**miss**'}. Stiffness falls faster than bone in "
        f"{int((np.array(rows)[:, :3] > 1).sum())} of {3 * len(paths)} paths.",
        "",
        f"![stiffness over bone volume]({PICTURE.name})",
        "",
        "The number beside a donor is its exponent along z.",
        "",
        "Bones live, and are compressed, on voxels of 25 and 26 um with a smooth surface through their scans' voxels: "
        "stiffness at one voxel size is not that at another (docs/mechanics.md).",
        "",
    ]
    return lines


def picture(paths: list[Loss], years: tuple[float, ...], place: Path) -> None:
    """Stiffness left over bone left, along z, beside the two powers of the literature."""
    figure, axes = plt.subplots(figsize=(6.4, 4.8), dpi=110)
    share = np.linspace(min(path.bvtv[-1] / path.bvtv[0] for path in paths) - 0.02, 1.0, 50)
    axes.fill_between(
        100 * share, 100 * share ** LITERATURE[1], 100 * share ** LITERATURE[0], color="0.88", lw=0,
        label=f"(BV/TV)^{LITERATURE[0]} to {LITERATURE[1]}",
    )  # fmt: skip
    axes.plot(100 * share, 100 * share, color="0.6", lw=1, ls="--", label="in proportion")
    for path in paths:
        left = 100 * np.array(path.bvtv) / path.bvtv[0], 100 * np.array(path.modulus)[:, 0] / path.modulus[0][0]
        axes.plot(*left, "o-", ms=4, lw=1.4, label=f"{path.name}: {path.exponent(0):.1f}")
    axes.set(
        xlabel="BV/TV left [% of the first year]",
        ylabel="apparent modulus along z left [% of the first year]",
        title=f"Stiffness falls faster than bone ({years[0]:+g} to {years[-1]:+g} yr of menopause)",
    )
    axes.invert_xaxis()
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(place)


def main() -> None:
    """Write the page and its picture."""
    quick = quick_wanted(__doc__)
    years = YEARS[:3] if quick else YEARS
    paths = [
        lived(name, bone_of(file, voxel_um, edge // (2 if quick else 1), work_um), years)
        for name, file, voxel_um, edge, work_um in DONORS[: 1 if quick else None]
    ]
    lines = table(paths, years)
    if quick:
        print("\n".join(lines))
        return
    picture(paths, years, PICTURE)
    PAGE.write_text("\n".join([HEAD, *lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
