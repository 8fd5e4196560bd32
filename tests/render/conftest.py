"""Small bones whose pictures are known: a sphere, a lattice of plates and rods, the same with a rod cut."""

from __future__ import annotations

import numpy as np
import pytest

from microct import Volume
from microct.render.frame import Frame

N = 36


def lattice(n: int = N) -> np.ndarray:
    """(n, n, n) uint8: two plates and four rods."""
    bone = np.zeros((n, n, n), np.uint8)
    bone[4:8] = 255
    bone[-8:-4] = 255
    for y in (8, n - 12):
        for x in (8, n - 12):
            bone[:, y : y + 4, x : x + 4] = 255
    return bone


@pytest.fixture(scope="session")
def sphere() -> Frame:
    """A ball of radius 12 voxels of 50 um, its partial voxels smooth."""
    z, y, x = np.indices((N, N, N)) - (N - 1) / 2
    distance = np.sqrt(z**2 + y**2 + x**2)
    return Frame(0.0, Volume.from_array((255 * np.clip(12.5 - distance, 0, 1)).astype(np.uint8), 50))


@pytest.fixture(scope="session")
def years() -> list[Frame]:
    """Three years in which the front rod is cut (year 1) and goes (year 2); year 3 is as year 2 with a gain."""
    whole = lattice()
    cut, gone = whole.copy(), whole.copy()
    cut[14:20, 8:12, 24:28] = 0
    gone[8:-8, 8:12, 24:28] = 0
    grown = gone.copy()
    grown[-4:, 4:24, 4:30] = 255
    return [Frame(float(t), Volume.from_array(bone, 40)) for t, bone in enumerate((whole, cut, gone, grown))]


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set decides nothing here."""
    monkeypatch.delenv("MICROCT_RENDER_BACKEND", raising=False)
