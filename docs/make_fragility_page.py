"""Makes docs/fragility.md from real donors: ``python docs/make_fragility_page.py`` (some 40 minutes on two cores;
``--keep FOLDER`` keeps lives as they end).

How much faster than bone itself stiffness and strength are lost. CONTRIBUTING.md says where the scans can be had;
without them nothing is made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
from natural_history_lives import BEFORE, DONOR_SEEDS, DONORS, bone_of, kept, quick_wanted, study_of
from natural_history_words import range_of

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
#: Exponent of stiffness and strength over BV/TV among bones, as reviews give it (unverified; over apparent density
#: Morgan 2003 has 1.49 to 2.18).
LITERATURE = (1.6, 2.5)

HEAD = """# Fragility

Made by `python docs/make_fragility_page.py`; do not edit. The five donors of [natural history](natural-history.md) live
through the same menopause under the same load, three times each with other seeds; at some years micro-FE (one 8-node
cube for each voxel with a bone fraction of half or more, E = 10 GPa, nu = 0.3, frictionless plates, residual 1e-5) asks
each for its stiffness along all three axes of the scan and for the failure load of Pistoia (2 % of the bone beyond
0.7 % effective strain) along z.

An exponent is the slope of the logarithm of stiffness over that of BV/TV along one life's own path of loss, by least
squares over years -2, 0, +2, +7 and +15. Nothing was fitted to it. Among bones of different density reviews give 1.6 to
2.5 (unverified); Morgan, Bayraktar, Keaveny 2003 measured 1.49 to 2.18 by site, 1.56 for vertebrae, over apparent
density. Along a path of loss no measured exponent was found; struts that are lost cost more stiffness than as much bone
lost by thinning (Vajjhala, Kraynik, Gibson 2000; van der Linden et al. 2001, both models). Across the main trabeculae,
where few struts bear the load, one strut that breaks can cost more than half of the stiffness; years in which nothing
reaches from face to face have no logarithm, and are left out.
"""


@dataclass
class Loss:
    """One life over the years: lists along `YEARS`; stiffness (years, axes)."""

    donor: str
    seed: int
    bvtv: list[float] = field(default_factory=list)
    modulus: list[list[float]] = field(default_factory=list)
    failure: list[float] = field(default_factory=list)

    def exponent(self, axis: int) -> float:
        """Slope of log modulus over log BV/TV along an axis."""
        return _slope(self.bvtv, [row[axis] for row in self.modulus])

    def strength_exponent(self) -> float:
        """The same of the failure load."""
        return _slope(self.bvtv, self.failure)

    def main_exponent(self) -> float:
        """That of stiffness along the axis that was the stiffest at first."""
        return self.exponent(int(np.argmax(self.modulus[0])))

    def exponents(self) -> list[float]:
        """Those along z, y, x, and that of the failure load."""
        return [*(self.exponent(axis) for axis in range(3)), self.strength_exponent()]

    def left(self) -> list[float]:
        """What the last year has left of BV/TV, of the stiffness along z, y, x and of the failure load [%]."""
        first, last = ([b, *m, f] for b, m, f in (self._at(0), self._at(-1)))
        return [100.0 * b / a if a > 0 else float("nan") for a, b in zip(first, last, strict=True)]

    def _at(self, year: int) -> tuple[float, list[float], float]:
        return self.bvtv[year], self.modulus[year], self.failure[year]


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


def lived(donor: str, bone: Volume, seed: int, years: tuple[float, ...]) -> Loss:
    """Let the years pass, and ask at each of ``years`` after the final menstrual period."""
    path, began = Loss(donor, seed), time.perf_counter()
    solver = Equilibrium(POISSON, TOLERANCE, room=0.05)
    study = study_of(BEFORE + years[-1], every=1.0, remodeling={"seed": seed})
    model = build(bone, study)

    class Asker:
        def report(self, moment: Moment) -> None:
            if round(moment.time_yr - BEFORE, 1) in years:
                asked(path, moment.bone, solver)

        def save(self, moment: Moment) -> None: ...

    run(first_state(model, bone), model, study, bone, [Asker()])
    seconds = time.perf_counter() - began
    print(f"{donor}, seed {seed}: {seconds:.0f} s, exponent along z {path.exponent(0):.2f}", flush=True)
    return path


def by_donor(paths: list[Loss]) -> dict[str, list[Loss]]:
    """Lives of each donor."""
    return {donor: [path for path in paths if path.donor == donor] for donor in dict.fromkeys(p.donor for p in paths)}


def with_range(values: Sequence[float], form: str) -> str:
    """The mean of some numbers, and the least and the largest where there are several."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "-"
    spread = f" ({range_of(known, form)})" if len(known) > 1 else ""
    return f"{np.mean(known):{form}}{spread}"


def left_lines(paths: list[Loss]) -> Iterator[str]:
    """What is left of each bone."""
    yield "| donor | BV/TV | E along z, y, x | failure load | BV/TV left | E left, z | y | x | failure load left |"
    yield "|---" * 9 + "|"
    yield "| | % | MPa | N | % | % | % | % | % |"
    for donor, lives in by_donor(paths).items():
        first = f"{np.mean([path.bvtv[0] for path in lives]):.1f}"
        modulus = ", ".join(f"{value:.0f}" for value in np.mean([path.modulus[0] for path in lives], axis=0))
        failure = f"{np.mean([path.failure[0] for path in lives]):.1f}"
        left = (with_range(column, ".0f") for column in zip(*(path.left() for path in lives), strict=True))
        yield f"| {donor} | {first} | {modulus} | {failure} | " + " | ".join(left) + " |"


def exponent_lines(paths: list[Loss]) -> Iterator[str]:
    """Exponents of each donor."""
    yield "| donor | E, z | E, y | E, x | failure load, z |"
    yield "|---" * 5 + "|"
    for donor, lives in by_donor(paths).items():
        values = (with_range(column, ".2f") for column in zip(*(path.exponents() for path in lives), strict=True))
        yield f"| {donor} | " + " | ".join(values) + " |"
    mean = np.nanmean(np.array([path.exponents() for path in paths]), axis=0)
    yield "| mean | " + " | ".join(f"{value:.2f}" for value in mean) + " |"


def verdict(paths: list[Loss]) -> Iterator[str]:
    """The mean exponent beside that of the literature, and what chance does to it."""
    seeds = dict.fromkeys(path.seed for path in paths)
    main = [path.main_exponent() for path in paths]
    of_seeds = [float(np.mean([path.main_exponent() for path in paths if path.seed == seed])) for seed in seeds]
    low, high = LITERATURE
    found = float(np.mean(main))
    held = sum(path.exponent(axis) > 1 for path in paths for axis in range(3))
    yield (
        f"Mean exponent of stiffness along each donor's stiffest axis: **{found:.2f}**; reviews {low} to {high}: "
        f"{'within' if low <= found <= high else '**miss**'}. By seed, the mean of the donors is "
        f"{', '.join(f'{value:.2f}' for value in of_seeds)}; single lives have {range_of(main, '.2f')}, "
        f"{sum(low <= value <= high for value in main)} of {len(main)} within. Stiffness falls faster than bone in "
        f"{held} of {3 * len(paths)} paths."
    )


def table(paths: list[Loss], years: tuple[float, ...]) -> list[str]:
    """What is left of each bone, and the exponents."""
    seeds = len({path.seed for path in paths})
    return [
        "## What is left", "",
        f"Values at year {years[0]:+g}, and what is left of them at {years[-1]:+g}: mean of {seeds} lives, and the "
        "least and the most of them.",
        "", *left_lines(paths), "",
        "## Exponents along the path of loss", "",
        "Mean of the lives of a donor, and the least and the most of them.",
        "", *exponent_lines(paths), "", *verdict(paths), "",
        f"![stiffness over bone volume]({PICTURE.name})", "",
        "Points are means of a donor's lives at one year, bars the least and the most of them; the number beside a "
        "donor is its mean exponent along z.", "",
        "Bones live, and are compressed, on voxels of 25 and 26 um with a smooth surface through their scans' voxels: "
        "stiffness at one voxel size is not that at another ([mechanics](mechanics.md)).", "",
    ]  # fmt: skip


def picture(paths: list[Loss], years: tuple[float, ...], place: Path) -> None:
    """Stiffness left over bone left, along z, beside the two powers of the literature."""
    figure, axes = plt.subplots(figsize=(6.8, 5.0), dpi=110)
    share = np.linspace(min(min(path.bvtv) / path.bvtv[0] for path in paths) - 0.02, 1.0, 50)
    axes.fill_between(
        100 * share, 100 * share ** LITERATURE[1], 100 * share ** LITERATURE[0], color="0.88", lw=0,
        label=f"(BV/TV)^{LITERATURE[0]} to {LITERATURE[1]}",
    )  # fmt: skip
    axes.plot(100 * share, 100 * share, color="0.6", lw=1, ls="--", label="in proportion")
    for donor, lives in by_donor(paths).items():
        bone = np.array([100 * np.array(path.bvtv) / path.bvtv[0] for path in lives])
        stiff = np.array([100 * np.array(path.modulus)[:, 0] / path.modulus[0][0] for path in lives])
        across, along = (np.stack([v.mean(0) - v.min(0), v.max(0) - v.mean(0)]) for v in (bone, stiff))
        axes.errorbar(
            bone.mean(0), stiff.mean(0), along, across, fmt="o-", ms=4, lw=1.6, elinewidth=0.7,
            label=f"{donor}: {np.mean([path.exponent(0) for path in lives]):.1f}",
        )  # fmt: skip
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
    quick = quick_wanted(__doc__, keeps=True)
    years = YEARS[:3] if quick else YEARS
    paths = []
    for donor, file, voxel_um, edge, work_um in DONORS[: 1 if quick else None]:
        bone = bone_of(file, voxel_um, edge // (2 if quick else 1), work_um)
        for seed in DONOR_SEEDS[: 2 if quick else None]:
            paths.append(kept(f"{donor}, seed {seed}, stiffness", lambda: lived(donor, bone, seed, years)))  # noqa: B023
    lines = table(paths, years)
    if quick:
        print("\n".join(lines))
        return
    picture(paths, years, PICTURE)
    PAGE.write_text("\n".join([HEAD, *lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
