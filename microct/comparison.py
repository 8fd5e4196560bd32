"""Two scans of one bone, laid over each other: what was formed and what was resorbed between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from microct.status import InputError, StudyError
from microct.table import Row, Table
from microct.volume import HALF, Volume, expected_volume

if TYPE_CHECKING:
    from microct.imaging.registration import RigidMotion

#: Share of the first scan that both must hold, or it is said.
_LEAST_COMMON = 0.5
#: Otsu's thresholds of two scans may differ by this share of the first's standard deviation, or it is said; a sixth of
#: the bone lost moves them by 0.09.
_THRESHOLDS_APART = 0.15
#: What the table says of BV: change is that of whole voxels, and BV is counted as it is.
_WHOLE = "whole voxels, partial ones as bone or marrow"


@dataclass(frozen=True)
class FollowUp:
    """Two scans of one bone on the voxels of the first, and what changed.

    Attributes:
        table: TV, BV, BV/TV of both in what they have in common, then FV/BV, RV/BV, FS/BS, RS/BS, F.Th, R.De, N.Perf;
            its parameters say how they came about.
        first, second: bone (bool) of both.
        region: (nz, ny, nx) bool, what was compared.
        motion: of the second scan onto the first; None where they were taken to lie on the same voxels.
        least_voxels: smaller clusters of change were left out.
        lines: what was done, in words. doubts: what speaks against it.
    """

    table: Table
    first: Volume
    second: Volume
    region: np.ndarray
    motion: RigidMotion | None
    least_voxels: int
    lines: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def before(self) -> Volume:
        """Bone (bool) of the first scan in the region."""
        return self.first.with_values(self.first.values & self.region, self.table.parameters["threshold"])

    @property
    def change(self) -> Volume:
        """What became of each voxel in the region, int16: 255 formed, -255 resorbed, 0 neither."""
        from microct.morphometry.pair import change_map

        after = self.first.with_values(self.second.values & self.region, self.table.parameters["threshold"])
        return change_map(self.before, after, self.least_voxels)


def follow_up(
    first: Volume,
    second: Volume,
    mask: Volume | np.ndarray | None = None,
    threshold: str | float = "otsu",
    sigma: float | None = None,
    *,
    least_voxels: int = 5,
    register: bool = True,
    names: tuple[str, str] | None = None,
) -> FollowUp:
    """Lay a second scan of a bone over the first, and say what was formed and resorbed between them.

    The second scan is turned and moved onto the first, both are filtered and cut at one threshold, and what lies in
    both is compared. What is found in a bone that did not change is noise: docs/morphometry.md says how much there is.

    Args:
        first, second: the same bone, in the same unit and on voxels as large: grey values, or masks or bone fractions.
        mask: region on the first scan's voxels, as `microct.measure` takes it; None for all that lies in both.
        threshold: grey value from which a voxel is bone in both, or "otsu": that of the first for both. Of masks and
            bone fractions it is half of a voxel.
        sigma: of the Gaussian filter before the threshold [voxel]; 1 for grey values, 0 for masks if left out.
        least_voxels: smaller clusters of changed voxels are noise and left out; 1 keeps all.
        register: False where both lie on the same voxels.
        names: of the two in the table; their sources if left out.

    Raises:
        InputError: scans of two kinds or of other voxels, or no bone where both lie.
        StudyError: a threshold, filter or number of voxels outside its range.

    Example:
        >>> import microct
        >>> bone = microct.sample("trabecular", size_mm=1.6, voxel_size_um=40)
        >>> microct.follow_up(bone, bone, register=False).table["RV/BV"].value
        0.0
    """
    from microct.imaging.segmentation import check
    from microct.morphometry.pair import measure_pair
    from microct.morphometry.specimen import specimen_of

    check(threshold, 0.0 if sigma is None else sigma)
    if not isinstance(least_voxels, int | np.integer) or least_voxels < 1:
        raise StudyError(f"least_voxels: expected 1 or more (usual: 5; 1 keeps every voxel), got {least_voxels!r}")
    before, after = (expected_volume(scan, "follow_up").mask_as_fraction() for scan in (first, second))
    if before.kind != after.kind:
        words = ("a mask or bone fraction" if scan.kind else "grey values" for scan in (before, after))
        sources = f"{before.provenance.source}, {after.provenance.source}"
        raise InputError(f"{sources}: expected two scans of one kind, got {' and '.join(words)}")
    laid = _laid_over(before, after, threshold, (0.0 if before.kind else 1.0) if sigma is None else sigma, register)
    region = laid.region
    if mask is not None:
        inside = specimen_of(laid.first, mask, None).region
        region = region if inside is None else region & inside
    if not region.any():
        raise InputError(f"{laid.parameters['second']}: no voxel lies in both scans and in the mask")
    names = names or (before.provenance.source, after.provenance.source)
    pair = measure_pair(laid.first, laid.second, region, least_voxels=int(least_voxels), sample=names[1])
    parameters = laid.parameters | {"mask": f"{int(region.sum())} of {region.size} voxels"}
    table = Table((*_volumes(laid, region, names), *pair.rows), pair.parameters | parameters)
    lines, doubts = tuple(laid.lines), tuple(laid.doubts)
    return FollowUp(table, laid.first, laid.second, region, laid.motion, int(least_voxels), lines, doubts)


def _volumes(laid: _Laid, region: np.ndarray, names: tuple[str, str]) -> list[Row]:
    """TV, BV and BV/TV of both scans in what they have in common."""
    from microct.morphometry.specimen import specimen_of
    from microct.morphometry.volumes import volume_rows

    rows: list[Row] = []
    for scan, name in ((laid.first, names[0]), (laid.second, names[1])):
        for row in volume_rows(specimen_of(scan, region, None)):
            if row.symbol in ("TV", "BV", "BV/TV"):
                rows.append(replace(row, sample=name, note=row.note or _WHOLE))
    return rows


@dataclass(frozen=True)
class _Laid:
    """Bone (bool) of two scans on the same voxels, what lies in both, and how they were laid."""

    first: Volume
    second: Volume
    region: np.ndarray
    motion: RigidMotion | None
    lines: list[str]
    doubts: list[str]
    parameters: dict[str, str]


def _laid_over(before: Volume, after: Volume, cut: str | float, sigma: float, wanted: bool) -> _Laid:
    """Register the second scan to the first (where ``wanted``), filter both and cut them at one threshold."""
    from microct.imaging import registration
    from microct.imaging.segmentation import filtered as by_gauss

    level, words, doubts = _level(before, after, cut, sigma)
    filtered = "no filter" if not sigma else f"Gaussian filter of sigma {sigma:g} voxels"
    parameters = {
        "threshold": f"value >= {level:.6g} ({words})",
        "filter": filtered,
        "second": after.provenance.source,
    }
    # Filtered before it is moved: nothing of what lies outside is then blurred into the bone.
    old, new = (by_gauss(scan.values, sigma).astype(np.float32, copy=False) for scan in (before, after))
    # Within two sigma of a face the filter repeats its last voxels, where the other scan may show what lies beyond.
    rim = math.ceil(2.0 * sigma) + wanted
    region = np.zeros(before.shape, bool)
    region[tuple(slice(rim, n - rim) for n in before.shape)] = True
    motion = None
    if wanted:
        motion = registration.register(before, after)
        new = registration.moved(after.with_values(new, filtered), motion, before).values
        region &= registration.covered(after, motion, before, float(rim))
        angle, shift = motion.angle_degree, float(np.linalg.norm(motion.shift))
        lines = [f"turned by {angle:.3g} degrees, moved by {shift:.3g} mm, residual {motion.residual:.3g}"]
        common = float(region.mean())
        lines[0] += f"; {100 * common:.3g} % of the first scan lies in both"
        parameters |= {
            "angle_degree": f"{angle:.6g}",
            "shift_zyx_mm": " ".join(f"{part:.6g}" for part in motion.shift),
            "residual": f"{motion.residual:.6g}",
            "common": f"{common:.6g}",
        }
        if motion.residual > registration.RESIDUAL_LIMIT:
            most = registration.RESIDUAL_LIMIT
            doubts.append(
                f"residual {motion.residual:.2f}: expected at most {most:g} (usual: 0.02 to 0.5); the scans are not "
                "laid over each other, or are of different bones"
            )
        elif common < _LEAST_COMMON:
            doubts.append(f"only {100 * common:.0f} % of the first scan lies in both")
    else:
        if before.shape != after.shape or not np.allclose(before.spacing_mm, after.spacing_mm, rtol=1e-3):
            raise InputError(
                f"not registered: expected scans on the same voxels, got {before.shape} of {before.spacing_mm} mm and "
                f"{after.shape} of {after.spacing_mm} mm"
            )
        lines = ["not registered: taken to lie on the same voxels"]
        parameters["registration"] = "none"
    lines.append(f"bone is {parameters['threshold'].removeprefix('value ')}; {filtered}")
    first, second = (
        before.with_values(values >= level, f"{filtered}; bone is >= {level:.6g} ({words})", kind="")
        for values in (old, new)
    )
    for scan, which in ((first, before), (second, after)):
        if not scan.values[region].any():
            raise InputError(
                f"{which.provenance.source}: no bone at threshold {level:.6g} where both scans lie; values run from "
                f"{which.values.min():g} to {which.values.max():g}"
            )
    return _Laid(first, second, region, motion, lines, doubts, parameters)


def _level(before: Volume, after: Volume, cut: str | float, sigma: float) -> tuple[float, str, list[str]]:
    """One threshold for both scans, where it comes from, and what speaks against it."""
    if not isinstance(cut, str):
        return cut, "given", []
    if before.kind == "fraction":
        return HALF, "half of a voxel", []
    from microct.imaging.segmentation import otsu

    level, other = (otsu(scan, sigma) for scan in (before, after))
    doubts = []
    if abs(other - level) > _THRESHOLDS_APART * float(before.values.std(dtype=float)):
        doubts.append(
            f"Otsu's threshold of the second scan would be {other:.4g} instead of {level:.4g}: were both scanned "
            "alike? A threshold that is given holds for both"
        )
    return level, f"Otsu of the first; {other:.6g} of the second", doubts
