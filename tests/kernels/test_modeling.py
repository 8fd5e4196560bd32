"""Formation without resorption: how much, where, and what it leaves alone."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from bone_at_work import MODELING, VOXEL_UM, Bone, foam, thick_slab
from reference import remodeling as definition

from microct.kernels import bmu_table
from microct.signalling.tissue import TissueParameters

#: Packets alone: no BMUs.
PACKETS = dataclasses.replace(MODELING, packet_candidates=768, packets=24)


def modeled(fraction, packet_um, until=3, packets=200, **more):
    return Bone(fraction, candidates=0, births_until=until, plan=PACKETS, packets=packets, packet_um=packet_um, **more)


@pytest.mark.parametrize("packet_um", [12.0, 30.0, 45.0])
def test_a_packet_forms_its_area_times_its_thickness(packet_um):
    bone = modeled(thick_slab(), packet_um)
    bone.go(36)
    rows = definition.Rows(bone.table)
    used = slice(0, bone.count)
    assert bone.count > 5
    assert not rows.live.any()
    assert not np.asarray(bone.fields.owner).any()
    assert (rows.resorbed == 0).all()
    asked = rows.area[used] * rows.mean_depth[used]
    np.testing.assert_allclose(rows.formed[used] / 255.0, asked, rtol=0.03)
    assert bone.moved[1] == int(bone.fraction.astype(int).sum()) - int(thick_slab().astype(int).sum())
    # New bone says when it was formed, from the first step on: nothing is waited for.
    on = np.asarray(bone.fields.formed_on)
    assert 0 < on[on > 0].min() <= 3
    assert on.max() <= 3 + round(120.0 / 10.0) + 1


def test_bone_is_never_taken_and_grows_on_what_is_there():
    """On plates and rods: no voxel loses bone at any step, none grows where no bone is near."""
    bone, before = modeled(foam(), 30.0), foam()
    for _ in range(8):
        bone.go(2)
        now = bone.fraction
        assert (now >= before).all()
        before = now.copy()
    grown = np.argwhere((bone.fraction >= 128) & (foam() < 128))
    near = np.argwhere(foam() >= 128)
    assert len(grown) > 100
    farthest = max(float(np.sqrt(((near - place) ** 2).sum(axis=1).min())) for place in grown[::7])
    assert farthest * VOXEL_UM <= 30.0 * 1.7 * 4 / 3 * 1.25 + VOXEL_UM


def test_no_growth_on_the_far_side_of_a_thin_plate():
    """Each packet stays on its side: what it lists lies on one side of a plate of two voxels."""
    thin = np.zeros((24, 24, 64), np.uint8)
    thin[11:13] = 255
    bone = modeled(thin, 30.0, until=1, packets=60)
    bone.go(20)
    rows = definition.Rows(bone.table)
    assert bone.count > 2
    for row in range(bone.count):
        heights = {place[0] for _, place, shape, _ in rows.voxels(row) if shape[2] == 0}
        assert heights
        assert max(heights) < 11 or min(heights) > 12


@pytest.mark.slow
def test_what_places_ask_for_is_where_bone_forms():
    """Only the half that load calls, with nothing asked for everywhere."""
    asks = np.zeros((24, 24, 64), np.uint8)
    asks[:, :, 32:] = 255
    even = np.full_like(asks, bmu_table.UNIT_WEIGHT)
    local = bmu_table.Local(even, np.full_like(asks, bmu_table.UNIT_WALL), asks)
    bone = modeled(thick_slab(), 30.0, local=local)
    ask = bone.demand
    bone.demand = lambda step: ask(step)._replace(everywhere=np.zeros_like(ask(step).everywhere))
    bone.go(20)
    gain = (bone.fraction.astype(int) - thick_slab()).sum(axis=(0, 1))
    assert bone.count > 3
    # The middle of a packet lies where it was called; its rim reaches 180 um farther.
    assert gain[32:].sum() > 5 * gain[:32].sum()
    assert gain[: 32 - 6].sum() == 0


@pytest.mark.slow
def test_zero_demand_is_no_modeling_at_all():
    """With room for packets and none asked for, the same bits as without."""
    without, with_room = Bone(foam(), 40.0), Bone(foam(), 40.0, plan=MODELING)
    without.go(18)
    with_room.go(18)
    np.testing.assert_array_equal(with_room.fraction, without.fraction)
    assert with_room.moved == without.moved
    assert with_room.count == without.count > 3


def test_compact_surface_forms_half_as_much_as_trabecular():
    """As in bone without voxels; trabecular and endocortical surface, canals and periosteum side by side."""
    assert TissueParameters().compact_modeling == bmu_table.COMPACT_MODELING / 256
    place = jnp.asarray((np.indices((24, 24, 64))[2] // 16).astype(np.uint8))
    without = modeled(thick_slab(), 12.0, until=24, packets=400)
    bone = modeled(thick_slab(), 12.0, until=24, packets=400, place=place)
    for one in (without, bone):
        one.go(24)
    kinds = np.asarray(bone.table.kind)[: bone.count] & bmu_table.COMPARTMENT
    trabecular, compact = (kinds < 2).sum(), (kinds >= 2).sum()
    assert trabecular > 25
    # Counts of Poisson; where some wait for a place to be free again the ratio is nearer to 1.
    assert 0.3 < compact / trabecular < 0.75
    assert bone.count < without.count
