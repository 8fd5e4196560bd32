"""The ray tracer finds surfaces where they are, and draws what PyVista draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from microct.render import opengl, tracer
from microct.render.backend import draw
from microct.render.field import LEVEL, Field, field, sample, smooth
from microct.render.frame import Frame
from microct.render.scene import Camera, framed, scene

SIZE = (120, 110)


def test_a_ball_has_the_outline_of_a_ball(sphere: Frame) -> None:
    shown = field(sphere)
    camera = framed(shown.size_mm, SIZE)
    alpha = draw(scene(shown), camera, SIZE, "tracer")[..., 3] / 255.0
    radius = np.sqrt(alpha.sum() * camera.mm_per_pixel**2 / np.pi)
    assert radius == pytest.approx(12 * 0.05, rel=0.02)
    rows, columns = np.nonzero(alpha > 0.5)
    assert rows.mean() == pytest.approx((SIZE[1] - 1) / 2, abs=0.6)
    assert columns.mean() == pytest.approx((SIZE[0] - 1) / 2, abs=0.6)


def test_voxels_that_are_not_cubes_keep_their_proportions() -> None:
    bone = np.full((10, 40, 40), 255, np.uint8)
    shown = Field(np.pad(bone, 2), (0.08, 0.02, 0.02))
    camera = Camera(-90.0, 0.0, (0.4, 0.4, 0.4), 0.01)
    alpha = draw(scene(shown), camera, SIZE, "tracer")[..., 3] > 127
    assert alpha.any(axis=1).sum() == pytest.approx(80, abs=2)
    assert alpha.any(axis=0).sum() == pytest.approx(80, abs=2)


@pytest.mark.parametrize("azimuth", [-100.0, -62.0, 20.0, 135.0, 0.0, 90.0])
@pytest.mark.parametrize("elevation", [-30.0, 0.0, 65.0])
def test_marching_stops_where_a_patient_walk_stops(azimuth: float, elevation: float) -> None:
    rng = np.random.default_rng(int(azimuth + elevation + 200))
    # a sponge whose walls come down to single voxels, as after `microct.render.field.smooth`
    blobs = ndimage.gaussian_filter(rng.standard_normal((16, 18, 20)), 1.5)
    bone = smooth(np.where(blobs > np.quantile(blobs, 0.85), 255.0, 0.0).astype(np.float32))
    values = np.pad(np.rint(bone).astype(np.uint8), 2)
    room = tracer.space(scene(Field(values, (1.0, 1.0, 1.0))))
    camera = Camera(azimuth, elevation, (8.0, 9.0, 10.0), 0.4)
    ray = tracer.direction(room, camera)
    origin = tracer.origins(room, camera, (60, 60), tracer.pixel_middles(60, 60))
    enter, leave = tracer.crossing(values.shape, origin, ray)
    some = enter < leave
    origin, enter, leave = origin[:, some], enter[some], leave[some]
    found, where = tracer.march(values, tracer.free_ahead(room.near, ray), origin, ray, enter, leave)

    walked, at = np.full(len(enter), np.inf), enter.copy()
    while (at < leave).any():
        solid = (sample(values, origin + at * ray[:, None]) >= LEVEL) & (at < leave)
        walked = np.where(solid & np.isinf(walked), at, walked)
        at = at + 0.02
    # A step may pass over a sliver, where a ray touches less bone than the shortest step is long; nothing more.
    agree = np.isfinite(walked) == found
    assert agree.mean() > 0.98
    both = np.isfinite(walked) & found
    assert both.sum() > 500
    assert np.quantile(np.abs(walked[both] - where[both]), 0.93) < 0.06


def test_nothing_to_draw_is_nothing_drawn() -> None:
    empty = scene(Field(np.zeros((8, 8, 8), np.uint8), (0.1, 0.1, 0.1)))
    assert not draw(empty, framed((0.4, 0.4, 0.4), (30, 30)), (30, 30), "tracer").any()


def test_both_backends_draw_the_same_picture(years: list[Frame]) -> None:
    if not opengl.probe().works:
        pytest.skip(f"no OpenGL here: {opengl.probe().reason}")
    first, last = field(years[0]), field(years[3])
    removed = ((0, 36), (0, 9), (0, 36))
    for shown in (scene(last, first), scene(last, first, removed)):
        camera = framed(first.size_mm, SIZE)
        one, other = (draw(shown, camera, SIZE, name).astype(float) for name in ("pyvista", "tracer"))
        assert np.abs(one[..., 3] - other[..., 3]).mean() < 4
        solid = (one[..., 3] > 250) & (other[..., 3] > 250)
        assert solid.mean() > 0.2
        assert np.abs(one - other)[solid].mean() < 6
