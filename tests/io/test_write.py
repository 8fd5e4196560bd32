"""Volumes and tables for other programs: read back here, and by the programs' own libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import microct
from microct.cli import main
from microct.status import ExitCode, StorageError, StudyError
from microct.volume import Provenance, Volume

TURNED = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
KINDS = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i2"]


def volume(kind: str) -> Volume:
    values = (np.random.default_rng(1).random((5, 7, 6)) * 100 - (kind[-2] == "i") * 50).astype(kind)
    history = Provenance("fémur.mha", "ab" * 32, ("read as one\nof two", "segment: Otsu"))
    return Volume(values, (0.03, 0.02, 0.01), (1.0, -2.0, 0.1), TURNED, history)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".h5", ".nrrd", ".tif", ".npy"])
def test_what_is_written_is_read_again(kind: str, ending: str, tmp_path: Path) -> None:
    before, path = volume(kind), tmp_path / f"v{ending}"
    if ending == ".tif" and kind in ("i8", "u8"):
        with pytest.raises(StorageError, match="no place in TIFF"):
            microct.write(before, path)
        assert not list(tmp_path.iterdir())
        return
    assert microct.write(before, path) == path
    after = microct.read(path, (30, 20, 10) if ending == ".npy" else None)
    scale = 255 if kind == "b1" and ending in (".nrrd", ".tif") else 1  # masks as Fiji has them
    np.testing.assert_array_equal(after.values, before.values.astype(after.values.dtype) * scale)
    np.testing.assert_allclose(after.spacing_mm, before.spacing_mm, rtol=1e-6)
    if ending in (".h5", ".nrrd"):
        assert (after.origin_mm, after.direction) == (before.origin_mm, before.direction)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_same_volume_same_bytes(tmp_path: Path) -> None:
    for ending in (".nrrd", ".tif", ".npy"):
        paths = [microct.write(volume("u1"), tmp_path / f"{name}{ending}") for name in "ab"]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_other_libraries_read_it(tmp_path: Path) -> None:
    nrrd = pytest.importorskip("nrrd")
    before = volume("i2")
    values, header = nrrd.read(str(microct.write(before, tmp_path / "v.nrrd")), index_order="C")
    np.testing.assert_array_equal(values, before.values)
    np.testing.assert_allclose(np.linalg.norm(header["space directions"], axis=1)[::-1], before.spacing_mm)
    np.testing.assert_allclose(header["space origin"][::-1], before.origin_mm)
    assert header["history 0"] == "f?mur.mha"
    with tifffile.TiffFile(microct.write(volume("u1"), tmp_path / "v.tif")) as file:
        assert file.is_imagej
        assert file.imagej_metadata["spacing"] == pytest.approx(30.0)
        assert file.series[0].axes == "ZYX"


def test_a_table_is_written_with_what_it_depends_on(tmp_path: Path) -> None:
    bone = microct.sample("trabecular", size_mm=1.2, voxel_size_um=50, seed=3)
    path = microct.write(microct.measure(bone, thickness=False), tmp_path / "t.csv")
    assert "BV/TV" in path.read_text(encoding="utf-8")
    assert path.with_suffix(".json").exists()
    with pytest.raises(StudyError, match=r"ends in \.csv"):
        microct.write(microct.measure(bone, thickness=False), tmp_path / "t.xlsx")
    with pytest.raises(StudyError, match=r"ends in \.h5, \.nrrd"):
        microct.write(bone, tmp_path / "v.vtk")


def test_a_year_of_a_run_goes_to_other_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bone = microct.sample("trabecular", size_mm=1.2, voxel_size_um=60, seed=3)
    study = microct.Study().with_values(time={"years": 1, "burn_in_years": 0}, report={"thickness": False})
    run = microct.simulate(bone, study, out=tmp_path / "run")
    assert main(["convert", str(tmp_path / "run"), str(tmp_path / "one.tif"), "--year", "1"]) == ExitCode.OK
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "one.tif"), run.at(1).values)
    assert main(["convert", str(tmp_path / "one.tif"), str(tmp_path / "one.vtk")]) == ExitCode.USAGE
    assert "expected a file name" in capsys.readouterr().err


def test_maps_of_thickness_are_written_for_other_programs(tmp_path: Path) -> None:
    """The mean over the bone of the mask is Tb.Th; voxels that are no cubes can be resampled on the way."""
    bone = microct.segment(microct.sample("trabecular", size_mm=1.2, voxel_size_um=50, seed=3))
    mask = np.zeros(bone.shape, np.uint8)
    mask[4:20, 4:20, 4:20] = 1
    scan, region = microct.write(bone, tmp_path / "bone.h5"), tmp_path / "mask.npy"
    np.save(region, mask)
    words = ["measure", str(scan), "--mask", str(region), "--no-keep-largest", "--maps", str(tmp_path / "maps")]
    assert main(words) == ExitCode.OK
    table = microct.measure(bone, mask)
    for symbol, phase in (("Tb.Th", bone.values > 0), ("Tb.Sp", bone.values == 0)):
        found = microct.read(tmp_path / "maps" / f"bone.{symbol}.nrrd")
        assert found.spacing_mm == pytest.approx(bone.spacing_mm)
        assert not found.values[mask == 0].any()
        assert found.values[phase & (mask > 0)].mean() == pytest.approx(table[symbol].value, rel=0.05)
    long = microct.Volume.from_array(bone.values, (50.0, 50.0, 100.0))
    path = microct.write(long, tmp_path / "long.nrrd")
    assert main(["measure", str(path), "--maps", str(tmp_path / "maps")]) == ExitCode.BAD_INPUT
    assert main(["convert", str(path), str(tmp_path / "cubes.h5"), "--resample-um", "50"]) == ExitCode.OK
    assert microct.read(tmp_path / "cubes.h5").is_isotropic
