"""The specimens that come with microct: read from data/samples, each with the call and the SHA-256 that made it."""

from __future__ import annotations

import hashlib
import math
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np

from microct.status import InputError
from microct.volume import Provenance, Volume

#: Samples hold the bone fraction in sixteen levels, two voxels a byte: 0, 17, .. 255.
LEVEL = 17


def load_sample(name: str = "trabecular-demo") -> Volume:
    """A specimen that comes with microct, as a bone fraction (uint8, 0 to 255 in sixteen levels).

    Args:
        name: one of `sample_names`; docs/samples.md says how each was made.

    Raises:
        InputError: no such sample, or its file does not hold what the manifest says.

    Example:
        >>> from microct.imaging.specimens import load_sample
        >>> load_sample("trabecular-demo").size_mm
        (3.2, 3.2, 3.2)
    """
    entry = _entry(name)
    try:
        with (files("microct.samples") / entry["file"]).open("rb") as handle, np.load(handle) as stored:
            shape = tuple(int(n) for n in stored["shape"])
            pairs = stored["pairs"]
            spacing = tuple(float(step) for step in stored["spacing_mm"])
            origin = tuple(float(place) for place in stored["origin_mm"])
    except (OSError, ValueError, KeyError) as problem:
        raise InputError(f"{entry['file']}: cannot be read ({problem}); install microct again") from problem
    levels = np.stack([pairs >> 4, pairs & 15], axis=1).ravel()[: math.prod(shape)]
    values = (levels * np.uint8(LEVEL)).reshape(shape)
    digest = _digest(values)
    if digest != entry["sha256"]:
        raise InputError(
            f"{entry['file']}: expected voxels of SHA-256 {entry['sha256'][:12]}.., got {digest[:12]}..; "
            "install microct again"
        )
    return Volume(values, spacing, origin, provenance=Provenance(f"sample {name}", digest), kind="fraction")  # type: ignore[arg-type]


def sample_names() -> tuple[str, ...]:
    """Names of the samples that come with microct."""
    return tuple(_manifest())


def sample_call(name: str) -> dict[str, object]:
    """The arguments of `microct.sample` that made an embedded sample."""
    return dict(_entry(name)["call"])


def in_levels(values: np.ndarray) -> np.ndarray:
    """A bone fraction in the sixteen levels in which samples are kept."""
    return np.rint(values / LEVEL).astype(np.uint8) * np.uint8(LEVEL)


def write_sample(volume: Volume, path: Path) -> str:
    """Write a bone fraction as a sample file; returns the SHA-256 of the voxels for the manifest."""
    values = in_levels(volume.values)
    levels = np.append(values.ravel() // LEVEL, np.zeros(values.size % 2, np.uint8))
    np.savez_compressed(
        path,
        pairs=(levels[0::2] << 4) | levels[1::2],
        shape=np.array(values.shape),
        spacing_mm=np.array(volume.spacing_mm),
        origin_mm=np.array(volume.origin_mm),
    )
    return _digest(values)


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _entry(name: str) -> dict:
    manifest = _manifest()
    if name not in manifest:
        raise InputError(f"sample: expected one of {', '.join(manifest)}, got {name!r}")
    return manifest[name]


def _manifest() -> dict:
    return tomllib.loads((files("microct.samples") / "SAMPLES.toml").read_text(encoding="utf-8"))
