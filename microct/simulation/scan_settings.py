"""The section [scan] of a study: which bone, and how it becomes voxels of bone and marrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microct.simulation.settings import Rule, Section, as_number, as_whole, flag, number, setting, shown, text
from microct.status import StudyError


def _as_crop(value: object) -> tuple[tuple[int, int], ...]:
    """Three (start, stop) pairs of voxels along z, y, x."""
    pairs = [tuple(pair) for pair in value] if isinstance(value, list | tuple) else []  # type: ignore[arg-type]
    if len(pairs) != 3 or any(len(pair) != 2 for pair in pairs):
        raise ValueError("for instance [[0, 200], [50, 250], [50, 250]]")
    whole_pairs = tuple((as_whole(start), as_whole(stop)) for start, stop in pairs)
    if any(not 0 <= start < stop for start, stop in whole_pairs):
        raise ValueError("each start must be 0 or more and below its stop")
    return whole_pairs


def _as_threshold(value: object) -> str | float:
    """The word "otsu", or a grey value."""
    if value == "otsu":
        return "otsu"
    return as_number(value)


@dataclass(frozen=True)
class Scan(Section):
    """Which bone, and how it becomes voxels of bone and marrow."""

    section: ClassVar[str] = "scan"

    file: str | None = text(None, "scan to read, relative to the study file; give this or sample, not both")
    sample: str | None = text(None, "name of an embedded sample; give this or file, not both")
    voxel_size_um: float | None = number(
        None, "edge of a voxel; needed where the file does not say it, and then overrides it",
        unit="um", low=0.1, high=10000, usual="5 to 100",
    )  # fmt: skip
    crop: tuple[tuple[int, int], ...] | None = setting(
        None,
        Rule("three pairs [start, stop] of voxels along z, y, x", _as_crop, "part of the scan to keep", optional=True),
    )
    sigma_voxels: float = number(
        0.0, "Gaussian filter before the threshold", unit="voxels", low=0, high=10, usual="0 to 1.5",
        source="Bouxsein et al. 2010",
    )  # fmt: skip
    threshold: str | float = setting(
        "otsu",
        Rule(
            'number or "otsu"', _as_threshold, "grey value from which a voxel is bone, in the units of the file",
            source="Otsu 1979",
        ),
    )  # fmt: skip
    resample_um: float | None = number(
        None, "voxel size to work at; left out, that of the scan", unit="um", low=0.1, high=1000, usual="10 to 50"
    )
    keep_largest: bool = flag(True, "keep only the largest connected piece of bone")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.file is not None and self.sample is not None:
            raise StudyError(
                f"scan.file = {shown(self.file)} and scan.sample = {shown(self.sample)}: expected one of the two"
            )
