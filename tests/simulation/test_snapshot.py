"""What a checkpoint holds of a state: all of it comes back; another layout is refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from studied_bones import plate, study

from microct.simulation.build import build, first_state
from microct.simulation.niche import Niche
from microct.simulation.run import Moment, run
from microct.simulation.snapshot import place_of, restored, taken
from microct.status import InputError


class Witness:
    """A reporter that keeps what there is to save."""

    def __init__(self) -> None:
        self.saved: list[Moment] = []

    def report(self, moment: Moment) -> None: ...

    def save(self, moment: Moment) -> None:
        self.saved.append(moment)


@pytest.fixture(scope="module")
def moment() -> Moment:
    """The last moment of half a year in a plate with osteocytes and microdamage."""
    bone, witness = plate((16, 40, 40), 40.0, 280.0), Witness()
    asked = study(0.5, activation_frequency_per_year=8.0).with_values(osteocytes={"on": True})
    model = build(bone, asked)
    run(first_state(model, bone), model, asked, bone, [witness])
    last = witness.saved[-1]
    energy = np.linspace(0.5, 1.5, bone.values.size, dtype=np.float32).reshape(bone.values.shape)
    worn = asked.with_values(osteocytes={"damage": True}, load={"axis": "z"}).osteocytes
    return replace(last, state=Niche(worn, model).renewed(last.state, energy))


def kept(moment: Moment) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The checkpoint of it, as it comes back from a file."""
    arrays, meta = taken(moment)
    return arrays, json.loads(json.dumps(meta))


def test_everything_comes_back(moment: Moment) -> None:
    """State out, state in: equal bit for bit, rows of the table beyond its count apart."""
    state = moment.state
    arrays, meta = kept(moment)
    again, previous = restored(arrays, meta, moment.model)
    assert state.count.surface > 10
    assert place_of(arrays) is None
    assert (again.count, again.step, again.ledger, again.surface) == (
        state.count,
        state.step,
        state.ledger,
        state.surface,
    )
    assert (previous.step, previous.ledger) == (moment.previous.step, moment.previous.ledger)
    jax.tree.map(np.testing.assert_array_equal, again.fields, state.fields)
    for one, other, count in zip(again.bmus.there, state.bmus.there, state.count.there, strict=True):
        for name in ("first", "lists"):
            jax.tree.map(
                lambda now, then, end=int(other.end) if name == "lists" else count: np.testing.assert_array_equal(
                    now[:end], then[:end]
                ),
                getattr(one, name),
                getattr(other, name),
            )
        for name, column in other._replace(lists=None)._asdict().items():
            if column is not None:
                np.testing.assert_array_equal(getattr(one, name)[:count], column[:count], err_msg=name)
    assert again.wear is not None
    assert state.wear is not None
    assert state.wear.worn is not None
    jax.tree.map(np.testing.assert_array_equal, again.wear, state.wear)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda arrays, meta: arrays.pop("bmus.kind"), "bmus.kind"),
        (lambda arrays, meta: arrays.update({"bmus.kind": arrays["bmus.kind"][:-1]}), "bmus.kind"),
        (lambda arrays, meta: arrays.update({"bmus.kind": arrays["bmus.kind"].astype(np.float64)}), "bmus.kind"),
        (lambda arrays, meta: arrays.update({"bmus.tiles": arrays["bmus.tiles"] + 1}), "bmus.tiles"),
        (lambda arrays, meta: arrays.update({"bmus.tiles": -arrays["bmus.tiles"]}), "bmus.tiles"),
        (lambda arrays, meta: arrays.update({"bmus.floor": arrays["bmus.floor"][:-1]}), "bmus.floor"),
        (lambda arrays, meta: meta["ledger"].pop(next(iter(meta["ledger"]))), "laid out"),
        (lambda arrays, meta: meta["ledger"].update(crystals=1), "crystals"),
        (lambda arrays, meta: meta.pop("previous"), "previous"),
        (lambda arrays, meta: arrays.pop(next(name for name in arrays if "." not in name)), "laid out"),
    ],
)  # fmt: skip
def test_another_layout_is_refused(moment: Moment, spoil: Any, named: str) -> None:
    """A checkpoint of another version ends in one line that says what is amiss."""
    arrays, meta = kept(moment)
    spoil(arrays, meta)
    with pytest.raises(InputError, match="not laid out") as refused:
        restored(arrays, meta, moment.model)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)
