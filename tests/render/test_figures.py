"""Figures hold every index with its unit, the baseline and the burn-in, and no text lies on another."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from microct.quantities import QUANTITIES
from microct.render.figures import BURN_IN, HEADLINE, STYLE, all_indices, figures, headline, pretty
from microct.status import InputError, StorageError
from microct.table import Row, Table


@pytest.fixture(scope="module")
def table() -> Table:
    """Every quantity, with two years of burn-in."""
    rng = np.random.default_rng(3)
    rows = []
    for i, symbol in enumerate(QUANTITIES):
        level = 10.0 ** rng.uniform(-3, 5)
        for time in (-2.0, -1.0, 0.0, 2.5, 5.0, 10.0):
            rows.append(Row(symbol, level * (1 + 0.02 * (i % 7 - 3) * max(time, 0)), time))
    return Table(tuple(rows))


@pytest.mark.slow
def test_every_symbol_and_unit_is_in_the_figure(table: Table, tmp_path: Path) -> None:
    made = figures(table, tmp_path / "run", title="vertebra L4")
    assert [path.name for path in made] == ["indices.png", "indices.svg", "headline.png", "headline.svg"]
    text = made[1].read_text(encoding="utf-8")
    for symbol, quantity in QUANTITIES.items():
        assert f">{symbol}<" in text, symbol
        assert f"({pretty(quantity.unit)})" in text or not quantity.unit, symbol
    assert "vertebra L4" in text
    assert all(symbol in made[3].read_text(encoding="utf-8") for symbol in HEADLINE)
    with Image.open(made[0]) as picture:
        assert picture.size[0] == pytest.approx(12.6 * 300, abs=2)
        assert np.asarray(picture.convert("L")).std() > 10


def drawn_texts(figure: mpl.figure.Figure) -> list[tuple[str, object]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    outside = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        or not (label.get_visible() and axes.axison)
    }
    return [
        (text.get_text(), text.get_window_extent(canvas.get_renderer()))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in outside
    ]


@pytest.mark.parametrize("make", [pytest.param(all_indices, marks=pytest.mark.slow), headline])
def test_no_text_lies_on_another_and_none_leaves_the_page(make, table: Table) -> None:
    with mpl.rc_context(STYLE):
        figure = make(table, "vertebra L4")
        texts = drawn_texts(figure)
        width, height = figure.get_size_inches() * figure.dpi
    assert len(texts) > 10
    for name, box in texts:
        assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, name  # noqa: PT018
    for (one, a), (two, b) in combinations(texts, 2):
        overlap_x = min(a.x1, b.x1) - max(a.x0, b.x0)
        overlap_y = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert overlap_x < 1.0 or overlap_y < 1.5, f"{one!r} lies on {two!r}"


def test_burn_in_is_shaded_and_the_baseline_is_the_value_at_time_zero(table: Table) -> None:
    with mpl.rc_context(STYLE):
        figure = all_indices(table, "")
    plots = [axes for axes in figure.axes if axes.lines]
    assert len(plots) == len(QUANTITIES)
    axes = next(axes for axes in plots if axes.get_title(loc="left") == "BV/TV")
    levels = [
        line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2
    ]
    at_zero = next(row.value for row in table.series("BV/TV") if row.time_yr == 0)
    assert levels == [at_zero]
    shades = [patch for patch in axes.patches if mpl.colors.to_hex(patch.get_facecolor()) == BURN_IN.lower()]
    assert len(shades) == 1
    assert shades[0].get_x() == -2
    assert shades[0].get_width() == 2


def test_the_headline_is_in_percent_of_the_baseline(table: Table) -> None:
    with mpl.rc_context(STYLE):
        axes = headline(table, "").axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    for symbol in HEADLINE:
        values = {row.time_yr: row.value for row in table.series(symbol)}
        expected = [100 * (value / values[0.0] - 1) for value in values.values()]
        assert list(lines[symbol].get_ydata()) == pytest.approx(expected, abs=1e-9)


def test_undefined_values_and_single_times_are_drawn(tmp_path: Path) -> None:
    rows = [Row("Tb.Th", math.nan, 0.0, note="no bone"), Row("BV/TV", 0.0, 0.0), Row("Ledger", 0.0, 0.0)]
    made = figures(Table(tuple(rows)), tmp_path)
    assert "not defined" in made[1].read_text(encoding="utf-8")


def test_tables_without_times_and_unwritable_folders_are_refused(table: Table, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row of this table has a time"):
        figures(Table((Row("BV/TV", 20.0),)), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write the figure"):
        figures(table.at(0.0), tmp_path / "file")
