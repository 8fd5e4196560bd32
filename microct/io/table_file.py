"""Tables on disk: ``table.csv`` for people and programs, ``table.json`` for what the numbers depend on.

Numbers are written as Python's ``repr`` does: the shortest text that gives the same float back.
Where pyarrow is installed (the extra ``table``) the same rows go to ``table.parquet`` too.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import microct
from microct.io.safe_file import read_whole, write_whole
from microct.quantities import QUANTITIES
from microct.status import InputError
from microct.table import Row, Table

SCHEMA = 1
COLUMNS = ("sample", "time_yr", "symbol", "name", "value", "unit", "convention", "note")
#: What a row's number depends on, written beside it on request: the meaning of the index and these parameters.
TOLD = ("definition", "microct", "voxel_size_um", "threshold", "filter", "mask")
_MOST_BYTES = 2**30


def write_table(path: Path, table: Table, told: bool = False) -> None:
    """Write ``path`` (CSV), its parameters beside it (.json) and, where pyarrow is, Parquet; each file at once.

    Args:
        path: file name ending in ``.csv``.
        table: rows whose symbols `microct.quantities.QUANTITIES` knows.
        told: each row also says what it depends on (`TOLD`), so that it can stand alone.

    Raises:
        InputError: a symbol that has no unit and no name.
        StorageError: the disk is full or not writable; the old files are as they were.
    """
    records = [_record(row, path) for row in table]
    columns: tuple[str, ...] = COLUMNS
    if told:
        columns += TOLD
        for record, row in zip(records, table, strict=True):
            record |= {key: _told(row, key, table.parameters) for key in TOLD}
    lines = [columns, *([_cell(record[key]) for key in columns] for record in records)]
    text = "".join(",".join(line) + "\n" for line in lines)
    about = {"schema": SCHEMA, "microct": microct.__version__, "rows": len(records), "parameters": table.parameters}
    write_whole(path.with_suffix(".json"), (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    write_whole(path, text.encode())
    parquet = _as_parquet(records, columns)
    if parquet is not None:
        write_whole(path.with_suffix(".parquet"), parquet)


def read_table(path: Path) -> Table:
    """The table behind a CSV of `write_table`, floats exactly as they were.

    Raises:
        InputError: missing, not our columns, not a number, an unknown symbol, or a unit other than ours.
    """
    try:
        lines = csv.reader(io.StringIO(read_whole(path, _MOST_BYTES).decode(), newline=""), strict=True)
        header = tuple(next(lines, ()))
        if header not in (COLUMNS, COLUMNS + TOLD):
            raise InputError(f"{path}: expected the columns {','.join(COLUMNS)}, got {','.join(header) or 'nothing'}")
        rows = tuple(_row(values, path, lines.line_num, len(header)) for values in lines)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a table of microct: {error}") from error
    return Table(rows, _parameters(path.with_suffix(".json")))


def drop_after(path: Path, time_yr: float) -> None:
    """Keep the rows up to ``time_yr`` [yr] (and those without a time); nothing is written where all stay."""
    if not path.exists():
        return
    table = read_table(path)
    kept = tuple(row for row in table if row.time_yr is None or row.time_yr <= time_yr)
    if len(kept) < len(table):
        write_table(path, Table(kept, table.parameters))


def _record(row: Row, path: Path) -> dict[str, Any]:
    if row.symbol not in QUANTITIES:
        raise InputError(f"{path}: no quantity has the symbol {row.symbol!r}; microct.quantities lists them all")
    return {
        "sample": row.sample,
        "time_yr": None if row.time_yr is None else float(row.time_yr),
        "symbol": row.symbol,
        "name": row.quantity.name,
        "value": float(row.value),
        "unit": row.unit,
        "convention": row.convention,
        "note": row.note,
    }


def _cell(value: float | str | None) -> str:
    """Floats by ``repr``; texts quoted where they must be (the csv module leaves a lone carriage return bare)."""
    if not isinstance(value, str):
        return "" if value is None else repr(value)
    return '"' + value.replace('"', '""') + '"' if any(mark in value for mark in ',"\r\n') else value


def _told(row: Row, key: str, parameters: Mapping[str, str]) -> str:
    """What the row's number depends on; tables of many samples have parameters named "SAMPLE: parameter"."""
    if key == "definition":
        return row.quantity.meaning
    return parameters.get(f"{row.sample}: {key}", parameters.get(key, ""))


def _row(values: list[str], path: Path, line: int, columns: int) -> Row:
    if len(values) != columns:
        raise InputError(f"{path}: line {line} has {len(values)} columns, expected {columns}")
    cell = dict(zip(COLUMNS, values, strict=False))
    quantity = QUANTITIES.get(cell["symbol"])
    if quantity is None or quantity.unit != cell["unit"]:
        ours = f"here it is {quantity.unit!r}" if quantity else "which this version of microct does not know"
        raise InputError(f"{path}: line {line} gives {cell['symbol']!r} in {cell['unit']!r}, {ours}")
    try:
        value, time_yr = float(cell["value"]), float(cell["time_yr"]) if cell["time_yr"] else None
    except ValueError as error:
        raise InputError(f"{path}: line {line}: {error}") from error
    return Row(cell["symbol"], value, time_yr, cell["sample"], cell["convention"], cell["note"])


def _parameters(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        about = json.loads(read_whole(path, _MOST_BYTES).decode())
        schema, parameters = about["schema"], about["parameters"]
        if not isinstance(parameters, dict) or not isinstance(schema, int):
            raise TypeError("expected a number as schema and a mapping as parameters")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not the parameters of a table ({error})") from error
    if schema > SCHEMA:
        raise InputError(
            f"{path}: written in schema {schema}, this version reads up to {SCHEMA}; install the newer microct"
        )
    return parameters


def _as_parquet(records: Iterable[dict[str, Any]], columns: tuple[str, ...]) -> bytes | None:
    """The same rows as Parquet, or None where pyarrow is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return None
    numbers = ("time_yr", "value")
    kinds = [(key, pyarrow.float64() if key in numbers else pyarrow.string()) for key in columns]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(records), schema=pyarrow.schema(kinds)), buffer)
    return buffer.getvalue()
