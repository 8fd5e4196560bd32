"""What a checkpoint holds of a simulation: its state as arrays by name and plain numbers, and back, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from microct.kernels.bmu_lists import Lists
from microct.kernels.bmu_table import BMUTable, Fields, Local, Units, empty_tables, enough
from microct.simulation.niche import combined
from microct.state import Felt, Ledger, State, Wear, Worn
from microct.status import InputError

if TYPE_CHECKING:
    from microct.simulation.build import Model
    from microct.simulation.run import Moment

_COLUMNS = Units("bmus.", "tunnels.")
#: What is made anew of the lists' lengths.
_MADE = ("first", "lists")
_FELT = "felt."
_PLACE = "place"
_WEAR = "wear."


def taken(moment: Moment) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by name, and numbers that JSON can hold, from which `restored` makes the same state."""
    state = moment.state
    arrays = {name: np.asarray(value) for name, value in state.fields._asdict().items()}
    if moment.model.place is not None:
        arrays[_PLACE] = np.asarray(moment.model.place)
    arrays |= of_tables(state.bmus, state.count)
    felt = state.felt
    if felt is not None:
        arrays |= {_FELT + name: np.asarray(field) for name, field in felt.local._asdict().items()}
        arrays[_FELT + "set_point"] = felt.set_point
    wear = state.wear
    if wear is not None:
        kept = {} if wear.worn is None else wear.worn._asdict()
        arrays |= {_WEAR + name: np.asarray(field) for name, field in {**kept, "weight": wear.weight}.items()}
    meta = {
        "time_yr": moment.time_yr,
        "step": state.step,
        "count": state.count._asdict(),
        "ledger": state.ledger._asdict(),
        "surface": state.surface,
        "felt": None if felt is None else {"scale": felt.scale, "force_n": felt.force_n, "share": felt.share},
        "wear": None if wear is None else [wear.since, wear.scale, wear.targeted],
        "previous": {"step": moment.previous.step, "ledger": moment.previous.ledger._asdict()},
    }
    return arrays, meta


def of_tables(tables: Units, counts: Units) -> dict[str, np.ndarray]:
    """The rows in use of the tables of BMUs, all of them live, as arrays by name."""
    return {
        kind + name: column
        for kind, table, count in zip(_COLUMNS, tables.there, counts.there, strict=False)
        for name, column in _kept(table, count).items()
    }


def place_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """The compartment of each voxel that was kept with the state, where a study tells them apart."""
    return arrays.get(_PLACE)


def restored(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], model: Model) -> tuple[State, State]:
    """The state that `taken` was asked to keep, and what is remembered of the last reporting time.

    Raises:
        InputError: something is missing or of another shape, as in a checkpoint of another version of microct.
    """
    try:
        state = _state(arrays, meta, model)
        before = meta["previous"]
        then = int(before["step"]), Ledger(**before["ledger"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"its checkpoint is not laid out as this version of microct expects ({error}); go on with the version that "
            "wrote it (run.json names it), or run the study again into another folder"
        ) from error
    return state, State(None, None, 0, *then, state.surface)  # type: ignore[arg-type]


def _state(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], model: Model) -> State:
    count, plan = Units(**meta["count"]), model.plan
    used = [(each, len(arrays[kind + "cell"])) for kind, each in zip(_COLUMNS, count.there, strict=False)]
    room = map(enough, model.room.there, used, plan.of_a_step.there)
    blank = empty_tables(Units(*room))
    fields = Fields(*(jnp.asarray(arrays[name]) for name in Fields._fields))
    felt = None
    if meta.get("felt") is not None:
        local = Local(*(jnp.asarray(arrays[_FELT + name]) for name in Local._fields))
        force_n, share = (tuple(map(float, meta["felt"][name])) for name in ("force_n", "share"))
        felt = Felt(local, arrays[_FELT + "set_point"], float(meta["felt"]["scale"]), force_n, share)  # type: ignore[arg-type]
    wear = None
    if meta.get("wear") is not None:
        since, scale, targeted = meta["wear"]
        kept = [arrays.get(_WEAR + name) for name in Worn._fields]
        worn = None if kept[0] is None else Worn(*map(jnp.asarray, kept))
        calls = jnp.asarray(arrays[_WEAR + "weight"])
        wear = Wear(worn, int(since), float(scale), float(targeted), calls)
    tables = Units(*(_filled(*one, arrays) for one in zip(blank.there, count.there, _COLUMNS, strict=False)))
    state = State(fields, tables, count, int(meta["step"]), Ledger(**meta["ledger"]), meta["surface"], felt, wear)
    return replace(state, local=combined(state, wear))


def _kept(table: BMUTable, count: int) -> dict[str, np.ndarray]:
    """The columns of a table's first rows, all of them live, and those of their lists in the order of rows."""
    columns = {name: np.asarray(column)[:count] for name, column in table._asdict().items() if name not in _MADE}
    starts, lengths = np.asarray(table.first)[:count], columns["tiles"]
    tiles = np.repeat(starts - _starts(lengths), lengths) + np.arange(lengths.sum())
    lists = {name: np.asarray(column)[tiles] for name, column in table.lists._asdict().items() if name != "row"}
    return columns | lists


def _starts(lengths: np.ndarray) -> np.ndarray:
    """Where lists of so many tiles begin, one after the other."""
    return np.cumsum(lengths, dtype=np.int32) - lengths


def _filled(blank: BMUTable, count: int, kind: str, arrays: Mapping[str, np.ndarray]) -> BMUTable:
    """A table whose first rows are those that were kept."""

    def put(name: str, column: Any, rows: int) -> Any:
        kept = arrays[kind + name]
        if kept.shape != (rows, *column.shape[1:]) or kept.dtype != column.dtype:
            raise ValueError(
                f"{kind}{name}: expected {column.dtype} {(rows, *column.shape[1:])}, got {kept.dtype} {kept.shape}"
            )
        return column.at[:rows].set(kept)

    columns = {name: put(name, column, count) for name, column in blank._asdict().items() if name not in _MADE}
    lengths, used = arrays[kind + "tiles"], len(arrays[kind + "cell"])
    if (lengths < 0).any() or lengths.sum(dtype=np.int64) != used:
        raise ValueError(f"{kind}tiles: expected lists of {used} tiles in all, got {lengths.sum(dtype=np.int64)}")
    row = np.repeat(np.arange(count, dtype=np.int32), lengths)
    lists = {name: put(name, column, used) for name, column in blank.lists._asdict().items() if name != "row"}
    pool = Lists(row=blank.lists.row.at[:used].set(row), **lists)
    return BMUTable(**columns, first=blank.first.at[:count].set(_starts(lengths)), lists=pool)
