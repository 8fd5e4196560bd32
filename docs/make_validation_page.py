"""Makes docs/validation.md from the model itself: ``python docs/make_validation_page.py`` (about a minute)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from microct.signalling import tables, trials

PAGE = Path(__file__).parent / "validation.md"
YEARS = (0.0, 1.0, 2.0, 5.0, 13.0)

HEAD = """# Validation of the cells

Made by `python docs/make_validation_page.py`; do not edit. Every target of the cell model: source, band, our value. A
miss is reported as a miss.

- **Fitted**: constants were fitted to it, in the model as it is or in its first form. No evidence.
- **In view**: no criterion of a fit, but its value steered a choice (docs/science-cells.md, "What was mended"), such as
  the height of the plateau of births, the answer to load, or the surface of compact bone. Weak evidence.
- **Held out**: neither. All values were printed side by side while structure and constants were tried, though, so that
  this count is no clean test of prediction either.

Bands: 25 % for activation frequency, 30 % of the effect for density and for markers under drugs, unless the source
gives a spread. "(unverified)" marks a number that was not seen in the source named.

Density is that of a bone without voxels (docs/science-cells.md): nothing perforates there.
"""


def natural_lines() -> Iterator[str]:
    """Births, depth, wall, signals and markers around a natural menopause at 51."""
    columns = (
        "Ac.f fold",
        "E.De",
        "W.Th",
        "B.Ba",
        "RANKL",
        "OPG",
        "IL-17",
        "TNF-a",
        "IL-6",
        "Scl",
        "M.Fat",
        "CTX",
        "P1NP",
    )
    values = tables.readouts(tables.natural_menopause(YEARS))
    yield "| year | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for place, year in enumerate(YEARS):
        yield f"| {year:+g} | " + " | ".join(f"{values[column][place]:.2f}" for column in columns) + " |"


def trial_lines() -> Iterator[str]:
    """Every outcome of every trial."""
    yield "| arm | age | quantity | month | against | target, % | band | ours, % | within | role | source |"
    yield "|---" * 11 + "|"
    for arm in trials.ARMS:
        for outcome in arm.outcomes:
            value, (low, high) = trials.reached(arm, outcome), outcome.band
            when = (
                f"{outcome.month:g}"
                if not outcome.extreme
                else f"{outcome.extreme} {outcome.month:g}-{outcome.until:g}"
            )
            within = "yes" if low <= value <= high else "**no**"
            cells = (arm.name, f"{arm.age_yr:g}", outcome.symbol, when, outcome.versus, f"{outcome.percent:+.1f}",
                     f"{low:.1f} to {high:.1f}", f"{value:+.1f}", within, outcome.role, outcome.source)  # fmt: skip
            yield "| " + " | ".join(cells) + " |"


def course_lines() -> Iterator[str]:
    """Markers and density of every arm over time, against its own baseline."""
    months = (0.5, 1, 3, 6, 12, 24, 36, 48, 60)
    yield "| arm | quantity | " + " | ".join(f"{month:g}" for month in months) + " |"
    yield "|---" * (len(months) + 2) + "|"
    for arm in trials.ARMS:
        for symbol in ("CTX", "P1NP", "LS.BMD", "TH.BMD"):
            whole = trials.series(arm.age_yr, arm.treatments, symbol)
            change = [100 * (whole[round(20 * month)] / whole[0] - 1) for month in months]
            yield f"| {arm.name} | {symbol} | " + " | ".join(f"{value:+.1f}" for value in change) + " |"


def summary() -> str:
    """How many targets are met, by role."""
    met: dict[str, list[bool]] = {"fitted": [], "in view": [], "held out": []}
    for target, value in zip(tables.TARGETS, tables.reached(), strict=True):
        met[target.role].append(target.low <= value <= target.high)
    for arm in trials.ARMS:
        for outcome in arm.outcomes:
            low, high = outcome.band
            met[outcome.role].append(low <= trials.reached(arm, outcome) <= high)
    return "Met: " + ", ".join(f"{sum(hits)} of {len(hits)} {role}" for role, hits in met.items()) + "."


def page() -> str:
    """The whole page as Markdown."""
    parts = {
        "Natural menopause": natural_lines,
        "Natural menopause against the targets": tables.target_lines,
        "Drugs against the trials": trial_lines,
        "Drugs over time": course_lines,
        "What each mechanism owns": tables.knock_out_lines,
    }
    notes = {
        "Natural menopause": "Years since the final menstrual period at 51; folds of health, E.De, W.Th and B.Ba in um,"
        " M.Fat in %.",
        "Drugs against the trials": "MS/BS under romosozumab (Chavassieux 2019, medians) is 1.51 % at baseline and"
        " 5.64 % at month 2;\nunder placebo it is 1.60 and 2.31 %. The target at month 2 is against placebo: 5.64 over"
        " 2.31.",
        "Drugs over time": "Change against the first dose, %, by month, with what she would have lost anyway.",
        "What each mechanism owns": "Each line switches one mechanism off (`knock_out` in a study).",
    }
    lines = [HEAD, summary(), ""]
    for title, made in parts.items():
        lines += [f"## {title}", "", *([notes[title], ""] if title in notes else []), *made(), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
