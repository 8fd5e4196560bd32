"""What a checkpoint holds of a simulation: its state as arrays by name and plain numbers, and back, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from microct.kernels.bmu_table import BMUTable, Fields, Local, Units, empty_tables
from microct.simulation.niche import combined
from microct.state import Felt, Ledger, State, Wear, Worn
from microct.status import InputError

if TYPE_CHECKING:
    from microct.simulation.build import Model
    from microct.simulation.run import Moment

_COLUMNS = Units("bmus.", "tunnels.")
_FELT = "felt."
_PLACE = "place"
_WEAR = "wear."


def taken(moment: Moment) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by name, and numbers that JSON can hold, from which `restored` makes the same state."""
    state = moment.state
    arrays = {name: np.asarray(value) for name, value in state.fields._asdict().items()}
    if moment.model.place is not None:
        arrays[_PLACE] = np.asarray(moment.model.place)
    for kind, table, count in zip(_COLUMNS, state.bmus.there, state.count.there, strict=False):
        arrays |= {kind + name: np.asarray(column)[:count] for name, column in table._asdict().items()}
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
    births = Units(plan.births + plan.packets, plan.osteons)
    blank = empty_tables(Units(*map(_room, model.rows.there, count.there, births)), plan)
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


def _room(rows: int, count: int, births: int) -> int:
    """Rows of a table that has room for one more step."""
    while rows < count + births:
        rows *= 2
    return rows


def _filled(blank: BMUTable, count: int, kind: str, arrays: Mapping[str, np.ndarray]) -> BMUTable:
    """A table whose first rows are those that were kept."""
    columns = []
    for name, column in blank._asdict().items():
        kept = arrays[kind + name]
        if kept.shape != (count, *column.shape[1:]) or kept.dtype != column.dtype:
            raise ValueError(
                f"{kind}{name}: expected {column.dtype} {(count, *column.shape[1:])}, got {kept.dtype} {kept.shape}"
            )
        columns.append(column.at[:count].set(kept))
    return BMUTable(*columns)
