"""Damaged files of every format: a validated volume or a refusal in one line, never anything else, never slowly."""

from __future__ import annotations

import gzip
import io
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from corpus import headers, tiffs
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microct.io.describe import describe
from microct.io.reader import read
from microct.io.volume_hdf5 import write
from microct.status import MicroctError
from microct.volume import Volume

SCRATCH = Path(tempfile.mkdtemp(prefix="microct-fuzz-"))
LIMIT_S = 2.0


@pytest.fixture(scope="module", autouse=True)
def _clean_up():
    yield
    for path in SCRATCH.iterdir():
        path.unlink()
    SCRATCH.rmdir()


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, 4, 4), np.uint8))
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, volume=np.zeros((4, 4, 4), np.uint8), spacing_zyx_um=np.array([10.0, 20, 30]))
    return buffer.getvalue()


def _hdf5() -> bytes:
    path = write(Volume.from_array(np.zeros((4, 4, 4), np.uint8), 20), SCRATCH / "seed.h5")
    return path.read_bytes()


def _imagej() -> bytes:
    buffer = io.BytesIO()
    options = {"imagej": True, "resolution": (50.0, 50.0), "metadata": {"unit": "mm", "spacing": 0.02, "axes": "ZYX"}}
    tifffile.imwrite(buffer, np.zeros((4, 4, 4), np.uint8), **options)
    return buffer.getvalue()


SEEDS = {
    "raw.nrrd": headers.nrrd(),
    "gzip.nrrd": headers.nrrd(gzip.compress(bytes(64)), encoding="gzip", space_origin="(1,2,3)"),
    "raw.mha": headers.mha(Offset="1 2 3", TransformMatrix="1 0 0 0 1 0 0 0 1"),
    "zlib.mha": headers.mha(zlib.compress(bytes(64)), CompressedData="True"),
    "little.nii": headers.nifti(),
    "big.nii": headers.nifti(order=">"),
    "form.nii": headers.nifti(form=(252, "2h", (1, 0)), scale=(112, "2f", (2.0, 5.0))),
    "packed.nii.gz": gzip.compress(headers.nifti()),
    "plain.tif": tiffs.tiff(),
    "zlib.tif": tiffs.tiff(2, compression="zlib", predictor=2),
    "big.tif": tiffs.tiff(2, bigtiff=True),
    "tiles.tif": tiffs.tiff(2, tile=(16, 16)),
    "imagej.tif": _imagej(),
    "array.npy": _npy(),
    "archive.npz": _npz(),
    "own.h5": _hdf5(),
}


def survives(name: str, data: bytes, voxel_size_um: float | None) -> str:
    """Read ``data`` as a file of this name; what came of it. Any other exception than ours fails the test."""
    path = SCRATCH / f"mutant-{name}"
    path.write_bytes(data)
    start = time.process_time()
    try:
        volume = read(path, voxel_size_um)
    except MicroctError as error:
        message = str(error)
        assert message
        assert message.isprintable(), repr(message)
        assert path.name in message or "mutant" in message
        outcome = "refused"
    else:
        assert volume.values.ndim == 3
        assert volume.values.size <= 4096
        assert all(np.isfinite(size) and 0 < size <= 10 for size in volume.spacing_mm)
        assert np.isfinite([*volume.origin_mm, *np.ravel(volume.direction)]).all()
        assert volume.provenance.sha256
        outcome = "read"
    try:
        assert all(text.isprintable() for pair in describe(path) for text in pair)
    except MicroctError:
        assert outcome == "refused"
    assert time.process_time() - start < LIMIT_S
    return outcome


@pytest.mark.parametrize("name", SEEDS)
def test_seed_is_read(name: str) -> None:
    assert survives(name, SEEDS[name], 20.0) == "read"


def mutate(data: bytes, changes: list[tuple[float, int]], cut: float | None) -> bytes:
    """Overwrite bytes at relative positions, then cut the file off."""
    changed = bytearray(data)
    for place, value in changes:
        changed[min(int(place * len(data)), len(data) - 1)] = value
    return bytes(changed if cut is None else changed[: int(cut * len(data))])


PLACES = st.floats(0, 1, exclude_max=True)
CHANGES = st.lists(st.tuples(PLACES, st.integers(0, 255)), min_size=1, max_size=6)


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=50)
@given(changes=CHANGES, cut=st.none() | st.none() | PLACES, size=st.sampled_from([None, 20.0]))
@example(changes=[], cut=0.0, size=None)
def test_mutants(name: str, changes: list, cut: float | None, size: float | None) -> None:
    survives(name, mutate(SEEDS[name], changes, cut), size)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=800)
@given(changes=CHANGES, cut=st.none() | st.none() | PLACES, size=st.sampled_from([None, 20.0]))
def test_many_mutants(name: str, changes: list, cut: float | None, size: float | None) -> None:
    survives(name, mutate(SEEDS[name], changes, cut), size)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_every_byte_of_every_header(name: str) -> None:
    """Each of the first 400 bytes set to five telling values, and its lowest and highest bit flipped."""
    seed = SEEDS[name]
    outcomes = set()
    for position in range(min(len(seed), 400)):
        for value in {0, 0x20, 0x2D, 0x7F, 0xFF, seed[position] ^ 1, seed[position] ^ 0x80}:
            changed = bytearray(seed)
            changed[position] = value
            outcomes.add(survives(name, bytes(changed), 20.0))
    assert outcomes == {"read", "refused"}


NUMBERS = ["0", "-1", "1e999", "nan", "inf", "9" * 400, "1_0", "4 4", "4 4 4", "4 4 4 4"]
VECTORS = ["(1,0,0)", "(,,)", "none", "(nan,0,0) (0,1,0)", "(1e200,0,0) (0,1e200,0) (0,0,1e200)"]
TEXTS = [
    "",
    " ",
    "raw",
    "gzip",
    "LIST",
    "LOCAL",
    "../x",
    "%d",
    "True",
    "float",
    "MET_FLOAT",
    "\x00",
    "\x85",
    "µm",
    '"mm"',
]
WORDS = st.sampled_from(NUMBERS + VECTORS + TEXTS)
NRRD_FIELDS = "sizes dimension type endian encoding space space_directions space_origin space_units spacings units"
NRRD_FIELDS += " byte_skip line_skip data_file space_dimension"
META_FIELDS = "NDims DimSize ElementType ElementSpacing ElementSize Offset TransformMatrix HeaderSize CompressedData"
META_FIELDS += " CompressedDataSize BinaryData ElementDataFile ElementNumberOfChannels"


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(NRRD_FIELDS.split()), WORDS, max_size=4))
def test_nrrd_fields(fields: dict[str, str]) -> None:
    survives("fields.nrrd", headers.nrrd(**fields), None)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(META_FIELDS.split()), WORDS, max_size=4))
def test_metaimage_fields(fields: dict[str, str]) -> None:
    survives("fields.mha", headers.mha(**fields), None)


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(40, 344), st.sampled_from("hifd")), max_size=4),
    st.lists(st.sampled_from([0, 1, -1, 2, 3, 4, 300, 32767, 1e30, -1e30, float("nan"), float("inf")]), min_size=4),
    st.sampled_from("<>"),
)
def test_nifti_fields(places: list[tuple[int, str]], values: list[float], order: str) -> None:
    changes = {}
    for i, ((offset, code), value) in enumerate(zip(places, values, strict=False)):
        if code in "hi":
            value = int(np.nan_to_num(value, posinf=32767, neginf=-32768) if abs(value) < 1e5 else 32767)
        changes[f"c{i}"] = (offset, code, value)
    survives("fields.nii", headers.nifti(order=order, **changes), None)


@settings(max_examples=40)
@given(st.text(max_size=300), st.floats(0, 1e9), st.integers(0, 5))
@example("ImageJ=1\nunit=um\nspacing=.", 0.05, 1)
@example("ImageJ=1\nunit=um\nspacing=--5\nimages=99999999999999999999", 0.05, 1)
@example('<OME><Pixels PhysicalSizeX="." PhysicalSizeY="e" PhysicalSizeZ="-1" SizeZ="4">', 1.0, 2)
@example('{"shape": [[], {}]}', 1.0, 2)
@example('{"shape": [1e400, 2, 3]}', 1.0, 2)
@example('{"shape": ' + "[" * 3000, 1.0, 2)
def test_tiff_descriptions(text: str, resolution: float, unit: int) -> None:
    buffer = io.BytesIO()
    description = text.encode("utf-8", "replace").replace(b"\0", b" ") + b"\0"
    extra = [(270, 1, len(description), description, True)]  # as bytes: tifffile writes texts in ASCII only
    tifffile.imwrite(
        buffer,
        np.zeros((2, 4, 4), np.uint8),
        metadata=None,
        extratags=extra,
        resolution=(resolution, resolution),
        resolutionunit=max(unit, 1),
    )
    # the tag becomes a text again
    data = buffer.getvalue().replace(b"\x0e\x01\x01\x00", b"\x0e\x01\x02\x00", 1)
    survives("text.tif", data, None)


@settings(max_examples=60)
@given(
    st.text(max_size=100)
    | st.sampled_from(["[" * 99, "{'descr': '|u1'}", "-" * 99, "{'descr':'|u1','shape':(True,1,1)}"])
)
def test_npy_headers(text: str) -> None:
    header = text.encode("utf-8", "replace")[:100].ljust(118) + b"\n"
    survives("header.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64), 20.0)
