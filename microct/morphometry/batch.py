"""Many specimens, one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from microct.status import MicroctError
from microct.table import Row, Table


def measure_many(
    specimens: Iterable[tuple[str, Callable[[], Table]]], progress: Callable[[str, int], None] | None = None
) -> tuple[Table, dict[str, str]]:
    """Measure specimens one after the other; one that is refused does not stop the others.

    Args:
        specimens: name of each, and the call that gives its table.
        progress: called with the name and the number of specimens done before it.

    Returns:
        All rows, with the names as samples, parameters named "NAME: parameter"; and the refusals by name.
    """
    rows: list[Row] = []
    parameters: dict[str, str] = {}
    refused: dict[str, str] = {}
    for done, (name, how) in enumerate(specimens):
        if progress is not None:
            progress(name, done)
        try:
            table = how()
        except MicroctError as problem:
            refused[name] = str(problem)
            continue
        rows.extend(
            row if row.sample else Row(row.symbol, row.value, row.time_yr, name, row.convention, row.note)
            for row in table
        )
        parameters |= {f"{name}: {key}": value for key, value in table.parameters.items()}
    return Table(tuple(rows), parameters), refused
