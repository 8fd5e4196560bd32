"""Tidy tables: one row for each (sample, time, quantity), with its unit, its convention and where it came from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Real

from microct.quantities import QUANTITIES, Quantity
from microct.status import InputError

#: A lone time has no interval: half a day is near it [yr].
_HALF_A_DAY = 0.5 / 365.25


def nearest_time(times_yr: Sequence[float], wanted_yr: float) -> int | None:
    """Index of the time nearest to ``wanted_yr`` if it is within half an interval, half a day where there is but one.

    Args:
        times_yr: reporting times, ascending [yr].
        wanted_yr: any number [yr].
    """
    if not times_yr or not math.isfinite(wanted_yr):
        return None
    index = min(range(len(times_yr)), key=lambda i: abs(times_yr[i] - wanted_yr))
    gaps = [abs(times_yr[i] - times_yr[index]) for i in (index - 1, index + 1) if 0 <= i < len(times_yr)]
    within = 0.5 * max(gaps, default=2.0 * _HALF_A_DAY)
    return index if abs(times_yr[index] - wanted_yr) <= within * (1 + 1e-9) else None


def listed_times(times_yr: Sequence[float]) -> str:
    """The times in words, at most 24 of them."""
    shown = [f"{time:g}" for time in times_yr]
    return ", ".join(shown if len(shown) <= 24 else [*shown[:12], "...", *shown[-12:]])


@dataclass(frozen=True)
class Row:
    """One value of one quantity.

    Attributes:
        symbol: key of `microct.quantities.QUANTITIES`, for instance "Tb.Th".
        value: in the quantity's unit; NaN where it is not defined (and `note` says why).
        time_yr: years since the start of the study (negative: burn-in); None for a static scan.
        sample: name of the specimen.
        convention: which definition, where there is a choice: "exact", "bonej", "ipl".
        note: a warning or a reason, empty as a rule.
    """

    symbol: str
    value: float
    time_yr: float | None = None
    sample: str = ""
    convention: str = ""
    note: str = ""

    @property
    def quantity(self) -> Quantity:
        """Name, unit and source of what was measured."""
        return QUANTITIES[self.symbol]

    @property
    def unit(self) -> str:
        """Unit of `value`, as ASBMR writes it."""
        return self.quantity.unit

    def __str__(self) -> str:
        when = "" if self.time_yr is None else f" at {self.time_yr:g} yr"
        return f"{self.symbol} = {self.value:.6g} {self.unit}{when}".rstrip()


@dataclass(frozen=True)
class Table:
    """Rows in the order in which they were measured.

    ``table["Tb.Th"]`` is the one row of that symbol (of the last time, where there are several);
    ``table.series("Tb.Th")`` is all of them. ``parameters`` records what the numbers depend on: voxel size,
    threshold, filter, mask, version.
    """

    rows: tuple[Row, ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, symbol: str) -> Row:
        for row in reversed(self.rows):
            if row.symbol == symbol:
                return row
        known = ", ".join(self.symbols) or "no rows at all"
        raise KeyError(f"no {symbol!r} in this table; it has {known}")

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, symbol: object) -> bool:
        return any(row.symbol == symbol for row in self.rows)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in order of first appearance."""
        return tuple(dict.fromkeys(row.symbol for row in self.rows))

    @property
    def times_yr(self) -> tuple[float, ...]:
        """Times that occur, ascending [yr]."""
        return tuple(sorted({row.time_yr for row in self.rows if row.time_yr is not None}))

    def series(self, symbol: str) -> tuple[Row, ...]:
        """Every row of one symbol, in order."""
        return tuple(row for row in self.rows if row.symbol == symbol)

    def at(self, time_yr: float) -> Table:
        """The rows of the time nearest to ``time_yr``: times fall on whole steps, so that year 1 may be at 1.013 yr.

        Args:
            time_yr: years since the start of the study.

        Raises:
            InputError: no time of the table within half a reporting interval (the message lists them).
        """
        times = self.times_yr
        number = isinstance(time_yr, Real) and not isinstance(time_yr, bool)
        index = nearest_time(times, time_yr) if number else None
        if index is None:
            known = f"available: {listed_times(times)} yr" if times else "no row of it has a time"
            raise InputError(f"table: nothing at {f'{time_yr:g}' if number else repr(time_yr)} yr; {known}")
        return Table(tuple(row for row in self.rows if row.time_yr == times[index]), self.parameters)

    def extended(self, rows: Iterable[Row]) -> Table:
        """A table with ``rows`` after these."""
        return Table((*self.rows, *rows), self.parameters)
