"""One rule of what is bone, wherever a volume goes: measure, strength, simulate, and the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import microct
from microct.cli import main
from microct.io.volume_hdf5 import write
from microct.morphometry.report import measure
from microct.status import ExitCode, InputError
from microct.volume import Volume

STUDY = microct.Study().with_values(
    time={"years": 0.2, "burn_in_years": 0.0, "report_every_years": 0.1}, report={"thickness": False}
)


@pytest.fixture(scope="module")
def bone() -> np.ndarray:
    return microct.sample("trabecular", size_mm=1.2, voxel_size_um=50, seed=3).values >= 128


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The first two words of every line of a table."""
    lines = (line.split() for line in capsys.readouterr().out.splitlines())
    return {words[0]: words[1] for words in lines if len(words) > 1}


def masks(bone: np.ndarray) -> list[np.ndarray]:
    """The same bone with labels as files have them."""
    pairs = [(0, 1, "u1"), (0, 127, "u1"), (0, 200, "u1"), (1, 2, "u1"), (-1, 0, "i2"), (0, 127, "i2"), (0, 1, "f4")]
    return [bone, *(np.where(bone, high, low).astype(kind) for low, high, kind in pairs)]


def test_labels_of_a_mask_make_no_difference(bone: np.ndarray) -> None:
    """The higher of two values is bone."""
    found = set()
    for values in masks(bone):
        volume = Volume.from_array(values, 50.0)
        share = measure(volume, thickness=False)["BV/TV"].value
        stiffness = microct.strength(volume, tolerance=1e-5).stiffness_n_per_mm
        found.add((round(share, 9), round(stiffness, 6)))
    assert len(found) == 1
    assert next(iter(found))[0] == pytest.approx(100.0 * bone.mean())


def test_a_mask_made_of_a_fraction_is_a_mask(bone: np.ndarray) -> None:
    """The kind of a volume goes where its values no longer fit it, and is refused where they never did."""
    share = microct.sample("trabecular", size_mm=1.2, voxel_size_um=50, seed=3)
    half = share.with_values(share.values >= 128, "half or more")
    assert (share.kind, half.kind) == ("fraction", "")
    np.testing.assert_array_equal(half.values, bone)
    mask = Volume.from_array(bone, 50.0)
    for question in (
        lambda v: microct.strength(v, tolerance=1e-5).stiffness_n_per_mm,
        lambda v: microct.segment(v).values,
    ):
        np.testing.assert_array_equal(question(half), question(mask))
    with pytest.raises(InputError, match="fraction is uint8"):
        Volume(bone, (0.05, 0.05, 0.05), kind="fraction")


def test_a_run_takes_every_mask(bone: np.ndarray, tmp_path: Path) -> None:
    tables = []
    for number, values in enumerate([masks(bone)[place] for place in (0, 3, 4)]):
        run = microct.simulate(Volume.from_array(values, 50.0), STUDY, out=tmp_path / str(number))
        tables.append([(row.symbol, row.value) for row in run.table if not np.isnan(row.value)])
    assert tables[0] == tables[1] == tables[2]
    with pytest.raises(InputError, match="Volume"):
        microct.simulate(bone, STUDY, out=tmp_path / "array")  # type: ignore[arg-type]


def test_a_year_of_a_run_is_bone_fraction_that_every_tool_takes(
    bone: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = microct.simulate(Volume.from_array(bone, 50.0), STUDY, out=tmp_path / "run")
    last = run.at(run.times_yr[-1])
    assert last.kind == run.at(0).kind == "fraction"
    assert measure(last, thickness=False)["BV/TV"].value == pytest.approx(run.table["BV/TV"].value)
    assert microct.strength(last, tolerance=1e-5).stiffness_n_per_mm > 0
    capsys.readouterr()
    assert main(["measure", str(tmp_path / "run"), "--no-keep-largest"]) == ExitCode.OK
    said = printed(capsys)
    assert float(said["BV/TV"]) == pytest.approx(run.table["BV/TV"].value, rel=1e-4)
    assert main(["measure", str(tmp_path / "run"), "--year", "7"]) == ExitCode.BAD_INPUT


def test_the_command_line_reads_a_fraction_as_python_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Partial voxels count by their share, in volume and, where asked for, in stiffness."""
    share = microct.sample("trabecular", size_mm=1.2, voxel_size_um=50, seed=3)
    path = str(write(share, tmp_path / "share.h5"))
    assert main(["measure", path, "--no-keep-largest"]) == ExitCode.OK
    said = printed(capsys)
    assert float(said["BV/TV"]) == pytest.approx(100.0 * share.values.mean() / 255.0, rel=1e-4)
    stiffness = []
    for words in ([], ["--partial-voxels"]):
        assert main(["strength", path, *words]) == ExitCode.OK
        lines = capsys.readouterr().out.splitlines()
        stiffness.append(next(float(line.split()[1]) for line in lines if line.startswith("stiffness")))
    halves = microct.strength(microct.segment(share)).stiffness_n_per_mm
    partly = microct.strength(share, partial_voxels=True).stiffness_n_per_mm
    np.testing.assert_allclose(stiffness, [halves, partly], rtol=1e-4)
    assert abs(partly / halves - 1.0) > 1e-3
    np.save(tmp_path / "grey.npy", share.values)
    words = ["strength", str(tmp_path / "grey.npy"), "--voxel-size-um", "50", "--partial-voxels"]
    assert main(words) == ExitCode.USAGE


def test_bone_that_is_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second piece, a fifth of the bone; and a mask of the scan's voxels that does not say how large they are."""
    values = np.zeros((20, 20, 20), np.uint8)
    values[2:10, 2:10, 2:10], values[14:18, 14:18, 12:18] = 1, 1
    path = str(write(Volume.from_array(values, 20.0), tmp_path / "two.h5"))
    assert main(["measure", path]) == ExitCode.OK
    said = capsys.readouterr()
    assert "15.8 % of the bone is left out" in said.err
    assert main(["measure", path, "--no-keep-largest"]) == ExitCode.OK
    assert not capsys.readouterr().err
    np.save(tmp_path / "mask.npy", np.ones((20, 20, 20), np.uint8))
    assert main(["measure", path, "--mask", str(tmp_path / "mask.npy")]) == ExitCode.OK
