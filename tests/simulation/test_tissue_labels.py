"""The step of formation of each voxel against a ledger of mass: the label is a fair draw from the bone in the voxel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from studied_bones import plate, study

from microct.simulation import step
from microct.simulation.build import build, first_state

#: Steps that are counted together.
PERIOD, YEARS = 16, 1.75


class Lived(NamedTuple):
    """A plate after some years, and what is known of each voxel's mass: all as flat arrays.

    Attributes:
        mass: bone [1/255 voxel]; label: step of formation; touched: a voxel ever gained bone.
        formed: (periods, n) mass formed in each period and still there, taken to be mixed within a voxel.
        first, second: sums over mass of the step of formation, and of its square.
    """

    mass: np.ndarray
    label: np.ndarray
    touched: np.ndarray
    formed: np.ndarray
    first: np.ndarray
    second: np.ndarray


def lived(voxel_um: float) -> Lived:
    """Each step read from the bone before and after it: what is gained is of this step, what is lost of all alike."""
    deep, wide = round(640 / voxel_um), round(1600 / voxel_um)
    volume = plate((deep, wide, wide), voxel_um, 400.0)
    asked = {"activation_frequency_per_year": 2.0, "erosion_depth_um": 47.0, "wall_thickness_um": 44.0}
    model = build(volume, study(YEARS, **asked))
    state = first_state(model, volume)
    before = np.asarray(state.fields.fraction).ravel().astype(float)
    sums = np.zeros((2 + model.calendar.total_steps // PERIOD + 1, before.size))
    touched = np.zeros(before.size, bool)
    for now in range(model.calendar.total_steps):
        state = step.advance(state, model, now + 1)
        mass = np.asarray(state.fields.fraction).ravel().astype(float)
        less, more = np.flatnonzero(mass < before), np.flatnonzero(mass > before)
        sums[:, less] *= mass[less] / before[less]
        gain = mass[more] - before[more]
        for row, weight in ((0, now), (1, now**2), (2 + now // PERIOD, 1)):
            sums[row, more] += gain * weight
        touched[more] = True
        before = mass
    return Lived(before, np.asarray(state.fields.formed_on).ravel().astype(float), touched, sums[2:], sums[0], sums[1])


@pytest.mark.slow
@pytest.mark.parametrize("voxel_um", [40.0, 20.0])
def test_labels_share_as_mass_does_whatever_the_voxel(voxel_um: float) -> None:
    """Shares of each period, of young bone, and mean age: within three standard errors, known from the ledger."""
    bone = lived(voxel_um)
    mass, label = bone.mass, bone.label

    def deviation(found: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> float:
        return float((found - expected).sum() / np.sqrt(variance.sum()))

    young = bone.formed.sum(axis=0)
    deviations = [deviation(mass * (label > 0), young, young * (mass - young))]
    for period, formed in enumerate(bone.formed):
        if formed.any():
            found = mass * ((label > 0) & (label // PERIOD == period))
            deviations.append(deviation(found, formed, formed * (mass - formed)))
    deviations.append(deviation(mass * label, bone.first, mass * bone.second - bone.first**2))
    assert len(deviations) >= 5
    assert np.abs(deviations).max() < 3.0, deviations
    # The standard error is small: bone that counts young is bone that was formed, within 2 %.
    assert float((mass * (label > 0)).sum() / young.sum()) == pytest.approx(1.0, abs=0.02)
    # A voxel that took the step of its last gain would count a fifth too much, or more.
    assert float(mass[bone.touched].sum() / young.sum()) > 1.2
    # None is young that never gained bone; all are that hold nothing else.
    assert not label[~bone.touched].any()
    full = bone.touched & (mass > 0) & (young > mass - 1e-6)
    assert full.sum() > 50
    assert (label[full] > 0).all()
