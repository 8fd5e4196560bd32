"""Tables on disk: every float, text and unit as it was."""

from __future__ import annotations

import csv
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microct.io.table_file import COLUMNS, drop_after, read_table, write_table
from microct.quantities import QUANTITIES
from microct.status import InputError
from microct.table import Row, Table

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ROWS = st.builds(
    Row,
    symbol=st.sampled_from(sorted(QUANTITIES)),
    value=st.floats(allow_nan=False),
    time_yr=st.none() | st.floats(allow_nan=False),
    sample=TEXT,
    convention=TEXT,
    note=TEXT,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=6), st.dictionaries(TEXT, TEXT, max_size=3))
def test_table_comes_back_exactly(tmp_path_factory, rows, parameters):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    table = Table(tuple(rows), parameters)
    write_table(path, table)
    back = read_table(path)
    assert back == table
    for row, was in zip(back, table, strict=True):
        assert math.copysign(1, row.value) == math.copysign(1, was.value)


def test_what_a_spreadsheet_sees(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, Table((Row("BV/TV", 0.1 + 0.2, 1.5, "S1", "exact", "a, b"), Row("Euler", math.nan)), {"k": "v"}))
    with path.open(newline="") as file:
        header, first, second = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert first == ["S1", "1.5", "BV/TV", "bone_volume_fraction", "0.30000000000000004", "%", "exact", "a, b"]
    assert second == ["", "", "Euler", "euler_characteristic", "nan", "", "", ""]
    assert math.isnan(read_table(path)["Euler"].value)
    about = json.loads((tmp_path / "table.json").read_text())
    assert about["parameters"] == {"k": "v"}
    assert about["rows"] == 2


def test_parquet_says_the_same(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "table.csv"
    rows = (Row("BV/TV", 1 / 3, 1.5, "S1", "exact", "ä"), Row("Tb.Th", math.inf))
    write_table(path, Table(rows))
    columns = parquet.read_table(tmp_path / "table.parquet").to_pydict()
    assert tuple(columns) == COLUMNS
    assert columns["value"] == [1 / 3, math.inf]
    assert columns["time_yr"] == [1.5, None]
    assert columns["unit"] == ["%", "mm"]
    assert columns["note"] == ["ä", ""]


def test_same_table_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_table(tmp_path / name / "table.csv", Table((Row("BV/TV", 1 / 3, 2.0),), {"z": "1", "a": "2"}))
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_rows_after_a_time_are_dropped(tmp_path):
    path = tmp_path / "table.csv"
    rows = [Row("BV/TV", float(k), float(k)) for k in range(-1, 4)] + [Row("TV", 5.0)]
    write_table(path, Table(tuple(rows), {"k": "v"}))
    drop_after(path, 1.0)
    assert read_table(path) == Table((*rows[:3], rows[-1]), {"k": "v"})
    before = path.stat().st_mtime_ns
    drop_after(path, 1.0)
    assert path.stat().st_mtime_ns == before
    drop_after(tmp_path / "none.csv", 1.0)


def test_unknown_symbol_is_refused_before_writing(tmp_path):
    with pytest.raises(InputError, match=r"'Tb\.X'"):
        write_table(tmp_path / "table.csv", Table((Row("Tb.X", 1.0),)))
    assert not list(tmp_path.iterdir())


HEAD = ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected the columns"),
        ("a,b\n1,2\n", "got a,b"),
        (HEAD + "S1,0.0\n", "line 2 has 2 columns"),
        (HEAD + "S1,0.0,BV/TV,bone_volume_fraction,many,%,,\n", "line 2: could not convert"),
        (HEAD + "S1,0.0,BV/TV,bone_volume_fraction,1.0,mm,,\n", "'BV/TV' in 'mm', here it is '%'"),
        (HEAD + "S1,0.0,New.X,new,1.0,mm,,\n", "does not know"),
        (HEAD + 'S1,0.0,BV/TV,"bone', "not a table"),
        (HEAD.encode("utf-16"), "not a table"),
    ],
)
def test_foreign_tables_are_refused(tmp_path, text, why):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=why):
        read_table(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "x", "parameters": {}}', '{"schema": 2, "parameters": {}}']
)
def test_foreign_parameters_are_refused(tmp_path, text):
    path = tmp_path / "table.csv"
    write_table(path, Table())
    path.with_suffix(".json").write_text(text)
    with pytest.raises(InputError):
        read_table(path)


def test_missing_table_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "table.csv")
