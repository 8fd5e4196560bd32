"""Makes the hostile corpus: small files, each a lie, a trap or a ruin.

Run it to look at them: ``PYTHONPATH=tests python -m corpus.hostile FOLDER``. Every case must end in an InputError,
quickly, with no byte read from outside the folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from corpus import arrays, headers, pictures, tiffs  # each registers its cases
from corpus.cases import CASES, SECRET, case, put

__all__ = ["CASES", "SECRET", "arrays", "headers", "pictures", "tiffs"]


@case
def missing_file(folder: Path) -> Path:
    return folder / "scan.nrrd"


@case
def unknown_ending(folder: Path) -> Path:
    return put(folder, "scan.pkl", b"cos\nsystem\n(S'true'\ntR.")


@case
def raw_without_header(folder: Path) -> Path:
    return put(folder, "scan.raw", bytes(64))


@case
def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "scan.nrrd")
    return folder / "scan.nrrd"


@case
def name_with_nul(folder: Path) -> Path:
    return folder / "scan\0.nrrd"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for name, make in CASES.items():
        (target / name).mkdir(parents=True)
        print(make(target / name))
