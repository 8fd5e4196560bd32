"""Our own volume file: everything comes back, damage is noticed, a failed write leaves the old file."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from microct.io.describe import describe
from microct.io.reader import read
from microct.io.volume_hdf5 import write
from microct.status import InputError, MicroctError, StorageError
from microct.volume import Provenance, Volume

TURNED = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


def volume(dtype: str = "u1", shape: tuple[int, int, int] = (5, 70, 66)) -> Volume:
    values = (np.random.default_rng(1).random(shape) * 100).astype(dtype)
    history = Provenance("femur.mha", "ab" * 32, ("read as µCT", "segment: Otsu"), {"scanner": "XtremeCT"})
    return Volume(values, (0.03, 0.02, 0.01), (1.0, -2.0, 0.1), TURNED, history)


@pytest.mark.parametrize("dtype", ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i2"])
def test_round_trip(dtype: str, tmp_path: Path) -> None:
    before = volume(dtype)
    after = read(write(before, tmp_path / "v.h5"))
    np.testing.assert_array_equal(after.values, before.values)
    assert after.values.dtype == np.dtype(dtype).newbyteorder("=")
    assert after.spacing_mm == before.spacing_mm
    assert after.origin_mm == before.origin_mm
    assert after.direction == before.direction
    assert after.provenance == before.provenance


def test_what_is_known_of_the_values_comes_back(tmp_path: Path) -> None:
    """A bone fraction stays one; a file that says of other values that they are is refused."""
    share = Volume((np.arange(60).reshape(3, 4, 5) * 4).astype(np.uint8), (0.02, 0.02, 0.02), kind="fraction")
    path = write(share, tmp_path / "v.h5")
    assert read(path).kind == "fraction"
    assert read(write(volume(), tmp_path / "other.h5")).kind == ""
    for kind in (b"density", b"fraction"):
        wrong = write(volume("i2"), tmp_path / "wrong.h5")
        with h5py.File(wrong, "r+") as file:
            file["values"].attrs["kind"] = np.bytes_(kind)
        with pytest.raises(InputError, match="kind"):
            read(wrong)


def test_same_bytes_for_same_volume(tmp_path: Path) -> None:
    first, second = write(volume(), tmp_path / "a.h5"), write(volume(), tmp_path / "b.h5")
    assert first.read_bytes() == second.read_bytes()


def test_our_own_millimeter_is_believed_and_can_be_overruled(tmp_path: Path) -> None:
    path = write(Volume.from_array(np.ones((3, 3, 3), bool), 1000), tmp_path / "v.h5")
    assert read(path).spacing_mm == (1.0, 1.0, 1.0)
    given = read(path, voxel_size_um=20)
    assert given.spacing_mm == (0.02, 0.02, 0.02)
    assert "1000 um" in given.provenance.steps[-1]


def test_description_tells_the_history(tmp_path: Path) -> None:
    facts = describe(write(volume(), tmp_path / "v.h5"))
    assert ("history", "segment: Otsu") in facts
    assert dict(facts)["source"].startswith("femur.mha (SHA-256 abab")


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    """Never wrong voxels, never a wrong place, in silence."""
    before = volume("u1", (4, 5, 6))
    original = write(before, tmp_path / "v.h5").read_bytes()
    rng = np.random.default_rng(2)
    noticed = 0
    for position in rng.choice(len(original), 600, replace=False):
        damaged = bytearray(original)
        damaged[position] ^= 1 << int(rng.integers(8))
        (tmp_path / "d.h5").write_bytes(damaged)
        try:
            after = read(tmp_path / "d.h5")
        except MicroctError:
            noticed += 1
            continue
        np.testing.assert_array_equal(after.values, before.values)
        assert (after.spacing_mm, after.origin_mm, after.direction) == (
            before.spacing_mm,
            before.origin_mm,
            before.direction,
        )
        assert after.provenance == before.provenance
    assert noticed > 100


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    original = write(volume("u1", (4, 5, 6)), tmp_path / "v.h5").read_bytes()
    for length in range(0, len(original), 97):
        (tmp_path / "d.h5").write_bytes(original[:length])
        with pytest.raises(InputError, match=r"d\.h5"):
            read(tmp_path / "d.h5")


def test_wrong_ending_and_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"ends in \.h5"):
        write(volume(), tmp_path / "v.nrrd")
    with pytest.raises(StorageError, match="No such file"):
        write(volume(), tmp_path / "missing" / "v.h5")


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(volume(), tmp_path / "v.h5")
    old = path.read_bytes()
    with monkeypatch.context() as patch:

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "pwrite", full)
        with pytest.raises(StorageError, match="No space left"):
            write(volume("f8"), path)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.h5"]
