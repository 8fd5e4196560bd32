"""The samples that come with microct are what their recorded calls make."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from microct import sample
from microct.imaging import embedded
from microct.imaging.specimens import load_sample, sample_call, sample_names
from microct.status import InputError

HOME = Path(__file__).parents[2] / "data" / "samples"


def test_names() -> None:
    assert {"trabecular-demo", "cortical-demo"} <= set(sample_names())
    with pytest.raises(InputError, match="trabecular-demo"):
        load_sample("spongy-demo")


@pytest.mark.parametrize("name", sample_names())
def test_loads_and_is_small(name: str) -> None:
    volume = load_sample(name)
    assert volume.shape == (128, 128, 128)
    assert volume.voxel_size_um == pytest.approx(25.0)
    assert volume.values.dtype == np.uint8
    assert set(np.unique(volume.values)) == set(range(0, 256, 17))
    assert volume.provenance.sha256 == hashlib.sha256(volume.values.tobytes()).hexdigest()
    assert (HOME / f"{name}.npz").stat().st_size < 300_000


@pytest.mark.slow
@pytest.mark.parametrize("name", sample_names())
def test_the_recorded_call_makes_it_again(name: str) -> None:
    """The same voxels; another machine's arithmetic may turn a level here and there, 0.1 % of voxels at most."""
    stored = load_sample(name)
    made = sample(**sample_call(name))  # type: ignore[arg-type]
    values = embedded.in_levels(made.values)
    assert made.spacing_mm == stored.spacing_mm
    assert made.origin_mm == pytest.approx(stored.origin_mm)
    if hashlib.sha256(values.tobytes()).hexdigest() != stored.provenance.sha256:
        assert (values != stored.values).mean() < 1e-3
        assert ((values >= 128) != (stored.values >= 128)).mean() < 1e-4


def test_round_trip_and_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = sample(size_mm=(1.0, 1.0, 1.04), voxel_size_um=40, seed=2, trabecular_thickness_um=120.0)
    odd = volume.with_values(volume.values[:25, :25, :25], "odd number of voxels")
    entry = {"file": "a.npz", "sha256": embedded.write_sample(odd, tmp_path / "a.npz")}
    monkeypatch.setattr(embedded, "files", lambda package: tmp_path)
    monkeypatch.setattr(embedded, "_manifest", lambda: {"a": entry})
    back = load_sample("a")
    assert np.array_equal(back.values, embedded.in_levels(odd.values))
    assert back.spacing_mm == odd.spacing_mm
    assert np.abs(back.values.astype(int) - odd.values).max() <= 8
    entry["sha256"] = "0" * 64
    with pytest.raises(InputError, match="SHA-256"):
        load_sample("a")
    (tmp_path / "a.npz").write_bytes(b"not a zip")
    with pytest.raises(InputError, match="cannot be read"):
        load_sample("a")
