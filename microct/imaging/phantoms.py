"""Shapes whose volume, surface, thickness and topology are known, drawn with true partial voxels.

Every shape is a signed distance [mm], positive in bone, that `from_distance` turns into a bone fraction; the block
is centered at (0, 0, 0) mm. A `tilt_deg` turns the shape's ``axis`` toward the next axis (z to y, y to x, x to z).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from microct.imaging.coverage import level_set_coverage, plane_coverage
from microct.status import StudyError
from microct.volume import Provenance, Volume, checked_spacing

#: (z, y, x) coordinates [mm], broadcastable, to signed distance to the surface [mm], positive in bone.
Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Size = float | Sequence[float]


def slab(
    thickness_mm: float, size_mm: Size = 1.0, voxel_size_um: float = 20.0, axis: int = 0, tilt_deg: float = 0.0
) -> Volume:
    """A plate through the middle of the block, its normal along ``axis``, turned by ``tilt_deg``.

    The fraction of every voxel is exact, also where the slab is tilted.
    """
    normal = _tilted(axis, tilt_deg)
    shape, spacing = grid(size_mm, voxel_size_um)
    height = sum(n * c for n, c in zip(normal, centers(shape, spacing), strict=True)) / spacing
    half = 0.5 * thickness_mm / spacing
    share = plane_coverage(half - height, normal) - plane_coverage(-half - height, normal)
    return fraction_volume(share, spacing, f"slab of {thickness_mm:g} mm, axis {axis}, tilt {tilt_deg:g} deg")


def plates(
    thickness_mm: float,
    spacing_mm: float,
    size_mm: Size = 1.0,
    voxel_size_um: float = 20.0,
    axis: int = 0,
    tilt_deg: float = 0.0,
) -> Volume:
    """Parallel plates with ``spacing_mm`` between their mid-planes, one of them through the middle of the block."""
    normal = _tilted(axis, tilt_deg)

    def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        height = normal[0] * z + normal[1] * y + normal[2] * x
        return 0.5 * thickness_mm - np.abs(_folded(height, spacing_mm))

    return from_distance(distance, size_mm, voxel_size_um, f"plates of {thickness_mm:g} mm every {spacing_mm:g} mm")


def sphere(radius_mm: float, size_mm: Size = 1.0, voxel_size_um: float = 20.0, center_mm: Size = 0.0) -> Volume:
    """A ball of bone; ``center_mm`` is (z, y, x) from the middle of the block."""
    cz, cy, cx = np.broadcast_to(np.asarray(center_mm, dtype=float), (3,))
    return from_distance(
        lambda z, y, x: radius_mm - np.sqrt((z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2),
        size_mm,
        voxel_size_um,
        f"sphere of radius {radius_mm:g} mm",
    )


def rod(
    diameter_mm: float, size_mm: Size = 1.0, voxel_size_um: float = 20.0, axis: int = 0, tilt_deg: float = 0.0
) -> Volume:
    """A cylinder through the middle of the block, along ``axis``, turned by ``tilt_deg``."""
    along = _tilted(axis, tilt_deg)

    def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        height = along[0] * z + along[1] * y + along[2] * x
        return 0.5 * diameter_mm - np.sqrt(np.maximum(z**2 + y**2 + x**2 - height**2, 0.0))

    return from_distance(distance, size_mm, voxel_size_um, f"rod of diameter {diameter_mm:g} mm, axis {axis}")


def rod_lattice(diameter_mm: float, spacing_mm: float, size_mm: Size = 1.0, voxel_size_um: float = 20.0) -> Volume:
    """Straight rods along all three axes, crossing every ``spacing_mm``; one crossing is the middle of the block."""

    def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        z, y, x = (_folded(value, spacing_mm) ** 2 for value in (z, y, x))
        return 0.5 * diameter_mm - np.sqrt(np.minimum(np.minimum(z + y, y + x), z + x))

    what = f"lattice of rods of {diameter_mm:g} mm every {spacing_mm:g} mm"
    return from_distance(distance, size_mm, voxel_size_um, what)


def gaussian_random_field(
    bone_volume_fraction: float = 0.2,
    wavelength_mm: float = 1.0,
    size_mm: Size = 2.0,
    voxel_size_um: float = 20.0,
    seed: int = 0,
    waves: int = 256,
) -> Volume:
    """Bone where a sum of ``waves`` cosine waves of one length and random direction exceeds a level.

    The same ``seed`` is the same bone at any voxel size. Expected bone volume fraction as asked (the field is
    Gaussian for many waves); surface density 4 / (sqrt(3) wavelength) exp(-level^2 / 2) [1/mm], with the level
    that a standard normal exceeds with that probability (Rice 1945, doi:10.1002/j.1538-7305.1945.tb00453.x).
    """
    from scipy.special import ndtri

    if not 0.0 < bone_volume_fraction < 1.0:
        raise StudyError(f"bone_volume_fraction: expected between 0 and 1, got {bone_volume_fraction:g}")
    uniform = np.random.Generator(np.random.Philox(seed)).random((waves, 3))
    cosine, azimuth, phase = 2.0 * uniform[:, 0] - 1.0, 2.0 * np.pi * uniform[:, 1], 2.0 * np.pi * uniform[:, 2]
    sine = np.sqrt(1.0 - cosine**2)
    number = 2.0 * np.pi / wavelength_mm * np.stack([cosine, sine * np.cos(azimuth), sine * np.sin(azimuth)])
    level = float(ndtri(1.0 - bone_volume_fraction))
    shape, spacing = grid(size_mm, voxel_size_um)
    z, y, x = (np.exp(1j * k[:, None] * c.ravel()) for k, c in zip(number, centers(shape, spacing), strict=True))
    z = z * np.exp(1j * phase)[:, None] * math.sqrt(2.0 / waves)
    field = np.stack([((plane[:, None] * y).T @ x).real for plane in z.T])
    slopes = np.stack([((k * plane)[:, None] * y).T @ x for plane in z.T for k in number]).imag
    gradient = -slopes.reshape(shape[0], 3, *shape[1:]).transpose(1, 0, 2, 3)
    return fraction_volume(
        level_set_coverage(field - level, gradient, spacing), spacing, f"Gaussian random field, seed {seed}"
    )


def from_distance(
    distance: Distance, size_mm: Size, voxel_size_um: float, name: str = "shape", supersample: int = 4
) -> Volume:
    """Draw a signed distance as a bone fraction.

    Voxels that the surface crosses are split into ``supersample`` cubed parts, each weighed by its own distance.

    Args:
        distance: signed distance [mm] of (z, y, x) [mm] from the middle of the block, positive in bone.
        size_mm: edge of the block [mm], one number or one for each of (z, y, x).
        voxel_size_um: edge of a voxel [um].
        name: what the provenance says.
        supersample: parts along each edge of a crossed voxel.
    """
    shape, spacing = grid(size_mm, voxel_size_um)
    z, y, x = centers(shape, spacing)
    inside = np.broadcast_to(distance(z, y, x), shape)
    share = (inside > 0).astype(np.float64)
    crossed = np.nonzero(np.abs(inside) < 0.9 * spacing)
    at = [c.ravel()[i][:, None, None, None] for c, i in zip((z, y, x), crossed, strict=True)]
    steps = ((np.arange(supersample) + 0.5) / supersample - 0.5) * spacing
    parts = distance(at[0] + steps[:, None, None], at[1] + steps[:, None], at[2] + steps)
    share[crossed] = np.clip(0.5 + parts * supersample / spacing, 0.0, 1.0).mean(axis=(1, 2, 3))
    return fraction_volume(share, spacing, name)


def grid(size_mm: Size, voxel_size_um: float) -> tuple[tuple[int, int, int], float]:
    """Shape (nz, ny, nx) and voxel edge [mm] of a block as near to ``size_mm`` as whole voxels allow."""
    spacing = checked_spacing((voxel_size_um / 1000.0,) * 3, "phantom")[0]
    sizes = np.broadcast_to(np.asarray(size_mm, dtype=float), (3,))
    if not (np.isfinite(sizes).all() and (sizes >= 2 * spacing).all() and (sizes / spacing <= 4096).all()):
        raise StudyError(
            f"size_mm: expected 2 to 4096 voxels of {voxel_size_um:g} um along each of (z, y, x), got {size_mm} mm"
        )
    return tuple(round(float(size) / spacing) for size in sizes), spacing  # type: ignore[return-value]


def centers(shape: tuple[int, int, int], spacing_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxel centers [mm] from the middle of the block, along z, y, x, shaped to broadcast."""
    z, y, x = (((np.arange(n) + 0.5) - 0.5 * n) * spacing_mm for n in shape)
    return z[:, None, None], y[None, :, None], x[None, None, :]


def fraction_volume(share: np.ndarray, spacing_mm: float, name: str) -> Volume:
    """A `Volume` of uint8 bone fraction from shares 0..1, the middle of the block at (0, 0, 0) mm."""
    values = np.rint(255.0 * share).astype(np.uint8)
    origin = tuple(-0.5 * (n - 1) * spacing_mm for n in values.shape)
    provenance = Provenance(f"phantom: {name}")
    return Volume(values, (spacing_mm,) * 3, origin, provenance=provenance, kind="fraction")  # type: ignore[arg-type]


def _tilted(axis: int, tilt_deg: float) -> tuple[float, float, float]:
    if axis not in (0, 1, 2):
        raise StudyError(f"axis: expected 0 (z), 1 (y) or 2 (x), got {axis!r}")
    direction = [0.0, 0.0, 0.0]
    direction[axis] = math.cos(math.radians(tilt_deg))
    direction[(axis + 1) % 3] = math.sin(math.radians(tilt_deg))
    return tuple(direction)  # type: ignore[return-value]


def _folded(value: np.ndarray, period: float) -> np.ndarray:
    """Distance to the nearest multiple of ``period``, signed."""
    return value - period * np.rint(value / period)
