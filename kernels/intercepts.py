"""Mean intercept length and fabric from the 2x2x2 histogram: how the structure is directed.

Lines through lattice neighbors in 13 directions cross the surface; the mean intercept length of a direction is the
lines' length for each crossing. Its inverse square is fitted by u' M u (Harrigan, Mann 1984, doi:10.1007/BF00541201),
weighted by each direction's share of the sphere. No line is drawn at random: the same volume gives the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microct.kernels.surface import DIRECTIONS, direction_crossings, direction_weights


@dataclass(frozen=True)
class Fabric:
    """The ellipsoid of mean intercept length.

    Attributes:
        radii: (3,) mean intercept lengths along the principal axes, longest first [unit of spacing].
        axes: (3, 3) unit vectors (z, y, x), one row for each radius; the largest component is positive.
        lengths: (13,) mean intercept length along each of `surface.DIRECTIONS`; infinite where nothing is crossed.
        residual: root mean square of the fit's relative error in 1 / length.
    """

    radii: np.ndarray
    axes: np.ndarray
    lengths: np.ndarray
    residual: float

    @property
    def anisotropy(self) -> float:
        """Longest by shortest radius, 1 for no direction."""
        return float(self.radii[0] / self.radii[2])


def intercept_lengths(histogram: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """(13,) length of lines for each crossing of the surface, along each of `surface.DIRECTIONS` [unit of spacing]."""
    histogram = np.asarray(histogram, float)
    step = np.linalg.norm(DIRECTIONS * np.asarray(spacing, float), axis=1)
    crossings = direction_crossings(histogram)
    with np.errstate(divide="ignore"):
        return np.where(crossings > 0, histogram.sum() * step / np.maximum(crossings, 1e-300), np.inf)


def fabric(histogram: np.ndarray, spacing: tuple[float, float, float]) -> Fabric | None:
    """The fabric of a structure, or None where its surface does not bound every direction (plates, rods, no surface).

    Args:
        histogram: (256,) counts of `stencil.configuration_histogram` or `stencil.region_histogram`.
        spacing: voxel edges along (z, y, x), any unit [mm].
    """
    lengths = intercept_lengths(histogram, spacing)
    units = DIRECTIONS * np.asarray(spacing, float)
    units /= np.linalg.norm(units, axis=1)[:, None]
    z, y, x = units.T
    terms = np.stack([z * z, y * y, x * x, 2 * y * x, 2 * z * x, 2 * z * y], axis=1)
    weights = np.sqrt(direction_weights(tuple(float(part) for part in spacing)))
    squares = 1.0 / lengths**2
    zz, yy, xx, yx, zx, zy = np.linalg.lstsq(terms * weights[:, None], squares * weights, rcond=None)[0]
    values, vectors = np.linalg.eigh(np.array([[zz, zy, zx], [zy, yy, yx], [zx, yx, xx]]))
    if values[0] <= 1e-9 * max(values[2], 0.0) or values[2] <= 0:
        return None
    axes = vectors.T
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    fitted = np.sqrt(np.maximum(terms @ [zz, yy, xx, yx, zx, zy], 0.0))
    errors = fitted * lengths - 1.0
    residual = float(np.sqrt(np.mean(errors[np.isfinite(lengths)] ** 2)))
    return Fabric(1.0 / np.sqrt(values), axes * np.sign(largest), lengths, residual)
