"""What the command line gives back: tables in print, and files whose place is checked before long work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from microct.status import StorageError, StudyError

if TYPE_CHECKING:
    from microct.table import Row
    from microct.volume import Volume


def print_table(table: Iterable[Row]) -> None:
    """One line for each row, under the name of its sample."""
    rows = list(table)
    width = max((len(row.symbol) for row in rows), default=0)
    sample = ""
    for row in rows:
        if row.sample != sample:
            sample = row.sample
            print(sample)
        name = row.quantity.name.replace("_", " ")
        note = f"  ({row.note})" if row.note else ""
        print(f"{row.symbol:<{width}}  {row.value:>12.6g} {row.unit:<6} {name}{note}")


def told_of(scan: Volume) -> dict[str, str]:
    """What every table says of the scan that it is of."""
    from microct import __version__

    return {
        "microct": __version__,
        "voxel_size_um": " x ".join(f"{1000 * step:g}" for step in scan.spacing_mm),
        "source": scan.provenance.source,
        "sha256": scan.provenance.sha256,
    }


def checked_place(path: Path | None, option: str, endings: Sequence[str]) -> None:
    """Refuse a file that could not be written once the work is done; None is no file.

    Raises:
        StudyError: another ending. StorageError: a folder of that name, or no writable folder around it.
    """
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise StudyError(f"{option} {path}: expected a file name ending in {', '.join(endings)}")
    if path.is_dir():
        raise StorageError(f"{option} {path}: expected a file name, this is a folder")
    if not path.parent.is_dir():
        raise StorageError(f"{option} {path}: {path.parent} is no folder; make it first, or name another")
    if not os.access(path.parent, os.W_OK):
        raise StorageError(f"{option} {path}: {path.parent} is not writable; give a folder that is")


def made_folder(path: Path, option: str) -> None:
    """Make a folder where it is missing; `StorageError` where that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StorageError(f"{path}: {problem.strerror or problem}; give {option} a folder that is writable") from None


def stem_of(name: str) -> str:
    """The name of a file without its ending; ``.nii.gz`` is one."""
    stem = Path(name).stem
    return Path(stem).stem if name.lower().endswith(".nii.gz") else stem
