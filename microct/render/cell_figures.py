"""Cells over time, what each mechanism owns, health beside disease: figures of the scale without voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microct.render.figures import COLORS, INK, QUIET, STYLE, saved

if TYPE_CHECKING:
    from microct.simulation.cells import CellStudy, Compared, Owned, Series
    from microct.simulation.cohort import Bands, Effect

#: Lines of one panel: Okabe and Ito, told apart by color-blind readers.
LINES = (*COLORS, "#56B4E9", "#E69F00")
TREATED = ("#E8F1F8", "#F8EEE3", "#E9F4EC", "#F3EAF3")


def draw_cells(cells: CellStudy, folder: str | Path, title: str = "") -> list[Path]:
    """Every species over time, one panel a group; thin lines: without drugs. cells.png, cells.svg."""
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        return saved(_cells(cells, title), Path(folder) / "cells")


def draw_owned(shares: Sequence[Owned], folder: str | Path, title: str = "") -> list[Path]:
    """What each mechanism owns of the loss of bone and of the rise of births. knock_outs.png, .svg."""
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        return saved(_owned(shares, title), Path(folder) / "knock_outs")


def draw_compared(
    pairs: Sequence[Compared], folder: str | Path, title: str = "", architecture: Sequence[Compared] = ()
) -> list[Path]:
    """Health beside disease as folds of the healthy young, on a logarithmic axis. compare.png, .svg."""
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        return saved(_compared([*pairs, *architecture], title), Path(folder) / "compare")


def draw_bands(women: Bands, folder: str | Path, title: str = "") -> list[Path]:
    """Median, half and nine tenths of the women over time. ensemble.png, .svg."""
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        return saved(_bands(women, title), Path(folder) / "ensemble")


def draw_effects(effects: Sequence[Effect], folder: str | Path, title: str = "") -> list[Path]:
    """What an outcome depends on, largest first. sensitivity.png, .svg."""
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        return saved(_effects(effects, title), Path(folder) / "sensitivity")


def _bands(women: Bands, title: str) -> Any:
    from matplotlib.figure import Figure

    rows = math.ceil(len(women.bands) / 3)
    tall = 0.8 + 1.95 * rows
    figure = Figure(figsize=(9.0, tall))
    grid = figure.add_gridspec(rows, 3, left=0.055, right=0.985, top=1 - 0.7 / tall, bottom=0.45 / tall, hspace=0.4,
                               wspace=0.25)  # fmt: skip
    for place, (symbol, levels) in enumerate(women.bands.items()):
        axes = figure.add_subplot(grid[divmod(place, 3)])
        axes.fill_between(women.times_yr, levels[0], levels[-1], color=LINES[1], alpha=0.18, linewidth=0)
        axes.fill_between(women.times_yr, levels[1], levels[-2], color=LINES[1], alpha=0.3, linewidth=0)
        axes.plot(women.times_yr, levels[len(levels) // 2], color=LINES[1])
        unit = {"Ac.f": " (1/yr)", "E.De": " (µm)", "W.Th": " (µm)"}.get(symbol, "")
        axes.set_title(symbol + unit)
        if place >= len(women.bands) - 3:
            axes.set_xlabel("Time since the start of the study (yr)")
    figure.text(0.055, 1 - 0.2 / tall, title, size=11, weight="bold", va="center")
    note = "median, half and nine tenths of the women; folds of the healthy young unless a unit is given"
    figure.text(0.055, 1 - 0.4 / tall, note, size=7.5, color=QUIET, va="center")
    return figure


def _effects(effects: Sequence[Effect], title: str) -> Any:
    from matplotlib.figure import Figure

    tall = 0.9 + 0.22 * len(effects)
    figure = Figure(figsize=(6.4, tall))
    axes = figure.add_axes((0.34, 0.42 / tall, 0.62, 1 - 0.9 / tall))
    places = list(range(len(effects)))[::-1]
    axes.barh(places, [one.mean for one in effects], 0.6, color=LINES[1])
    axes.errorbar([one.mean for one in effects], places, xerr=[one.spread for one in effects], fmt="none", color=INK,
                  linewidth=0.8)  # fmt: skip
    axes.set_yticks(places, [one.name.replace("_", " ") for one in effects])
    axes.grid(axis="y", visible=False)
    axes.set_xlim(left=0)
    axes.set_xlabel("Mean effect over its range (points of % of spine density lost; line: spread)")
    figure.text(0.03, 1 - 0.22 / tall, title, size=10, weight="bold", va="center")
    return figure


def _panels(arm: Mapping[str, Series]) -> list[tuple[str, list[Series]]]:
    """Lines by group and unit, in order: lines of different units stand in panels of their own."""
    found: dict[tuple[str, str], list[Series]] = {}
    for line in arm.values():
        if line.key.endswith((".depot", ".peripheral", ".buried")):
            continue  # where it waits; the panel shows where it acts
        if not any(line.values):
            continue  # what no drug of the study calls for
        found.setdefault((line.group, "" if line.group == "Drugs in the body" else line.unit), []).append(line)
    return [
        (f"{group} ({unit.replace('um', 'µm')})" if unit else group, lines) for (group, unit), lines in found.items()
    ]


def _cells(cells: CellStudy, title: str) -> Any:
    from matplotlib.figure import Figure

    arm = cells.arms["as studied"]
    other = cells.arms.get("without drugs", {})
    panels = _panels(arm)
    columns = 3
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(12.4, 0.9 + 2.15 * rows))
    grid = figure.add_gridspec(
        rows, columns, left=0.04, right=0.9, top=1 - 0.82 / (0.9 + 2.15 * rows), bottom=0.5 / (0.9 + 2.15 * rows),
        hspace=0.42, wspace=0.68,
    )  # fmt: skip
    for place, (name, lines) in enumerate(panels):
        axes = figure.add_subplot(grid[divmod(place, columns)])
        relative = name == "Drugs in the body"
        for color, line in zip(LINES * 3, lines, strict=False):
            scale = max(float(max(line.values)), 1e-300) if relative else 1.0
            axes.plot(cells.times_yr, line.values / scale, color=color, label=line.label, zorder=3)
            if line.key in other:
                axes.plot(cells.times_yr, other[line.key].values, color=color, linewidth=0.8, dashes=(2, 2), zorder=2)
        _mark(axes, cells)
        axes.set_title(name + (", share of the peak" if relative else ""))
        axes.set_xlim(cells.times_yr[0], max(cells.times_yr[-1], 1e-6))
        low, high = axes.get_ylim()
        if high - low < 0.04 * abs(high):  # a line that does not move is not noise
            middle = 0.5 * (low + high)
            axes.set_ylim(middle - 0.05 * abs(middle) - 1e-6, middle + 0.05 * abs(middle) + 1e-6)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.04), fontsize=6.5, handlelength=1.2, labelspacing=0.35)
        if place >= len(panels) - columns:
            axes.set_xlabel("Time since the start of the study (yr)")
    heading = title or "Cells and signals"
    note = "folds of the healthy young unless a unit is given"
    if other:
        note += "; dotted: without drugs; shaded: " + ", ".join(dict.fromkeys(name for name, *_ in cells.drugs))
    figure.text(0.05, 1 - 0.2 / (0.9 + 2.15 * rows), heading, size=11, weight="bold", va="center")
    figure.text(0.05, 1 - 0.42 / (0.9 + 2.15 * rows), note, size=7.5, color=QUIET, va="center")
    return figure


def _mark(axes: Any, cells: CellStudy) -> None:
    """Menopause as a line, treatments as shades."""
    names = list(dict.fromkeys(name for name, *_ in cells.drugs))
    for name, first, last in cells.drugs:
        axes.axvspan(max(first, 0.0), last, color=TREATED[names.index(name) % len(TREATED)], zorder=0, linewidth=0)
    if cells.menopause_yr is not None and 0 <= cells.menopause_yr <= cells.times_yr[-1]:
        axes.axvline(cells.menopause_yr, color=QUIET, linewidth=0.8, dashes=(1, 2), zorder=1)


def _owned(shares: Sequence[Owned], title: str) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.9 + 0.27 * len(shares)))
    tall = 0.9 + 0.27 * len(shares)
    axes = figure.add_axes((0.25, 0.42 / tall, 0.7, 1 - 0.92 / tall))
    places = list(range(len(shares)))[::-1]
    axes.barh(
        [place + 0.19 for place in places], [one.loss for one in shares], 0.36, color=LINES[0], label="loss of bone"
    )
    axes.barh(
        [place - 0.19 for place in places], [one.births for one in shares], 0.36, color=LINES[1],
        label="rise of activation frequency",
    )  # fmt: skip
    for place, one in zip(places, shares, strict=True):
        axes.text(max(one.loss, 0) + 1, place + 0.19, f"{one.loss:.0f}", size=6, color=INK, va="center")
    axes.set_yticks(places, [one.name.replace("_", " ") for one in shares])
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Gone without it (%)")
    axes.legend(loc="lower right")
    figure.text(0.03, 1 - 0.24 / tall, title or "What each mechanism owns", size=10.5, weight="bold", va="center")
    return figure


def _compared(pairs: Sequence[Compared], title: str) -> Any:
    from matplotlib.figure import Figure

    shown = [pair for pair in pairs if pair.young > 0 and pair.osteoporotic > 0]
    any_scan = any(pair.of_scan for pair in shown)
    groups = list(dict.fromkeys(pair.group for pair in shown))
    tall = 1.1 + 0.185 * len(shown) + 0.12 * len(groups)
    figure = Figure(figsize=(7.4, tall))
    axes = figure.add_axes((0.34, 0.45 / tall, 0.46, 1 - 1.05 / tall))
    place, ticks, labels = 0.0, [], []
    for group in groups:
        top = place
        for pair in (one for one in shown if one.group == group):
            between = 1.0 if math.isnan(pair.same_age) else pair.same_age / pair.young
            axes.plot([between, pair.osteoporotic / pair.young], [place, place], color="#C9C9CF",
                      linewidth=1.6, zorder=2)  # fmt: skip
            axes.plot(pair.same_age / pair.young, place, "o", color=LINES[1], markersize=4, zorder=3)
            axes.plot(pair.osteoporotic / pair.young, place, "o", color=LINES[0], markersize=4, zorder=4)
            unit = pair.unit.replace("um", "µm")
            kept = "–" if math.isnan(pair.same_age) else f"{pair.same_age:.3g}"
            numbers = f"{pair.young:.3g}   {kept}   {pair.osteoporotic:.3g} {unit}"
            axes.annotate(numbers, (1.02, place), xycoords=("axes fraction", "data"), size=6.3, va="center", color=INK,
                          annotation_clip=False)  # fmt: skip
            ticks.append(place)
            labels.append(pair.label)
            place -= 1
        axes.annotate(
            group, (-0.46, 0.5 * (top + place + 1)), xycoords=("axes fraction", "data"), size=7, weight="bold",
            va="center", ha="center", annotation_clip=False,
        )  # fmt: skip
        place -= 0.65
    axes.axvline(1.0, color=INK, linewidth=0.8, zorder=1)
    axes.set_xscale("log")
    marks = [0.25, 0.5, 0.7, 1, 1.4, 2, 3, 4, 8]
    low, high = axes.get_xlim()
    axes.set_xticks(
        [mark for mark in marks if low <= mark <= high], [f"{mark:g}" for mark in marks if low <= mark <= high]
    )
    axes.minorticks_off()
    axes.set_yticks(ticks, labels)
    axes.set_ylim(place + 0.65, 0.8)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Fold of the healthy young" + (" (architecture: of the scan)" if any_scan else ""))
    figure.text(0.03, 1 - 0.22 / tall, title or "Health beside osteoporosis", size=10.5, weight="bold", va="center")
    for color, text, x in ((LINES[1], "same age, estrogen kept", 0.34), (LINES[0], "as studied", 0.58)):
        figure.text(x, 1 - 0.45 / tall, "●", color=color, size=7, va="center")
        figure.text(x + 0.02, 1 - 0.45 / tall, text, size=7, va="center")
    columns = ("young; scan" if any_scan else "young") + "   kept   studied"
    figure.text(0.81, 1 - 0.45 / tall, columns, size=6.3, color=QUIET, va="center")
    return figure
