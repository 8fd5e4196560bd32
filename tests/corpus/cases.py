"""The register of the hostile corpus, and what its parts share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

#: Lies one folder above every case; 4 x 4 x 4 bytes, so that an escape would succeed.
SECRET = "secret.bin"
CASES: dict[str, Callable[[Path], Path]] = {}


def case(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Register a case; it writes into an empty folder and returns the path that is to be read."""
    CASES[make.__name__] = make
    return make


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
