"""Tidy tables: one row for each (sample, time, quantity), with its unit, its convention and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from microct.quantities import QUANTITIES, Quantity


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
        known = ", ".join(dict.fromkeys(row.symbol for row in self.rows))
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
        """The rows of one time."""
        return Table(tuple(row for row in self.rows if row.time_yr == time_yr), self.parameters)

    def extended(self, rows: Iterable[Row]) -> Table:
        """A table with ``rows`` after these."""
        return Table((*self.rows, *rows), self.parameters)
