"""Panels, cut-away and movie show what happened to the bone, on any machine."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from microct import Volume
from microct.render import opengl, page
from microct.render.backend import BACKEND_VARIABLE, backend_in_use
from microct.render.cutaway import cutaway
from microct.render.frame import Frame
from microct.render.movie import movie
from microct.render.panels import panels, text_size
from microct.render.pictures import render_all
from microct.render.scene import framed
from microct.status import InputError, StorageError, StudyError
from microct.table import Row, Table

TILE = (150, 140)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def red(image: np.ndarray) -> np.ndarray:
    return (image[..., 0] > 120) & (image[..., 0] - image[..., 1] > 75) & (image[..., 0] - image[..., 2] > 40)


def teal(image: np.ndarray) -> np.ndarray:
    return (image[..., 1] - image[..., 0] > 40) & (image[..., 2] - image[..., 0] > 30)


def drawing(sheet: np.ndarray, index: int) -> np.ndarray:
    """The drawing of one panel, without captions and legend."""
    text = text_size(TILE[0], 3)
    y = 3 * text + int(2.2 * text)
    return sheet[y : y + TILE[1], text + index * TILE[0] : text + (index + 1) * TILE[0]]


def test_panels_mark_lost_bone_where_it_was_and_nowhere_else(years: list[Frame], tmp_path: Path) -> None:
    path = panels(years[:3], tmp_path / "deep" / "years.png", title="lattice", tile=TILE, backend="tracer")
    sheet = pixels(path)
    assert sheet.shape[1] == 3 * TILE[0] + 2 * text_size(TILE[0], 3)
    counts = [red(drawing(sheet, i)).sum() for i in range(3)]
    assert counts[0] == 0
    assert 20 < counts[1] < counts[2]
    # the cut rod is the one in front (low y, high x): its box in the picture holds all the red
    camera = framed(years[0].volume.size_mm, TILE)
    box = np.array([[z, y, x] for z in (14, 20) for y in (8, 12) for x in (24, 28)]) * 0.04
    x, y = camera.pixels(box, TILE).T
    rows, columns = np.nonzero(red(drawing(sheet, 1)))
    assert x.min() - 2 <= columns.min()
    assert columns.max() <= x.max() + 2
    assert y.min() - 2 <= rows.min()
    assert rows.max() <= y.max() + 2


def test_nothing_lost_is_nothing_red_and_the_camera_does_not_move(years: list[Frame], tmp_path: Path) -> None:
    same = [Frame(float(t), years[0].volume) for t in range(3)]
    path = panels(same, tmp_path / "same.png", tile=TILE, backend="tracer")
    sheet = pixels(path)
    drawings = [drawing(sheet, i) for i in range(3)]
    assert not any(red(image).any() for image in drawings)
    assert drawings[0].std() > 20
    assert np.array_equal(drawings[0], drawings[1])
    assert np.array_equal(drawings[0], drawings[2])
    facts = json.loads(Image.open(path).text["microct"])  # type: ignore[attr-defined]
    assert facts["times_yr"] == [0.0, 1.0, 2.0]
    assert facts["backend"] == "tracer"
    assert facts["camera"] == page.camera_facts(framed(same[0].volume.size_mm, TILE))
    assert Image.open(path).info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_gained_bone_is_teal_and_said_so_only_where_there_is_some(years: list[Frame], tmp_path: Path) -> None:
    without = pixels(panels(years[:3], tmp_path / "a.png", tile=TILE, backend="tracer"))
    gained = pixels(panels([years[0], years[3]], tmp_path / "b.png", tile=TILE, backend="tracer"))
    assert not teal(without).any()
    assert teal(drawing(gained, 1)).sum() > 100


def test_burn_in_is_left_out_and_times_are_chosen(years: list[Frame], tmp_path: Path) -> None:
    early = [Frame(-1.0, years[3].volume), *years[:3]]
    path = panels(early, tmp_path / "years.png", tile=(60, 60), backend="tracer")
    assert json.loads(Image.open(path).text["microct"])["times_yr"] == [0, 1, 2]  # type: ignore[attr-defined]
    path = panels(early, tmp_path / "two.png", times=[0, 2], tile=(60, 60), backend="tracer")
    assert json.loads(Image.open(path).text["microct"])["times_yr"] == [0, 2]  # type: ignore[attr-defined]


@pytest.mark.parametrize("cut", ["half", "octant"])
def test_the_cut_opens_the_block(years: list[Frame], tmp_path: Path, cut: str) -> None:
    path = cutaway([years[0], years[2]], tmp_path / f"{cut}.png", cut=cut, tile=TILE, backend="tracer")
    whole = pixels(panels(years[:1], tmp_path / "whole.png", tile=TILE, backend="tracer"))
    opened = pixels(path)
    assert opened.shape[1] == 2 * TILE[0] + 2 * text_size(TILE[0], 2)
    bone = [(np.ptp(drawing(image, 0), axis=-1) > 12).sum() for image in (opened, whole)]
    assert 0.15 * bone[1] < bone[0] < 0.95 * bone[1]
    assert not red(drawing(opened, 0)).any()
    with pytest.raises(StudyError, match="half, octant"):
        cutaway(years, tmp_path / "x.png", cut="quarter")


def test_lost_bone_shows_on_the_cut_surface(years: list[Frame], tmp_path: Path) -> None:
    hollow = years[0].volume.values.copy()
    hollow[4:8, 14:22, 10:26] = 0
    last = Frame(5.0, Volume.from_array(hollow, 40))
    opened = pixels(cutaway([years[0], last], tmp_path / "cut.png", tile=TILE, backend="tracer"))
    assert red(drawing(opened, 1)).sum() > 30


@pytest.mark.parametrize(("suffix", "kind"), [(".webp", "WEBP"), (".gif", "GIF")])
def test_the_movie_holds_each_year_and_turns(years: list[Frame], tmp_path: Path, suffix: str, kind: str) -> None:
    path = movie(years[:3], tmp_path / f"years{suffix}", images_per_frame=3, size=(100, 90), backend="tracer")
    with Image.open(path) as film:
        assert film.format == kind
        assert film.n_frames == 9  # type: ignore[attr-defined]
        images = []
        for i in range(9):
            film.seek(i)
            images.append(np.asarray(film.convert("RGB")).astype(int))
    assert all(np.abs(one - two).mean() > 0.2 for one, two in pairwise(images))
    top = [red(image[20:110]).sum() for image in images]
    assert top[0] == 0
    assert top[-1] > 10


def test_movies_of_other_kinds_are_refused(years: list[Frame], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"\.webp, \.gif, \.mp4"):
        movie(years, tmp_path / "years.avi")


def test_a_process_that_dies_in_opengl_leads_to_the_tracer(
    monkeypatch: pytest.MonkeyPatch, years: list[Frame], tmp_path: Path
) -> None:
    monkeypatch.setattr(opengl, "PROBE", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.delenv(opengl.WINDOW_VARIABLE, raising=False)
    opengl.probe.cache_clear()
    try:
        assert backend_in_use("auto") == "tracer"
        assert opengl.WINDOW_VARIABLE not in os.environ
        with pytest.raises(StudyError, match="apt-get install libegl1"):
            backend_in_use("pyvista")
        path = panels(years[:1], tmp_path / "one.png", tile=(60, 60))
        assert json.loads(Image.open(path).text["microct"])["backend"] == "tracer"  # type: ignore[attr-defined]
    finally:
        opengl.probe.cache_clear()


def test_the_environment_can_choose_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, "tracer")
    assert backend_in_use() == "tracer"
    monkeypatch.setenv(BACKEND_VARIABLE, "paint")
    with pytest.raises(StudyError, match="auto, pyvista, tracer"):
        backend_in_use()


def test_names_that_are_too_long_are_cut() -> None:
    """Behind a comma where one stands late, and never wider than there is room."""
    face = page.typeface(20)
    name = "sample trabecular, seed 1, bone_volume_fraction=0.18, trabecular_thickness_um=170"
    assert page.fitted(name, face, 2000) == name
    for width in (100, 300, 500, 700):
        cut = page.fitted(name, face, width)
        assert face.getlength(cut) <= width
        assert name.startswith(cut.removesuffix("…"))
        assert cut.endswith("…")
    assert page.fitted(name, face, 700) == "sample trabecular, seed 1, bone_volume_fraction=0.18…"


def test_scale_bars_have_round_lengths() -> None:
    assert [page.round_length(x) for x in (0.0199, 0.02, 0.9, 1.0, 4.9, 70.0)] == pytest.approx(
        [0.01, 0.02, 0.5, 1, 2, 50]
    )


def test_small_and_bare_bones_are_drawn(tmp_path: Path) -> None:
    one = Frame(0.0, Volume.from_array(np.full((1, 1, 1), 255, np.uint8), 20))
    none = Frame(0.0, Volume.from_array(np.zeros((5, 6, 7), np.uint8), 20))
    full = Frame(0.0, Volume.from_array(np.full((5, 6, 7), 255, np.uint8), 20))
    gone = Frame(1.0, none.volume)
    for i, frames in enumerate(([one], [none], [full, gone])):
        assert panels(frames, tmp_path / f"{i}.png", tile=(60, 60), backend="tracer").stat().st_size > 1000
    assert red(pixels(tmp_path / "2.png")).sum() > 500


def test_refusals_are_one_line(years: list[Frame], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames"):
        panels([], tmp_path / "x.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write the picture"):
        panels(years[:1], tmp_path / "file" / "x.png", tile=(40, 40), backend="tracer")


def test_render_all_makes_every_file(years: list[Frame], tmp_path: Path) -> None:
    rows = [Row("BV/TV", 40.0 - t, float(t)) for t in range(4)]
    seen: list[tuple[str, float]] = []
    made = render_all(
        years[:2], Table(tuple(rows)), tmp_path, "tracer", lambda what, share: seen.append((what, share)), scale=0.2
    )
    names = ["years.png", "cutaway.png", "years.webp", "indices.png", "indices.svg", "headline.png", "headline.svg"]
    assert [path.name for path in made] == names
    assert all(path.stat().st_size > 1000 for path in made)
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert {what for what, _ in seen} == {"panels", "cut-away", "movie", "figures"}
