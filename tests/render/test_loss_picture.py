"""The picture of modes of loss: each mode in its own color, where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from microct.morphometry.loss_modes import Mode
from microct.render.frame import Frame
from microct.render.loss_modes import grown, loss_picture, shrunk
from microct.status import InputError
from microct.volume import Volume


def test_a_hole_is_orange_and_a_cut_rod_blue(tmp_path: Path) -> None:
    before = np.zeros((24, 24, 24), np.uint8)
    before[3:7] = 255
    before[7:18, 4:9, 15:20] = 255
    before[18:22] = 255
    hole, cut = before.copy(), before.copy()
    hole[18:22, 6:18, 4:12] = 0
    cut[10:17, 4:9, 15:20] = 0
    seen = []
    for number, after in enumerate((before, hole, cut)):
        frames = [Frame(float(year), Volume.from_array(values, 20)) for year, values in ((0, before), (5, after))]
        path = loss_picture(*frames, tmp_path / f"{number}.png", "block", tile=(240, 220), backend="tracer")
        image = np.asarray(Image.open(path).convert("RGB")).astype(int)[60:280]
        red, blue = image[..., 0] - image[..., 2] > 110, image[..., 2] - image[..., 0] > 60
        seen.append((int(red.sum()), int(blue.sum())))
    (plain, hole_seen, cut_seen) = seen
    assert plain == (0, 0)
    assert hole_seen[0] > 200 > 10 > hole_seen[1]
    assert cut_seen[1] > 60 > 10 > cut_seen[0]


def test_modes_shrink_to_the_most_telling_and_grow_into_nothing_else() -> None:
    mode = np.zeros((6, 6, 6), np.uint8)
    mode[2, 2, 2], mode[4, 4, 4] = Mode.BREAKAGE, Mode.THINNING
    assert shrunk(mode, 2)[1, 1, 1] == Mode.BREAKAGE
    wide = grown(mode, 1)
    assert wide[2, 2, 3] == Mode.BREAKAGE
    assert wide[4, 4, 4] == Mode.THINNING
    assert wide[0, 0, 0] == 0


def test_frames_of_other_blocks_are_refused(tmp_path: Path) -> None:
    frames = [Frame(0.0, Volume.from_array(np.full((8, 8, n), 255, np.uint8), 20)) for n in (8, 9)]
    with pytest.raises(InputError, match="one block"):
        loss_picture(*frames, tmp_path / "no.png")
