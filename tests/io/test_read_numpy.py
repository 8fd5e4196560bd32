"""NumPy files: exact values of every type and order, spacing out of named arrays, pickle never touched."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from microct.io.reader import read
from microct.status import InputError, VoxelSizeError

DTYPES = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


def grey(dtype: str) -> np.ndarray:
    return (np.random.default_rng(5).normal(size=(3, 4, 5)) * 50).astype(dtype)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_npy(dtype: str, order: str, fortran: bool, tmp_path: Path) -> None:
    values = grey(dtype).astype(np.dtype(dtype).newbyteorder(order))
    np.save(tmp_path / "s.npy", np.asfortranarray(values) if fortran else values)
    volume = read(tmp_path / "s.npy", voxel_size_um=20)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == np.dtype(dtype)
    assert volume.values.flags.c_contiguous
    assert volume.spacing_mm == (0.02, 0.02, 0.02)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"spacing_xyz": [0.01, 0.02, 0.03]}, (0.03, 0.02, 0.01)),
        ({"spacing_zyx_um": [30.0, 20.0, 10.0]}, (0.03, 0.02, 0.01)),
        ({"spacing_um_zyx": [30.0, 20.0, 10.0]}, (0.03, 0.02, 0.01)),
        ({"voxel_size_um": 20}, (0.02, 0.02, 0.02)),
        ({"voxelsize": np.float32(0.02)}, (0.02, 0.02, 0.02)),
        ({"spacing": [0.02, 0.02, 0.02]}, (0.02, 0.02, 0.02)),
        ({"spacing": [0.01, 0.02, 0.03]}, "does not name its axis order"),
        ({"spacing": [20.0, 20.0, 20.0]}, "without a unit"),
        ({"spacing_mm": 1.0}, "exactly 1 mm"),
        ({"spacing_um": [1, 2]}, "not 1 or 3"),
        ({"spacing_um": 0}, "above zero"),
        ({"resolution": 20.0}, "does not say"),
    ],
)
def test_npz_spacing(save, keys: dict, expected: object, tmp_path: Path) -> None:
    save(tmp_path / "s.npz", labels=grey("u1"), **keys)
    if isinstance(expected, str):
        with pytest.raises(VoxelSizeError, match=expected):
            read(tmp_path / "s.npz")
    else:
        volume = read(tmp_path / "s.npz")
        np.testing.assert_array_equal(volume.values, grey("u1"))
        np.testing.assert_allclose(volume.spacing_mm, expected, rtol=1e-6)


def test_npz_choice_of_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", other=grey("f4"), labels_xyz=grey("u1"), spacing_um=20.0, note=np.array("hello"))
    volume = read(tmp_path / "s.npz")
    np.testing.assert_array_equal(volume.values, grey("u1").transpose(2, 1, 0))
    assert volume.provenance.header["array"] == "labels_xyz"


class Trap:
    """Unpickling this would leave a mark."""

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("/tmp/microct-was-pickled"),))


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    array = np.empty((1, 1, 1), object)
    array[0, 0, 0] = Trap()
    mark = tmp_path / "mark"
    Trap.__reduce__ = lambda self: (Path.touch, (mark,))  # type: ignore[method-assign]
    np.save(tmp_path / "s.npy", array, allow_pickle=True)
    np.savez(tmp_path / "s.npz", volume=array, allow_pickle=True)
    for name in ("s.npy", "s.npz"):
        with pytest.raises(InputError, match="never unpickled"):
            read(tmp_path / name)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Trap()))
    assert mark.exists()  # the trap works, so the test can fail
