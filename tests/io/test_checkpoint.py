"""Checkpoints: what is saved comes back, and nothing else does."""

from __future__ import annotations

import hashlib
import io
import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from run_content import arrays_of, assert_is, new_run, save

from microct.io import checkpoint
from microct.io.sealed_json import read_sealed, write_sealed
from microct.status import InputError, InternalError

NUMBERS = st.sampled_from(["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">i4", ">f8"])


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
def test_any_array_of_numbers_comes_back(tmp_path_factory, array):
    folder = tmp_path_factory.mktemp("ckpt")
    checkpoint.save(folder, 3, {"a": array}, {}, voxels=1)
    back = checkpoint.load(folder, 3, voxels=1).arrays["a"]
    assert back.dtype == array.dtype.newbyteorder("<")
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


def test_large_array_in_several_chunks_comes_back(tmp_path):
    array = np.random.default_rng(0).integers(0, 9, (70, 90, 110), dtype=np.int32)
    strided = array.transpose(2, 0, 1)[::2]
    checkpoint.save(tmp_path, 0, {"a": array, "strided": strided}, {}, voxels=array.size)
    back = checkpoint.load(tmp_path, 0, voxels=array.size).arrays
    assert (back["a"] == array).all()
    assert (back["strided"] == strided).all()


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-308, float("inf"), -(2**63), 2**64, "ä", None, True, [1, [2]], {}])
def test_meta_comes_back_exactly(tmp_path, value):
    checkpoint.save(tmp_path, 1, {}, {"x": value, "n": np.float32(0.1)}, voxels=1)
    assert checkpoint.load(tmp_path, 1, voxels=1).meta == {"x": value, "n": float(np.float32(0.1))}


@pytest.mark.parametrize("meta", [{"x": np.zeros(3)}, {"x": {1: 2}}, {"x": object()}])
def test_meta_that_would_change_is_refused(tmp_path, meta):
    with pytest.raises(InternalError):
        checkpoint.save(tmp_path, 1, {}, meta, voxels=1)
    assert checkpoint.latest(tmp_path, voxels=1) is None


@pytest.mark.parametrize("name", ["", "/a", "a//b", "../a", "a/..", ".", "a b", "ä"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(InternalError):
        checkpoint.save(tmp_path, 1, {name: np.zeros(3)}, {}, voxels=1)


def test_objects_and_texts_are_refused(tmp_path):
    for array in (np.array(["a"]), np.array([{}], dtype=object), np.zeros(2, dtype=complex)):
        with pytest.raises(InternalError):
            checkpoint.save(tmp_path, 1, {"a": array}, {}, voxels=1)


def test_same_content_gives_same_bytes(tmp_path):
    digests = set()
    for name in ("one", "two"):
        run = new_run(tmp_path / name)
        save(run, 7)
        place = tmp_path / name / "ckpt/step-000007"
        digests.add(hashlib.sha256((place / "state.h5").read_bytes() + (place / "MANIFEST.json").read_bytes()).digest())
    assert len(digests) == 1


def test_two_newest_are_kept(tmp_path):
    run = new_run(tmp_path / "run")
    assert run.latest_checkpoint() is None
    for step in (0, 10, 20, 30):
        save(run, step)
        assert_is(run.latest_checkpoint(), step)
    assert [place.name for place in sorted((tmp_path / "run/ckpt").iterdir())] == ["step-000020", "step-000030"]


def test_saving_a_step_again_replaces_it(tmp_path):
    run = new_run(tmp_path / "run")
    for value in (1, 2, 3):
        run.save_checkpoint(5, {"a": np.array(value)}, {"value": value})
        found = run.latest_checkpoint()
        assert (found.arrays["a"], found.meta) == (value, {"value": value})
        assert len(list((tmp_path / "run/ckpt/step-000005").iterdir())) == 2


def test_damage_in_the_newest_falls_back_and_says_so(tmp_path):
    run = new_run(tmp_path / "run")
    for step in (10, 20):
        save(run, step)
    state = tmp_path / "run/ckpt/step-000020/state.h5"
    state.write_bytes(state.read_bytes()[:-1])
    found = run.latest_checkpoint()
    assert_is(found, 10)
    assert "step-000020" in found.note
    assert "went back to step 10" in found.note
    (tmp_path / "run/ckpt/step-000010/state.h5").unlink()
    with pytest.raises(InputError, match="no checkpoint is intact"):
        run.latest_checkpoint()


def test_folder_without_manifest_is_no_checkpoint(tmp_path):
    run = new_run(tmp_path / "run")
    save(run, 10)
    save(run, 20)
    (tmp_path / "run/ckpt/step-000020/MANIFEST.json").unlink()
    found = run.latest_checkpoint()
    assert_is(found, 10)
    with run.lock():
        assert not (tmp_path / "run/ckpt/step-000020").exists()


def test_newer_schema_is_refused_not_passed_over(tmp_path):
    run = new_run(tmp_path / "run")
    save(run, 10)
    save(run, 20)
    path = tmp_path / "run/ckpt/step-000020/MANIFEST.json"
    write_sealed(path, {**read_sealed(path, 1), "schema": 2, "microct": "9.0"})
    with pytest.raises(InputError, match=r"written by microct 9\.0 in schema 2.*install the newer"):
        run.latest_checkpoint()


def mutants(place, random, count):
    """Damage one file of a checkpoint: a flipped bit, a wrong byte, a cut, a block of zeros, a block moved."""
    files = sorted(place.iterdir())
    for _ in range(count):
        path = files[int(random.integers(len(files)))]
        data = bytearray(whole := path.read_bytes())
        at = int(random.integers(len(data)))
        kind = int(random.integers(5))
        if kind == 0:
            data[at] ^= 1 << int(random.integers(8))
        elif kind == 1:
            data[at] = int(random.integers(256))
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at : at + 64] = bytes(len(data[at : at + 64]))
        else:
            data[at : at + 16] = data[:16]
        path.write_bytes(bytes(data))
        yield bytes(data) != whole
        path.write_bytes(whole)


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_damaged_bytes_are_never_taken_for_a_checkpoint(tmp_path, count):
    run = new_run(tmp_path / "run")
    save(run, 10)
    save(run, 20)
    noticed = changed = 0
    for is_changed in mutants(tmp_path / "run/ckpt/step-000020", np.random.default_rng(5), count):
        found = run.latest_checkpoint()
        changed += is_changed
        noticed += found.step == 10
        assert_is(found, found.step)
        assert bool(found.note) == (found.step == 10)
    assert noticed > 0.9 * changed  # the rest changed blanks of the manifest


# --- files made to deceive: the manifest is in order, the state is not what it seems -------------------------------


def forge(run, write):
    """Replace the state of step 20 by what ``write(h5)`` makes, with a manifest whose SHA-256 fits."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=("v110", "v110")) as h5:
        write(h5)
    place = run.path / "ckpt/step-000020"
    (place / "state.h5").write_bytes(buffer.getvalue())
    record = read_sealed(place / "MANIFEST.json", 1)
    record["state"] = {
        "file": "state.h5",
        "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "bytes": len(buffer.getvalue()),
    }
    write_sealed(place / "MANIFEST.json", record)


def honest(h5):
    for name, array in arrays_of(20).items():
        h5[name] = array


def external_link(h5):
    honest(h5)
    h5["more"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_loop(h5):
    honest(h5)
    h5["loop"] = h5py.SoftLink("/loop")


def group_loop(h5):
    honest(h5)
    h5["bmu/self"] = h5["bmu"]


def external_storage(h5):
    honest(h5)
    del h5["cells"]
    h5.create_dataset("cells", (12,), "f8", external=[("/etc/hostname", 0, 96)])


def virtual(h5):
    honest(h5)
    layout = h5py.VirtualLayout((12,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "cells", (12,))
    del h5["cells"]
    h5.create_virtual_dataset("cells", layout)


def wrong_shape(h5):
    honest(h5)
    del h5["cells"]
    h5["cells"] = np.zeros(13)


def wrong_type(h5):
    honest(h5)
    del h5["cells"]
    h5["cells"] = np.zeros(12, np.float32)


def missing(h5):
    honest(h5)
    del h5["cells"]


def group_for_array(h5):
    honest(h5)
    del h5["cells"]
    h5.create_group("cells")


def huge_claim(h5):
    honest(h5)
    h5.create_dataset("huge", (2**40,), "f8", chunks=(2**10,))


def text(h5):
    honest(h5)
    h5["note"] = "text of any length"


def reference(h5):
    honest(h5)
    h5.attrs["ref"] = h5["cells"].ref


def foreign_filter(h5):
    honest(h5)
    h5.create_dataset("packed", data=np.zeros(100), compression="lzf")


FORGERIES = [external_link, soft_loop, group_loop, external_storage, virtual, wrong_shape, wrong_type, missing,
             group_for_array, huge_claim, text, reference, foreign_filter]  # fmt: skip


@pytest.mark.parametrize("write", FORGERIES)
def test_forged_state_is_refused(tmp_path, write):
    run = new_run(tmp_path / "run")
    save(run, 10)
    save(run, 20)
    forge(run, write)
    found = run.latest_checkpoint()
    assert_is(found, 10)
    assert "step-000020/state.h5" in found.note


def test_forging_itself_works(tmp_path):
    run = new_run(tmp_path / "run")
    save(run, 20)
    forge(run, honest)
    assert_is(run.latest_checkpoint(), 20)


@pytest.mark.parametrize(
    "change",
    [
        {"step": 21},
        {"state": {"file": "../../initial.h5", "sha256": "", "bytes": 1}},
        {"state": {"file": "state.h5", "sha256": "", "bytes": -1}},
        {"arrays": {"a": {"dtype": "|O", "shape": [1]}}},
        {"arrays": {"a": {"dtype": "<f8", "shape": [2**50]}}},
        {"arrays": {"a": {"dtype": "<f8", "shape": [-1]}}},
        {"arrays": {"../a": {"dtype": "<f8", "shape": [1]}}},
        {"arrays": [1]},
        {"arrays": None},
    ],
)
def test_forged_manifest_is_refused(tmp_path, change):
    run = new_run(tmp_path / "run")
    save(run, 10)
    save(run, 20)
    path = tmp_path / "run/ckpt/step-000020/MANIFEST.json"
    write_sealed(path, {**read_sealed(path, 1), **change})
    assert_is(run.latest_checkpoint(), 10)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"schema": 1}'])
def test_nonsense_manifest_is_refused(tmp_path, data):
    run = new_run(tmp_path / "run")
    save(run, 10)
    save(run, 20)
    (tmp_path / "run/ckpt/step-000020/MANIFEST.json").write_bytes(data)
    assert_is(run.latest_checkpoint(), 10)


def test_manifest_is_json_for_everyone(tmp_path):
    run = new_run(tmp_path / "run")
    save(run, 20)
    record = json.loads((tmp_path / "run/ckpt/step-000020/MANIFEST.json").read_text())
    assert record["arrays"]["bone_fraction"] == {"dtype": "|u1", "shape": [4, 5, 6]}
