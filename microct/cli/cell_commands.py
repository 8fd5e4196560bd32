"""The commands of the scale of cells: ``microct cells``, ``microct compare``, ``microct ensemble``."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from microct.status import StorageError, StudyError

if TYPE_CHECKING:
    from microct.simulation.cells import Compared
    from microct.simulation.config import Study
    from microct.table import Row, Table

Out = Annotated[Path | None, Parameter(name=("--out", "-o"))]


def register(app: App) -> None:
    """Add the commands of this file."""
    for command in (cells, compare, ensemble):
        app.command(command)


def cells(
    study: Path, /, *, out: Out = None, knock_outs: bool = False, sbml: bool = False, pictures: bool = True
) -> None:
    """Let the cells of a study live without bone, and draw every species.

    Parameters
    ----------
    study
        The study, a TOML file; it needs no scan.
    out
        Folder to write to; cells/NAME of the study file if left out.
    knock_outs
        Switch off each mechanism in turn, and say what share of the loss it owns (about half a minute).
    sbml
        Write the equations with her constants, initial values and doses as cells.xml (SBML).
    pictures
        Draw figures.
    """
    from microct.simulation import cells as scale

    asked, folder, name = _opened(study, out, "cells")
    followed = scale.follow(asked)
    rows = [
        (arm, line.key, line.group, line.label, line.unit or "fold", f"{time:.6g}", f"{value:.8g}")
        for arm, lines in followed.arms.items()
        for line in lines.values()
        for time, value in zip(followed.times_yr, line.values, strict=True)
    ]
    files = [_written(folder / "cells.csv", ("arm", "key", "group", "label", "unit", "time_yr", "value"), rows)]
    shares = scale.owned(asked) if knock_outs else ()
    if shares:
        heading = ("mechanism", "share of the loss of trabecular bone, %", "share of the rise of Ac.f, %")
        found = [(one.name, f"{one.loss:.2f}", f"{one.births:.2f}") for one in shares]
        files.append(_written(folder / "knock_outs.csv", heading, found))
    if sbml:
        files.append(_exported(asked, folder / "cells.xml"))
    if pictures:
        from microct.render.cell_figures import draw_cells, draw_owned

        files += draw_cells(followed, folder, name)
        if shares:
            files += draw_owned(shares, folder, f"{name}: what each mechanism owns by year {asked.time.years:g}")
    lines = followed.arms["as studied"]
    _print_columns(
        ("", "start", "end", "unit"),
        [(line.label, f"{line.values[0]:.3g}", f"{line.values[-1]:.3g}", line.unit) for line in lines.values()],
    )
    if shares:
        print()
        _print_columns(("owns", "% of the loss", "% of the rise of Ac.f"),
                       [(one.name, f"{one.loss:.1f}", f"{one.births:.1f}") for one in shares])  # fmt: skip
    print("\n".join(str(file) for file in files))


def compare(
    study: Path | None = None,
    /,
    *,
    out: Out = None,
    run: Path | None = None,
    kept: Path | None = None,
    pictures: bool = True,
) -> None:
    """Put health and osteoporosis side by side: hormone, cells, signals, markers, architecture.

    Parameters
    ----------
    study
        The study whose woman is compared, at its end; that of --run if left out, without either twenty years of a
        natural menopause.
    out
        Folder to write to; compare/NAME of the study file if left out.
    run
        Folder of a run with voxels: its architecture is added, at the start of the study and as studied.
    kept
        Folder of a run of the same scan in which estrogen was kept (menopause = "none"), to stand between the two.
    pictures
        Draw the figure.
    """
    from microct.simulation import cells as scale
    from microct.simulation.config import Study

    if kept is not None and run is None:
        raise StudyError("--kept: expected --run, too, whose bone it stands beside")
    if run is not None and study is None:
        asked = _study_of(run)
        folder, name = Path("compare") / run.name if out is None else out, run.name
    elif study is None:
        asked = Study().with_values(
            time={"years": 20.0}, patient={"age_at_start_years": 50.0, "menopause_after_start_years": 1.0}
        )
        folder, name = Path("compare") if out is None else out, "Twenty years of a natural menopause"
    else:
        asked, folder, name = _opened(study, out, "compare")
        if run is not None and not _of_one_life(asked, _study_of(run)):
            raise StudyError(f"--run {run}: its patient, drugs or years are not those of {study}; leave {study} out")
    found = scale.compare(asked)
    built = () if run is None else _architecture(run, kept)
    rows = [
        (
            one.group,
            one.label,
            *("" if math.isnan(value) else f"{value:.4g}" for value in one.values),
            one.unit or ("1" if one.of_scan else "fold"),
        )
        for one in (*found, *built)
    ]
    young = "healthy young; scan" if built else "healthy young"
    heading = ("group", "what", young, "same age, estrogen kept", "as studied", "unit")
    files = [_written(folder / "compare.csv", heading, rows)]
    if pictures:
        from microct.render.cell_figures import draw_compared

        files += draw_compared(found, folder, name, built)
    _print_columns(heading, rows)
    print("\n".join(str(file) for file in files))


def ensemble(
    study: Path,
    /,
    *,
    patients: int = 1000,
    seed: int = 1,
    sensitivity: bool = False,
    out: Out = None,
    pictures: bool = True,
) -> None:
    """Let many women live the same study, each with her own menopause and constants.

    Parameters
    ----------
    study
        The study, a TOML file; it needs no scan.
    patients
        How many women.
    seed
        Same seed, same women.
    sensitivity
        Say which constants the loss of bone depends on (Morris screening; needs the sensitivity extra, SALib).
    out
        Folder to write to; ensemble/NAME of the study file if left out.
    pictures
        Draw figures.
    """
    from microct.quantities import QUANTITIES
    from microct.simulation import cohort

    asked, folder, name = _opened(study, out, "ensemble")
    if not 1 <= patients <= 1_000_000:
        raise StudyError(f"--patients {patients}: expected 1 to 1000000 (usual: 100 to 10000)")
    women = cohort.ensemble(asked, patients, seed)
    units = {symbol: QUANTITIES[symbol].unit if symbol in QUANTITIES else "" for symbol in women.bands}
    units = {symbol: unit or "fold" for symbol, unit in units.items()}
    heading = ("symbol", "unit", "time_yr", *(f"p{level:g}" for level in cohort.LEVELS))
    spread = [
        (symbol, units[symbol], f"{time:.4g}", *(f"{value:.6g}" for value in values))
        for symbol, bands in women.bands.items()
        for time, values in zip(women.times_yr, bands.T, strict=True)
    ]
    files = [_written(folder / "ensemble.csv", heading, spread)]
    effects = cohort.sensitivity(asked, seed) if sensitivity else ()
    if effects:
        found = [(one.name, f"{one.mean:.6g}", f"{one.spread:.6g}") for one in effects]
        files.append(_written(folder / "sensitivity.csv", ("constant", "mean effect, %", "spread, %"), found))
    if pictures:
        from microct.render.cell_figures import draw_bands, draw_effects

        files += draw_bands(women, folder, f"{name}: {patients} women")
        if effects:
            files += draw_effects(effects, folder, f"{name}: what the loss at the spine depends on")
    last = [(symbol, *(f"{value:.3g}" for value in bands[:, -1])) for symbol, bands in women.bands.items()]
    _print_columns(("at the end", *heading[3:]), last)
    print("\n".join(str(file) for file in files))


def _opened(study: Path, out: Path | None, home: str) -> tuple[Study, Path, str]:
    from microct.simulation.config import Study

    return Study.from_toml(study), Path(home) / study.stem if out is None else out, study.stem


def _exported(study: Study, path: Path) -> Path:
    """The study's model as SBML."""
    from microct.signalling.sbml import to_sbml
    from microct.simulation.demand import patient_of, treatments_of

    years = int(study.time.years) + 1
    text = to_sbml(patient_of(study), years, treatments_of(study), knock_out=study.patient.knock_out)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise StorageError(f"{path}: {problem.strerror or problem}; give --out a folder that is writable") from None
    return path


def _study_of(run: Path) -> Study:
    from microct import workflow

    return workflow.open(run).study


def _of_one_life(one: Study, other: Study) -> bool:
    """Whether two studies ask for the same woman, drugs and years."""
    return (one.patient, one.drug, one.time.years) == (other.patient, other.drug, other.time.years)


def _architecture(run: Path, kept: Path | None) -> tuple[Compared, ...]:
    """Every structural index of a run: of its bone at the start, as studied at the end, and that of another run."""
    from microct import workflow
    from microct.simulation.cells import Compared

    studied = workflow.open(run)
    beside = None if kept is None else workflow.open(kept)
    if beside is not None and beside.study.scan != studied.study.scan:
        raise StudyError(f"--kept {kept}: expected a run of the same scan as {run}")
    found = []
    for symbol in studied.table.symbols:
        rows = _since_start(studied.table, symbol)
        if rows and rows[0].quantity.group in ("structure", "topology"):
            same_age = _at(beside.table, symbol, rows[-1].time_yr) if beside is not None else math.nan
            found.append(
                Compared("Architecture", symbol, rows[0].unit, rows[0].value, same_age, rows[-1].value, of_scan=True)
            )
    return tuple(found)


def _since_start(table: Table, symbol: str) -> list[Row]:
    return [row for row in table.series(symbol) if row.time_yr is not None and row.time_yr >= 0]


def _at(table: Table, symbol: str, time_yr: float | None) -> float:
    """The value nearest to a time, within a month of it; not a number where there is none."""
    rows = _since_start(table, symbol)
    near = min(rows, key=lambda row: abs(row.time_yr - time_yr), default=None)  # type: ignore[operator]
    return near.value if near is not None and abs(near.time_yr - time_yr) < 1 / 12 else math.nan  # type: ignore[operator]


def _written(path: Path, heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(heading)
            writer.writerows(rows)
    except OSError as problem:
        raise StorageError(f"{path}: {problem.strerror or problem}; give --out a folder that is writable") from None
    return path


def _print_columns(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[place]) for row in (heading, *rows)) for place in range(len(heading))]
    for row in (heading, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
