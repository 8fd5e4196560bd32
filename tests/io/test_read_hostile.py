"""Every file of the hostile corpus is refused: at once, in one clean line, without reading anything else."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest
from corpus import headers, hostile, tiffs

from microct.io.describe import describe
from microct.io.reader import read
from microct.status import InputError, StudyError, VoxelSizeError

OPENED: list[str] | None = None


def _watch(event: str, arguments: tuple) -> None:
    if OPENED is not None and event == "open" and isinstance(arguments[0], str | bytes):
        OPENED.append(os.fsdecode(arguments[0]))


sys.addaudithook(_watch)


@pytest.mark.parametrize("name", hostile.CASES)
def test_hostile_file_is_refused(name: str, tmp_path: Path) -> None:
    global OPENED
    (tmp_path / hostile.SECRET).write_bytes(b"S" * 64)
    folder = tmp_path / name
    folder.mkdir()
    path = hostile.CASES[name](folder)
    OPENED, start = [], time.process_time()
    try:
        with pytest.raises(InputError) as caught:
            read(path)
    finally:
        opened, OPENED = OPENED, None
    message = str(caught.value)
    assert time.process_time() - start < 2.0
    assert re.fullmatch(r"[^\x00-\x1f\x7f\x1b]+", message), repr(message)
    assert len(message) < 700
    assert path.name.split("\0")[0].split(".")[0] in message or "s" in message.split(":")[0]
    outside = [name for name in opened if name.startswith(str(tmp_path)) and not name.startswith(str(folder))]
    assert not outside
    assert not [name for name in opened if name.startswith("/etc/passwd")]


def test_corpus_is_large_enough() -> None:
    assert len(hostile.CASES) >= 100


@pytest.mark.parametrize(
    ("make", "name", "shape"),
    [
        (headers.nrrd, "s.nrrd", (4, 4, 4)),
        (headers.mha, "s.mha", (4, 4, 4)),
        (headers.nifti, "s.nii", (4, 4, 4)),
        (tiffs.tiff, "s.tif", (4, 4, 4)),
    ],
)
def test_the_unspoilt_file_is_read(make, name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    """So that a case is refused for its own lie, not because its basis is broken."""
    (tmp_path / name).write_bytes(make())
    volume = read(tmp_path / name)
    assert volume.shape == shape
    assert 0.0194 < volume.spacing_mm[0] < 0.0201


@pytest.mark.parametrize("name", [name for name in hostile.CASES if re.search("spacing_|screen|no_voxel_size", name)])
def test_voxel_size_refusal_says_how_to_give_it_and_info_still_works(name: str, tmp_path: Path) -> None:
    path = hostile.CASES[name](tmp_path)
    if "words" in name:
        return
    with pytest.raises(VoxelSizeError, match=r"voxel size unknown: .+--voxel-size-um or voxel_size_um="):
        read(path)
    facts = dict(describe(path))
    assert facts["voxel size"].startswith("unknown: give --voxel-size-um")
    assert "physical size" not in facts
    volume = read(path, voxel_size_um=(30, 20, 10))
    assert volume.spacing_mm == (0.03, 0.02, 0.01)
    assert "given" in volume.provenance.steps[-1]


def test_budget_refuses_before_allocation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.nrrd"
    path.write_bytes(headers.nrrd())
    monkeypatch.setenv("MICROCT_MAX_VOXELS", "63")
    with pytest.raises(InputError, match=r"s\.nrrd: sizes: 64 voxels .* more than the 63 .*MICROCT_MAX_VOXELS"):
        read(path)
    monkeypatch.setenv("MICROCT_MAX_VOXELS", "64")
    assert read(path).shape == (4, 4, 4)
    monkeypatch.setenv("MICROCT_MAX_VOXELS", "many")
    with pytest.raises(StudyError, match="positive number of voxels, got many"):
        read(path)


def test_more_than_the_machine_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.nrrd"  # sparse: claims and holds 8 TiB
    header = headers.nrrd(b"", sizes="2048 2048 2048", type="double")
    path.write_bytes(header)
    with pytest.raises(InputError, match=r"sizes: needs 64\.0 GiB|expected 68719476736 bytes"):
        read(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "s.nrrd"
    path.write_bytes(headers.nrrd())
    path.chmod(0)
    with pytest.raises(InputError, match=r"s\.nrrd: cannot be read \(permission denied\)"):
        read(path)


def test_misspelt_name_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "vertebra.nrrd").write_bytes(headers.nrrd())
    with pytest.raises(InputError, match=r"cannot be read \(No such file.*did you mean vertebra\.nrrd\?"):
        read(tmp_path / "vertebre.nrrd")


@pytest.mark.parametrize("size", [0, -5, float("nan"), float("inf"), "ten", (1, 2), 1e6, [[1, 2, 3]] * 3])
def test_impossible_voxel_size_is_refused(size: object, tmp_path: Path) -> None:
    (tmp_path / "s.nrrd").write_bytes(headers.nrrd())
    with pytest.raises(VoxelSizeError, match="voxel_size_um"):
        read(tmp_path / "s.nrrd", voxel_size_um=size)


@pytest.mark.parametrize("path", [None, 7, b"x"])
def test_no_path(path: object) -> None:
    with pytest.raises(InputError):
        read(path)
