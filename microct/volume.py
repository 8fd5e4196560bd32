"""The one type that every scan, mask and specimen takes: voxels, their size, and where they came from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from microct.status import InputError, VoxelSizeError

#: Voxel sizes outside this range are refused: 0.1 um to 10 mm covers every scanner of bone.
VOXEL_SIZE_RANGE_MM = (1e-4, 10.0)

#: What is known of the values of a volume.
KINDS = ("", "fraction")

#: Bone fraction from which a voxel is bone, at least half of it [1/255], and the level between: `BONE` of the kernels.
BONE, HALF = 128, 127.5

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def checked_spacing(spacing_mm: tuple[float, float, float], source: str) -> tuple[float, float, float]:
    """Return ``spacing_mm`` (z, y, x) as floats, or raise `VoxelSizeError` that says how to give it."""
    low, high = VOXEL_SIZE_RANGE_MM
    try:
        spacing = tuple(float(step) for step in spacing_mm)
    except (TypeError, ValueError):
        spacing = ()
    if len(spacing) != 3 or not all(math.isfinite(step) and low <= step <= high for step in spacing):
        raise VoxelSizeError(
            f"{source}: voxel size {spacing_mm} mm is not usable; expected three numbers between "
            f"{low:g} and {high:g} mm (usual: 0.005 to 0.1); give it with --voxel-size-um or voxel_size_um="
        )
    return spacing  # type: ignore[return-value]


def spacing_of(voxel_size_um: float | Sequence[float]) -> tuple[float, ...]:
    """(z, y, x) [mm] of a voxel size in um, one number or three; `VoxelSizeError` where it is neither."""
    try:
        sizes = np.broadcast_to(np.asarray(voxel_size_um, dtype=float), (3,))
    except (TypeError, ValueError):
        raise VoxelSizeError(
            f"voxel_size_um: expected one number or three (z, y, x) in um (usual: 5 to 100), got {voxel_size_um!r}"
        ) from None
    return tuple(float(size) / 1000.0 for size in sizes)


@dataclass(frozen=True)
class Provenance:
    """Where a volume came from and what was done to it, in order.

    Attributes:
        source: file name, or the generator's name.
        sha256: of the file's bytes, or of the array's bytes where there was no file.
        steps: one sentence for each operation applied since, oldest first.
        header: what the file said of itself, as text (only what is worth keeping).
    """

    source: str
    sha256: str = ""
    steps: tuple[str, ...] = ()
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Volume:
    """A scan, a mask or a specimen.

    Attributes:
        values: (nz, ny, nx) array, C order. A mask has two values, of which the higher is bone; a bone fraction is
            uint8 0 (marrow) to 255 (bone); a scan keeps the grey values of its file.
        spacing_mm: voxel size along (z, y, x) [mm].
        origin_mm: position of the first voxel's centre along (z, y, x) [mm].
        direction: rows are the world directions (z, y, x) of the array's three axes.
        provenance: source, SHA-256 and history.
        kind: "fraction" where uint8 values are bone fraction 0..255; "" where nothing is known of them.
    """

    values: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[tuple[float, ...], ...] = IDENTITY
    provenance: Provenance = Provenance("array")
    kind: str = ""

    def __post_init__(self) -> None:
        values = self.values
        if self.kind not in KINDS:
            raise InputError(f"{self.provenance.source}: kind must be one of {KINDS}, got {self.kind!r}")
        if values.ndim != 3 or 0 in values.shape:
            raise InputError(
                f"{self.provenance.source}: expected a volume of three non-empty axes (z, y, x), "
                f"got shape {tuple(values.shape)}"
            )
        if values.dtype.kind not in "buif":
            raise InputError(f"{self.provenance.source}: expected numbers as voxels, got {values.dtype}")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = np.argwhere(~np.isfinite(values))
            raise InputError(
                f"{self.provenance.source}: {len(bad)} voxels are NaN or infinite, the first at "
                f"(z, y, x) = {tuple(int(i) for i in bad[0])}; replace or crop them"
            )
        if self.kind == "fraction" and values.dtype != np.uint8:
            raise InputError(
                f"{self.provenance.source}: a bone fraction is uint8, 0 to 255; got {values.dtype} of kind 'fraction'"
            )
        object.__setattr__(self, "spacing_mm", checked_spacing(self.spacing_mm, self.provenance.source))

    @classmethod
    def from_array(
        cls, array_zyx: np.ndarray, voxel_size_um: float | tuple[float, float, float], kind: str = ""
    ) -> Volume:
        """Make a volume from an array, which is copied.

        Args:
            array_zyx: (nz, ny, nx) numbers or bools.
            voxel_size_um: edge of a voxel [um], one number or one for each of (z, y, x).
            kind: "fraction" where uint8 values are bone fraction, 0 to 255.

        Raises:
            InputError: not three axes, empty, not numeric, NaN or infinite.
            VoxelSizeError: voxel size not finite or outside 0.1 um to 10 mm.

        Example:
            >>> import numpy as np
            >>> from microct import Volume
            >>> Volume.from_array(np.ones((4, 4, 4), bool), voxel_size_um=20).size_mm
            (0.08, 0.08, 0.08)
        """
        array = np.array(array_zyx, order="C")  # a copy: what the caller does to theirs changes nothing here
        if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian):
            array = array.astype(array.dtype.newbyteorder("<"))
        spacing = spacing_of(voxel_size_um)
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        return cls(array, spacing, provenance=Provenance("array", digest), kind=kind)  # type: ignore[arg-type]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        return self.values.shape  # type: ignore[return-value]

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Edges of the whole block along (z, y, x) [mm]."""
        return tuple(round(n * h, 9) for n, h in zip(self.shape, self.spacing_mm, strict=True))  # type: ignore[return-value]

    @property
    def is_isotropic(self) -> bool:
        """Whether the three voxel edges agree within 0.1 % (scanners differ by some 2e-5)."""
        return max(self.spacing_mm) <= 1.001 * min(self.spacing_mm)

    @property
    def voxel_size_um(self) -> float:
        """Edge of a cubic voxel [um]: the geometric mean of the three; `InputError` where they differ."""
        if not self.is_isotropic:
            raise InputError(
                f"{self.provenance.source}: voxels of {self.spacing_mm} mm are not cubes; "
                "resample to one voxel size first (resample_um= in the study, or microct.resample)"
            )
        return 1000.0 * float(np.prod(self.spacing_mm)) ** (1.0 / 3.0)

    def binary(self) -> np.ndarray | None:
        """(nz, ny, nx) bool, bone of a mask: the higher of two values; of one, all where it is above 0.

        None where there are more than two values.
        """
        values = self.values
        if values.dtype == bool:
            return values
        low, high = values.min(), values.max()
        if low == high:
            return np.full(values.shape, bool(high > 0))
        bone = values == high
        return bone if bool((bone | (values == low)).all()) else None

    def fraction(self) -> np.ndarray | None:
        """(nz, ny, nx) uint8 bone fraction, 0 to 255, of a bone fraction or a mask; None of grey values."""
        if self.kind == "fraction":
            return self.values
        bone = self.binary()
        return None if bone is None else bone * np.uint8(255)

    def mask_as_fraction(self) -> Volume:
        """A mask as bone fraction of 0 and 255, so that half of a voxel has one meaning; anything else as it is."""
        values = None if self.kind == "fraction" else self.fraction()
        return self if values is None else self.with_values(values, "mask as 0 and 255", kind="fraction")

    def with_values(self, values: np.ndarray, step: str, **changes: object) -> Volume:
        """The same place, and kind where it fits, with other voxels; ``step`` says in one sentence what was done."""
        if values.dtype != np.uint8:
            changes = {"kind": "", **changes}
        provenance = replace(self.provenance, steps=(*self.provenance.steps, step))
        return replace(self, values=values, provenance=provenance, **changes)  # type: ignore[arg-type]


def expected_volume(volume: object, name: str) -> Volume:
    """``volume`` where it is one; else `InputError`, which says after ``name`` how to make one.

    Args:
        volume: what was handed in.
        name: of the function that asks.
    """
    if not isinstance(volume, Volume):
        raise InputError(
            f"{name}: expected a microct.Volume, got {type(volume).__name__}; "
            "make one of an array by Volume.from_array(array, voxel_size_um), of a file by microct.read(path)"
        )
    return volume
