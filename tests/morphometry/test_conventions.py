"""Local thickness as other programs define it, at their published test values."""

import numpy as np
import pytest

from microct import Volume, measure


def thickness(bone, convention):
    """Tb.Th in voxels."""
    return measure(Volume.from_array(np.ascontiguousarray(bone), 1000), convention=convention)["Tb.Th"].value


def ball(radius, inclusive=True):
    squares = ((np.indices((2 * radius + 5,) * 3) - (radius + 2)) ** 2).sum(axis=0)
    return squares <= radius**2 if inclusive else squares < radius**2


def plate(width):
    bone = np.zeros((30, 30, 30), bool)
    bone[8 : 8 + width] = True
    return bone


@pytest.mark.parametrize("width", [3, 4, 7, 8])
def test_bonej_plate(width):
    """BoneJ's own test: an even width as it is, an odd one and a voxel, within 5 %."""
    assert thickness(plate(width), "bonej") == pytest.approx(width + width % 2, rel=0.05)


def test_bonej_ball():
    """BoneJ's own test: 1.944 r - 1.219 within 10 %."""
    assert thickness(ball(18), "bonej") == pytest.approx(1.944 * 18 - 1.219, rel=0.1)


@pytest.mark.parametrize("diameter", [10, 20, 36])
def test_ipl_ball(diameter):
    """IPL: a ball of diameter d reads d - 1."""
    assert thickness(ball(diameter // 2, inclusive=False), "ipl") == pytest.approx(diameter - 1, abs=0.1)


@pytest.mark.parametrize("width", [3, 5, 9])
def test_ipl_plate_of_odd_width(width):
    assert thickness(plate(width), "ipl") == pytest.approx(width)


def test_order_of_the_conventions():
    z, y, x = np.indices((40, 40, 40)) / 3.1
    bone = np.sin(z) * np.cos(y) + np.sin(y) * np.cos(x) + np.sin(x) * np.cos(z) > 0.5
    exact = thickness(bone, "exact")
    assert thickness(bone, "ipl") == pytest.approx(exact - 1, rel=1e-12)
    assert exact < thickness(bone, "bonej") < exact + 1
