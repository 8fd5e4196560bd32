"""Tables: the rows of a time are found where times fall on whole steps, and what is not there is said in one line."""

from __future__ import annotations

import numpy as np
import pytest

from microct.simulation.calendar import Calendar
from microct.simulation.config import Study
from microct.status import InputError
from microct.table import Row, Table


def table_at(times: tuple[float, ...]) -> Table:
    return Table(tuple(Row("BV/TV", 20.0 - number, time) for number, time in enumerate(times)), {"microct": "0"})


def test_a_year_is_found_at_the_step_that_is_nearest_to_it() -> None:
    calendar = Calendar.of(Study().with_values(time={"years": 3, "burn_in_years": 1}))
    times = tuple(calendar.year(step) for step in calendar.report_steps)
    assert 1.0 not in times
    table = table_at(times)
    for year, time in zip((-1, 0, 1, 2, 3), times, strict=True):
        found = table.at(year)
        assert [row.time_yr for row in found] == [time]
        assert found.parameters == table.parameters
    assert table.at(np.int64(1)).rows == table.at(np.float32(1.0)).rows == table.at(1).rows


def test_an_exact_time_is_that_time_with_all_of_its_rows() -> None:
    rows = tuple(Row(symbol, 1.0, time) for time in (1.0, 1.001, 2.0) for symbol in ("BV", "BV/TV"))
    for time in (1.0, 1.001, 2.0):
        assert Table(rows).at(time).rows == tuple(row for row in rows if row.time_yr == time)


def test_the_nearest_time_is_within_half_an_interval() -> None:
    table = table_at((0.0, 1.0, 2.0))
    assert [table.at(year)["BV/TV"].time_yr for year in (-0.5, 0.4, 1.4, 2.5)] == [0.0, 0.0, 1.0, 2.0]
    assert table_at((3.0,)).at(3.001)["BV/TV"].time_yr == 3.0


@pytest.mark.parametrize("year", [-0.6, 2.6, 1e9, float("nan"), float("inf"), "1", None, True])
def test_a_time_that_no_row_is_near_is_refused_with_those_there_are(year: object) -> None:
    with pytest.raises(InputError, match=r"available: 0, 1\.013, 2 yr") as refusal:
        table_at((0.0, 1.01300, 2.0)).at(year)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


def test_a_lone_time_is_met_within_half_a_day_and_a_static_table_has_none() -> None:
    with pytest.raises(InputError, match="available: 3 yr"):
        table_at((3.0,)).at(3.1)
    for table in (Table((Row("BV/TV", 20.0),)), Table()):
        with pytest.raises(InputError, match="no row of it has a time"):
            table.at(0)


def test_a_symbol_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(KeyError, match=r"no 'Tb\.Th' in this table; it has BV/TV"):
        table_at((0.0, 1.0))["Tb.Th"]
    with pytest.raises(KeyError, match="no 'BV/TV' in this table; it has no rows at all"):
        Table()["BV/TV"]
