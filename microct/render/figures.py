"""Every index over time, with its unit: one figure of all, one of what matters first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from microct.quantities import QUANTITIES
from microct.status import InputError, StorageError
from microct.table import Table

GROUPS = {
    "structure": "Structure",
    "architecture": "Architecture",
    "topology": "Topology",
    "cortex": "Cortex",
    "mechanics": "Mechanics",
    "ledger": "Mass ledger",
    "loss": "Modes of loss",
    "dynamic": "Remodeling dynamics",
    "compartments": "Compartments",
    "osteocytes": "Osteocytes and microdamage",
    "mineral": "Mineral",
    "density": "Density",
    "imaging": "As a scanner sees it",
    "pair": "Against another scan",
    "signals": "Signals (healthy young = 1)",
}
#: Okabe and Ito 2008: told apart by color-blind readers.
COLORS = ("#C21238", "#0072B2", "#B97B00", "#007F63", "#8A4F7D", "#4B4B4F")
GROUP_COLOR = dict(zip(GROUPS, cycle(("#0072B2", "#007F63", "#B97B00", "#C21238", "#4B4B4F", "#8A4F7D")), strict=False))
HEADLINE = ("BV/TV", "Tb.Th", "Tb.Sp", "Conn.D")
INK, QUIET, GRID, BURN_IN = "#26262A", "#6E6E74", "#E4E4E8", "#F1EFE9"
COLUMNS = 6

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.5,
    "lines.markersize": 2.8,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "text.color": INK,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "microct",
}


def figures(table: Table, folder: str | Path, title: str = "") -> list[Path]:
    """Draw every index of a run over time.

    Args:
        table: rows with `time_yr`; negative times are burn-in and stand on a shaded ground. A dashed line marks the
            value at the baseline, the first time at 0 or later.
        folder: made if it is not there.
        title: name of the specimen.

    Returns:
        indices.png, indices.svg (every index, grouped) and, where the table has one of BV/TV, Tb.Th, Tb.Sp, Conn.D,
        headline.png, headline.svg (change since the baseline in percent). PNG at 300 dpi; text in SVG stays text.

    Raises:
        InputError: no row of the table has a time.
        StorageError: a file cannot be written.
    """
    if not table.times_yr:
        raise InputError("no row of this table has a time; figures need a run's table, a static scan has none")
    import matplotlib

    folder = Path(folder)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        made = saved(all_indices(table, title), folder / "indices")
        if any(symbol in table for symbol in HEADLINE):
            made += saved(headline(table, title), folder / "headline")
    return made


def saved(figure: Any, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG."""
    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.suffix == ".svg":
                figure.savefig(path, metadata={"Date": None})
            else:
                figure.savefig(path, dpi=300, pil_kwargs={"compress_level": 4})
    except OSError as error:
        raise StorageError(f"cannot write the figure {stem.name}: {error.strerror or error}") from error
    return paths


def curves(table: Table, symbol: str) -> dict[str, tuple[list[float], list[float]]]:
    """Times and values of one symbol, for each convention (for each sample too, where there are several)."""
    several = len({row.sample for row in table}) > 1
    found: dict[str, tuple[list[float], list[float]]] = {}
    for row in table.series(symbol):
        if row.time_yr is None:
            continue
        name = " ".join(part for part in (row.sample if several else "", row.convention) if part)
        times, values = found.setdefault(name, ([], []))
        times.append(row.time_yr)
        values.append(row.value)
    return found


def baseline(times: Sequence[float], values: Sequence[float]) -> float:
    """The value at the first time at 0 or later that has one, NaN where there is none."""
    pairs = sorted(zip(times, values, strict=True))
    return next((value for time, value in pairs if time >= -1e-9 and math.isfinite(value)), math.nan)


def grouped(table: Table) -> tuple[dict[str, list[str]], list[str]]:
    """Symbols with times in each group, in the order of `microct.quantities`; apart those that are always 0."""
    timed = {row.symbol for row in table if row.time_yr is not None}
    moving = {row.symbol for row in table if row.time_yr is not None and row.value != 0}
    groups = {
        group: symbols
        for group in GROUPS
        if (symbols := [s for s, quantity in QUANTITIES.items() if quantity.group == group and s in (moving or timed)])
    }
    return groups, [s for s in QUANTITIES if s in timed - (moving or timed)]


def all_indices(table: Table, title: str) -> Any:
    """One small plot for each index, group by group."""
    from matplotlib.figure import Figure

    groups, silent = grouped(table)
    rows = sum(-(-len(symbols) // COLUMNS) for symbols in groups.values())
    heads = len(groups)
    height = 0.75 + 1.42 * rows + 0.36 * heads + 0.2
    figure = Figure(figsize=(12.6, height))
    heights = []
    for symbols in groups.values():
        heights += [0.36] + [1.42] * (-(-len(symbols) // COLUMNS))
    grid = figure.add_gridspec(
        len(heights), COLUMNS, height_ratios=heights, left=0.05, right=0.985,
        top=1 - 0.62 / height, bottom=0.32 / height, wspace=0.42, hspace=0.0,
    )  # fmt: skip
    figure.text(0.02, 1 - 0.24 / height, title or "Every index over time", size=12, weight="bold", va="center")
    figure.text(0.985, 1 - 0.24 / height, KEY, size=7.5, color=QUIET, va="center", ha="right")
    if silent:
        words = "0 at every time, not drawn: " + ", ".join(silent)
        figure.text(0.02, 0.1 / height, words, size=7, color=QUIET, va="bottom")
    at = 0
    for group, symbols in groups.items():
        head = figure.add_subplot(grid[at, :])
        head.axis("off")
        head.text(
            -0.032, 0.30, GROUPS[group], size=9.5, weight="bold", color=GROUP_COLOR[group], transform=head.transAxes
        )
        for i, symbol in enumerate(symbols):
            cell = grid[at + 1 + i // COLUMNS, i % COLUMNS].subgridspec(
                3, 1, height_ratios=[0.30, 0.80, 0.32], hspace=0
            )
            plot_index(figure.add_subplot(cell[1]), table, symbol, GROUP_COLOR[group])
        at += 1 + -(-len(symbols) // COLUMNS)
    return figure


KEY = "dashed: value at the baseline   |   shaded: burn-in   |   horizontal: years since the start of the study"


def plot_index(axes: Any, table: Table, symbol: str, color: str) -> None:
    """One index over time on its own axes, unit beside the symbol."""
    from matplotlib.ticker import MaxNLocator

    quantity = QUANTITIES[symbol]
    lines = curves(table, symbol)
    for i, (name, (times, values)) in enumerate(lines.items()):
        shade = color if i == 0 else COLORS[(i + 3) % len(COLORS)]
        axes.plot(times, values, color=shade, marker="o", label=name, clip_on=False)
    times, values = next(iter(lines.values()))
    level = baseline(times, values)
    if math.isfinite(level):
        axes.axhline(level, color=INK, linewidth=0.8, dashes=(4, 3), zorder=1)
    if not any(math.isfinite(value) for _, line in lines.values() for value in line):
        axes.text(0.5, 0.5, "not defined", transform=axes.transAxes, ha="center", va="center", color=QUIET)
        axes.set_yticks([])
    shade_burn_in(axes, table)
    widen_if_flat(axes, [value for _, line in lines.values() for value in line if math.isfinite(value)])
    # The unit in plain type behind the bold symbol, so that the symbol is what the eye finds.
    label = axes.set_title(symbol, pad=3)
    unit = f"({pretty(quantity.unit)})" if quantity.unit else "(–)"
    axes.annotate(
        f" {unit}", xy=(1, 0), xycoords=label, size=7, color=QUIET, va="bottom", ha="left", annotation_clip=False
    )
    if len(lines) > 1:
        axes.legend(loc="best", fontsize=5.5, handlelength=1.2)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.ticklabel_format(axis="y", useOffset=False, scilimits=(-4, 5))
    axes.yaxis.get_offset_text().set_fontsize(6)


def pretty(unit: str) -> str:
    """A unit as print sets it: mm³, µm."""
    return unit.replace("mm3", "mm³").replace("mm2", "mm²").replace("um", "µm")


def shade_burn_in(axes: Any, table: Table) -> None:
    """Shade negative times, and let the axis end with the data."""
    first, last = table.times_yr[0], table.times_yr[-1]
    if first < 0:
        axes.axvspan(first, 0, color=BURN_IN, zorder=0, linewidth=0)
    room = 0.02 * max(last - first, 1e-9)
    axes.set_xlim(first - (0 if first < 0 else room), last + room)


def widen_if_flat(axes: Any, values: Sequence[float]) -> None:
    """Give a constant line a readable axis (a ledger of zeros, a signal that does not move)."""
    if values and max(values) - min(values) <= 1e-9 * max(1.0, abs(values[0])):
        reach = max(0.1 * abs(values[0]), 1e-6) if values[0] else 1.0
        axes.set_ylim(values[0] - reach, values[0] + reach)


def headline(table: Table, title: str) -> Any:
    """Change of the first indices since the baseline, in percent, on one pair of axes."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.2, 3.9))
    axes = figure.add_axes((0.105, 0.125, 0.66, 0.74))
    shade_burn_in(axes, table)
    axes.axhline(0.0, color=INK, linewidth=0.8, dashes=(4, 3), zorder=1)
    ends = []
    for color, symbol in zip(COLORS, HEADLINE, strict=False):
        if symbol not in table or not (lines := curves(table, symbol)):
            continue
        times, values = next(iter(lines.values()))
        level = baseline(times, values)
        if not math.isfinite(level) or level == 0:
            continue
        change = [100.0 * (value / level - 1.0) for value in values]
        axes.plot(times, change, color=color, marker="o", markersize=3.5, linewidth=2.0, label=symbol, clip_on=False)
        finite = [
            (time, value, raw) for time, value, raw in zip(times, change, values, strict=True) if math.isfinite(value)
        ]
        ends.append((finite[-1][1], finite[-1][0], color, symbol, finite[-1][2], level))
    axes.set_xlabel("Time since the start of the study (yr)")
    axes.set_ylabel("Change since the baseline (%)")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    name_lines(axes, ends)
    figure.text(0.02, 0.945, title or "How the architecture changed", size=10.5, weight="bold", va="center")
    if table.times_yr[0] < 0:
        axes.text(0.01, 0.985, "burn-in", transform=axes.transAxes, size=6.5, color=QUIET, va="top")
    return figure


def name_lines(axes: Any, ends: list[tuple[float, float, str, str, float, float]]) -> None:
    """Name each line at its end, with the baseline and the last value, moved apart where names would touch."""
    low, high = axes.get_ylim()
    gap = 0.125 * (high - low)
    places: list[float] = []
    for value, *_ in sorted(ends):
        places.append(max(value, places[-1] + gap) if places else max(value, low + 0.6 * gap))
    over = max(0.0, places[-1] - high) if places else 0.0
    right = axes.get_xlim()[1]
    for place, (value, time, color, symbol, last, first) in zip(places, sorted(ends), strict=True):
        unit = pretty(QUANTITIES[symbol].unit)
        axes.annotate(
            f"{symbol}  {value:+.1f} %".replace("-", "−"), xy=(time, value), xytext=(right, place - over),
            xycoords="data", textcoords="data", size=8, weight="bold", color=color, va="bottom", ha="left",
            annotation_clip=False,
        )  # fmt: skip
        axes.text(
            right,
            place - over,
            f"{first:.3g} to {last:.3g} {unit}",
            size=6.5,
            color=QUIET,
            va="top",
            ha="left",
            clip_on=False,
        )
