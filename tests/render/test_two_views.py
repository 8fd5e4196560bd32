"""The pictures of two scans and of a load: colors where they belong, a scale that says what they mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from microct.render.age_picture import age_picture
from microct.render.change_picture import change_picture
from microct.render.colored import carried
from microct.render.field import PAD, field
from microct.render.frame import Frame
from microct.render.light import linear
from microct.render.load_picture import BEYOND, load_picture, scale_of
from microct.status import InputError
from microct.volume import Volume

TILE = (240, 220)


def pixels(path: Path) -> np.ndarray:
    """The views alone, without title and legend."""
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return image[100:290]


def count(image: np.ndarray) -> tuple[int, int]:
    """Crimson and teal pixels."""
    red = (image[..., 0] - image[..., 1] > 70) & (image[..., 0] - image[..., 2] > 40)
    teal = (image[..., 1] - image[..., 0] > 40) & (image[..., 2] - image[..., 0] > 40)
    return int(red.sum()), int(teal.sum())


@pytest.fixture
def slab() -> Volume:
    """A plate in the middle of a block, far from its faces."""
    bone = np.zeros((30, 40, 40), bool)
    bone[8:16, 10:30, 10:30] = True
    return Volume.from_array(bone, 20)


def test_what_went_is_crimson_and_what_came_is_teal(slab: Volume, tmp_path: Path) -> None:
    nothing = np.zeros(slab.shape, bool)
    hole, lump = nothing.copy(), nothing.copy()
    hole[8:16, 12:20, 12:20] = True
    lump[16:22, 20:28, 20:28] = True
    seen = []
    for number, (formed, resorbed) in enumerate(((nothing, nothing), (nothing, hole), (lump, nothing))):
        path = change_picture(slab, formed, resorbed, tmp_path / f"{number}.png", "slab", tile=TILE, backend="tracer")
        seen.append(count(pixels(path)))
    assert seen[0] == (0, 0)
    assert seen[1][0] > 300
    assert seen[1][1] == 0
    assert seen[2][1] > 300
    assert seen[2][0] == 0


def test_the_picture_is_of_the_bone_and_not_of_the_air_around_it(slab: Volume, tmp_path: Path) -> None:
    nothing = np.zeros(slab.shape, bool)
    path = change_picture(slab, nothing, nothing, tmp_path / "slab.png", "slab", tile=TILE, backend="tracer")
    facts = json.loads(Image.open(path).info["microct"])
    assert facts["camera"]["target_zyx_mm"] == pytest.approx([0.12, 0.24, 0.24])  # 12 x 24 x 24 voxels, 2 of air each
    with pytest.raises(InputError, match="expected"):
        change_picture(slab, nothing[1:], nothing, tmp_path / "no.png", "slab")


def test_nothing_at_all_is_drawn_as_nothing(slab: Volume, tmp_path: Path) -> None:
    nothing = np.zeros(slab.shape, bool)
    empty = slab.with_values(nothing, "empty")
    assert change_picture(empty, nothing, nothing, tmp_path / "e.png", "e", tile=TILE, backend="tracer").exists()


def test_colors_end_at_the_critical_strain() -> None:
    found = scale_of(0.007).colors(np.array([0.0, 0.5, 1.0, 1.01, 9.0], np.float32))
    np.testing.assert_allclose(found[3], linear(BEYOND), rtol=1e-6)
    np.testing.assert_allclose(found[4], linear(BEYOND), rtol=1e-6)
    assert not np.allclose(found[2], found[3])
    light = found[:3] @ np.array([0.2126, 0.7152, 0.0722])
    assert light[0] > light[1] > light[2]


@pytest.mark.parametrize("factor", [1, 2])
def test_strain_is_carried_beside_the_bone_and_no_further(slab: Volume, factor: int) -> None:
    strain = np.where(slab.values, np.float32(0.5), np.float32(0.0))
    display = field(Frame(0.0, slab), limit=40 // factor)
    assert display.factor == factor
    share = carried(strain, strain > 0, display)
    assert share.shape == display.values.shape
    here = share[PAD:-PAD, PAD:-PAD, PAD:-PAD]
    assert here[8 // factor, 20 // factor, 20 // factor] == pytest.approx(0.5)
    above = 15 // factor
    assert here[above + 1, 20 // factor, 20 // factor] == pytest.approx(0.5)
    assert here[above + 3, 20 // factor, 20 // factor] == pytest.approx(0.5)
    assert here[above + 4, 20 // factor, 20 // factor] == 0.0


def test_the_strained_half_is_violet(slab: Volume, tmp_path: Path) -> None:
    strain = np.where(slab.values, np.float32(0.001), np.float32(0.0))
    strain[:, :, 20:] *= 20
    path = load_picture(slab, strain, 0.007, tmp_path / "load.png", "slab", tile=TILE, backend="tracer")
    image = pixels(path)
    violet = (image[..., 2] - image[..., 1] > 20) & (image.sum(axis=2) < 330)
    pale = (image[..., 0] > 110) & (image[..., 0] - image[..., 2] > 25)
    assert violet.sum() > 500
    assert pale.sum() > 500
    across = np.nonzero(violet[:, : TILE[0]])[1].mean() - np.nonzero(pale[:, : TILE[0]])[1].mean()
    assert across > 20  # x runs to the right
    assert json.loads(Image.open(path).info["microct"])["critical_strain"] == 0.007


def test_the_color_bar_runs_from_pale_to_dark_and_ends_in_violet() -> None:
    sheet = Image.new("RGB", (500, 80), "white")
    scale_of(0.007).bar(ImageDraw.Draw(sheet), (20, 30), 18, 200.0)
    row = np.asarray(sheet).astype(int)[30]
    assert row[25].sum() > row[120].sum() > row[215].sum()
    assert np.abs(row[225] - np.array(BEYOND)).max() < 3
    assert (np.asarray(sheet)[45:60].min(axis=2) < 100).any()  # numbers beneath


@pytest.mark.parametrize("critical", [0.0, -1.0, float("nan")])
def test_a_scale_must_have_an_end(slab: Volume, critical: float, tmp_path: Path) -> None:
    strain = np.zeros(slab.shape, np.float32)
    with pytest.raises(InputError, match="above 0"):
        load_picture(slab, strain, critical, tmp_path / "no.png", "slab")
    with pytest.raises(InputError, match="voxels"):
        load_picture(slab, strain[1:], 0.007, tmp_path / "no.png", "slab")


def test_new_bone_is_blue_and_old_bone_is_ivory(slab: Volume, tmp_path: Path) -> None:
    bone = slab.with_values(np.where(slab.values, 255, 0).astype(np.uint8), "fraction", kind="fraction")
    age = np.where(slab.values, np.float32(np.inf), np.float32(0.0))
    age[:, :, 20:30] = np.where(slab.values[:, :, 20:30], 0.1, 0.0)
    path = age_picture(bone, age, tmp_path / "age.png", "slab", end_yr=10.0, tile=TILE, backend="tracer")
    image = pixels(path)
    blue = (image[..., 2] - image[..., 0] > 25) & (image.sum(axis=2) < 400)
    ivory = (image[..., 0] - image[..., 2] > 15) & (image.sum(axis=2) > 350)
    assert blue.sum() > 500
    assert ivory.sum() > 500
    across = np.nonzero(blue[:, : TILE[0]])[1].mean() - np.nonzero(ivory[:, : TILE[0]])[1].mean()
    assert across > 20  # x runs to the right
    with pytest.raises(InputError, match="expected ages"):
        age_picture(bone, age[1:], tmp_path / "no.png", "slab", end_yr=10.0)
    with pytest.raises(InputError, match="ends above 0"):
        age_picture(bone, age, tmp_path / "no.png", "slab", end_yr=0.0)
