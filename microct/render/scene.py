"""One look for every picture: the bone, what it lost, and one camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from microct.render import light
from microct.render.field import PAD, Box, Field, normals, sample

AZIMUTH_DEG, ELEVATION_DEG = -62.0, 24.0


@dataclass(frozen=True)
class Camera:
    """A camera without perspective, so that one scale bar holds everywhere.

    Attributes:
        azimuth_deg: where the camera stands around the vertical (z) axis; 0 looks from +x, -90 from -y.
        elevation_deg: how far it looks down.
        target_mm: the point in the middle of the picture, along (z, y, x) [mm].
        mm_per_pixel: size of a pixel [mm].
    """

    azimuth_deg: float
    elevation_deg: float
    target_mm: tuple[float, float, float]
    mm_per_pixel: float

    @property
    def towards_eye(self) -> np.ndarray:
        """(3,) unit vector along (z, y, x) from the target to the camera."""
        a, e = np.radians([self.azimuth_deg, self.elevation_deg])
        return np.array([np.sin(e), np.cos(e) * np.sin(a), np.cos(e) * np.cos(a)])

    @property
    def right(self) -> np.ndarray:
        """(3,) unit vector along (z, y, x) that points right in the picture."""
        a = np.radians(self.azimuth_deg)
        return np.array([0.0, np.cos(a), -np.sin(a)])

    @property
    def up(self) -> np.ndarray:
        """(3,) unit vector along (z, y, x) that points up in the picture."""
        a, e = np.radians([self.azimuth_deg, self.elevation_deg])
        return np.array([np.cos(e), -np.sin(e) * np.sin(a), -np.sin(e) * np.cos(a)])

    def turned(self, by_deg: float) -> Camera:
        """The camera further round the bone."""
        return replace(self, azimuth_deg=self.azimuth_deg + by_deg)

    def pixels(self, points_mm: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Where points (n, 3) along (z, y, x) [mm] fall in a picture of ``size`` (width, height): (n, 2) x, y."""
        away = np.asarray(points_mm) - np.asarray(self.target_mm)
        across, upward = away @ self.right, away @ self.up
        return np.stack([size[0] / 2 + across / self.mm_per_pixel, size[1] / 2 - upward / self.mm_per_pixel], axis=1)


def framed(
    size_mm: tuple[float, float, float],
    size: tuple[int, int],
    azimuth_deg: float = AZIMUTH_DEG,
    elevation_deg: float = ELEVATION_DEG,
    swing_deg: float = 0.0,
    fill: float = 0.96,
) -> Camera:
    """A camera that shows a whole block of ``size_mm`` in a picture of ``size`` (width, height) pixels.

    With ``swing_deg`` the block still fits after the camera has turned by as much to either side.
    """
    corners = np.array(list(product(*[(0.0, edge) for edge in size_mm])))
    middle = tuple(edge / 2 for edge in size_mm)
    scale = 0.0
    for turn in np.linspace(-swing_deg, swing_deg, 9 if swing_deg else 1):
        unit = Camera(azimuth_deg + float(turn), elevation_deg, middle, 1.0)  # type: ignore[arg-type]
        reach = np.abs(unit.pixels(corners, (0, 0))).max(axis=0)
        scale = max(scale, 2 * reach[0] / (fill * size[0]), 2 * reach[1] / (fill * size[1]))
    return Camera(azimuth_deg, elevation_deg, middle, scale)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Scene:
    """The bone at one time, and the bone it is compared with.

    Attributes:
        bone: display field of the time shown.
        first: display field that loss and gain are counted from; None marks nothing.
        removed: box of display voxels that was cut away from both, for the color of the cut faces.
        lost_opacity: of bone that is gone, 0 to 1.
    """

    bone: Field
    first: Field | None = None
    removed: Box | None = None
    lost_opacity: float = 0.7
    memo: dict[str, Any] = dataclass_field(
        default_factory=dict, compare=False, repr=False
    )  # what a backend keeps between views

    @cached_property
    def lamps(self) -> light.Lamps:
        """Ambient occlusion and shadow of `bone`."""
        return light.lamps(self.bone)

    def bone_surface(self, points: np.ndarray) -> light.Surface:
        """Points (3, n) of the bone's surface: ivory, darker where cut, teal where gained."""
        cut = light.on_cut_face(points, self.bone.shape, self.removed)[:, None]
        albedo = light.linear(light.BONE) * (1 - cut) + light.linear(light.CUT_FACE) * cut
        if self.first is not None:
            gained = light.lost_weight(sample(self.first.values, points))[:, None]
            albedo = albedo * (1 - gained) + light.linear(light.GAINED) * gained
        normal = normals(self.bone.values, points, self.bone.spacing_mm)
        return light.surface(points, normal, albedo, self.lamps, self.bone)

    def lost_surface(self, points: np.ndarray) -> light.Surface:
        """Points (3, n) of the first surface: crimson, transparent where bone still stands."""
        assert self.first is not None
        opacity = self.lost_opacity * light.lost_weight(sample(self.bone.values, points))
        normal = normals(self.first.values, points, self.first.spacing_mm)
        return light.surface(points, normal, light.linear(light.LOST), self.lamps, self.bone, opacity)


def scene(bone: Field, first: Field | None = None, removed: Box | None = None, lost_opacity: float = 0.7) -> Scene:
    """Put a bone and the bone it was into a scene, both cut open where ``removed`` says."""
    if removed is not None:
        bone, first = bone.without(removed), None if first is None else first.without(removed)
    return Scene(bone, first, removed, lost_opacity)


def block_edges(size_mm: tuple[float, float, float], camera: Camera) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """The twelve edges of the block as (from, to, hidden) in mm; hidden edges lie behind the bone."""
    eye = camera.towards_eye
    edges = []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        for sides in product((0, 1), repeat=2):
            start = np.zeros(3)
            for other, side in zip(others, sides, strict=True):
                start[other] = side * size_mm[other]
            end = start.copy()
            end[axis] = size_mm[axis]
            hidden = all((eye[other] > 0) != bool(side) for other, side in zip(others, sides, strict=True))
            edges.append((start, end, hidden))
    return edges


def to_mm(points: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Padded indices (3, n) to mm from the corner of the block."""
    return (points - (PAD - 0.5)) * np.asarray(spacing_mm, np.float32)[:, None]


def to_index(points_mm: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """The other way round."""
    return points_mm / np.asarray(spacing_mm, np.float32)[:, None] + (PAD - 0.5)
