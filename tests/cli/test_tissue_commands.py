"""`microct scan-as`, `microct tissue-age` and `microct loss-modes`, on a run that is made for them and on files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import microct
from microct.cli import main
from microct.io.reader import read
from microct.io.run_folder import RunFolder
from microct.status import ExitCode, InputError
from microct.volume import Volume


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small block in which much is lost within a year."""
    folder = tmp_path_factory.mktemp("tissue") / "run"
    bone = microct.sample("trabecular", size_mm=1.28, voxel_size_um=40, seed=3)
    demand = {"activation_frequency_per_year": 2.0, "erosion_depth_um": 60.0, "wall_thickness_um": 40.0}
    time = {"years": 1.0, "burn_in_years": 0.0, "step_days": 20.0}
    microct.simulate(bone, microct.Study().with_values(time=time, remodeling=demand), out=folder)
    return folder


def numbers(text: str) -> dict[str, float]:
    """Values of the printed rows, by symbol."""
    lines = [line.split() for line in text.splitlines()]
    return {words[0]: float(words[1]) for words in lines if len(words) > 2 and words[1][0] in "0123456789-."}


def test_scan_of_a_run_uses_its_own_mineral(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "seen.h5"
    assert main(["scan-as", str(run), "--year", "1", "--scanner", "hrpqct-82", "--out", str(out)]) == ExitCode.OK
    said = numbers(capsys.readouterr().out)
    table = microct.open(run).table
    # Bone of the scan has ages of its own in the rows, their mean in a voxel.
    assert said["vBMD"] == pytest.approx(table["vBMD"].value, rel=3e-3)
    assert said["aBMD"] == pytest.approx(said["vBMD"] * 0.128 / 1000, rel=1e-3)
    seen = read(out)
    assert seen.shape == (15, 15, 15)
    assert seen.spacing_mm == pytest.approx((0.082,) * 3)


def test_a_run_keeps_the_age_of_its_bone(run: Path) -> None:
    result = microct.open(run)
    first, calcium = result.calcium_at(0.0), result.calcium_at(1.0)
    assert len(np.unique(first)) == 1  # all is bone of the scan, at the mean of its population
    new = calcium < 0.98 * first
    share = result.at(1.0).values[new].sum(dtype=float) / result.at(1.0).values.sum(dtype=float)
    formed = result.table.series("Fm.V")[-1].value / result.table.series("BV")[-1].value
    assert 0.5 * formed < share < formed  # some of what was formed is gone again
    assert calcium[~new].min() > 0.98 * first.min()
    modulus = result.relative_modulus_at(1.0)
    assert (modulus[new] < 0.97).all()
    assert (modulus[~new] > 0.97).all()


def test_how_old_the_bone_of_a_run_is(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = tmp_path / "calcium.h5", tmp_path / "age.png"
    assert main(["tissue-age", str(run), "--out", str(out), "--picture", str(picture)]) == ExitCode.OK
    told = capsys.readouterr().out
    result = microct.open(run)
    age, bone = result.tissue_age_at(1.0), result.at(1.0).values.astype(float)
    assert (age[bone == 0] == 0).all()
    formed = np.isfinite(age) & (bone > 0)
    assert 0 < age[formed].min() < age[formed].max() < 1.0
    share = 100 * bone[formed].sum() / bone.sum()
    assert f"{share:.3g} % of the bone was formed since the run began" in told
    assert numbers(told)["CaMean"] == pytest.approx(result.table["CaMean"].value, rel=1e-5)
    # Old bone counts as old as the run.
    mean = float((np.minimum(age, 1.0) * bone).sum() / bone.sum())
    assert mean == pytest.approx(result.table["T.Age"].value, abs=0.03)
    np.testing.assert_allclose(read(out).values, result.calcium_at(1.0))
    assert picture.stat().st_size > 10_000


def test_what_does_not_tell_the_age_of_its_bone(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tissue-age", str(run), "--year", "0", "--picture", str(tmp_path / "age.png")]) == ExitCode.BAD_INPUT
    assert "is the first" in capsys.readouterr().err
    np.save(tmp_path / "scan.npy", np.ones((4, 4, 4), np.uint8))
    assert main(["tissue-age", str(tmp_path / "scan.npy")]) == ExitCode.BAD_INPUT
    assert "expected the folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["scan-as"], ["measure"], ["strength"], ["strength", "--mineral"], ["tissue-age"]])
def test_a_run_that_kept_no_year_yet_says_so(
    words: list[str], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed before its first reporting time."""
    begun = tmp_path / "begun"
    shutil.copytree(run, begun)
    (begun / "run.vtkhdf").unlink()
    assert main([words[0], str(begun), *words[1:]]) == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "has no reporting time yet" in told


def test_scan_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.zeros((40, 40, 40), np.uint8)
    values[10:30] = 255
    np.save(tmp_path / "plate.npy", values)
    words = ["scan-as", str(tmp_path / "plate.npy"), "--voxel-size-um", "20", "--tissue-density", "1000", "--axis", "0"]
    assert main(words) == ExitCode.OK
    said = numbers(capsys.readouterr().out)
    assert said["vBMD"] == pytest.approx(500.0)
    assert said["aBMD"] == pytest.approx(0.04)


def test_loss_modes_of_a_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = tmp_path / "loss.csv", tmp_path / "loss.png"
    assert main(["loss-modes", str(run), "--out", str(out), "--picture", str(picture)]) == ExitCode.OK
    said = numbers(capsys.readouterr().out)
    assert sum(said[f"{name}/LV"] for name in ("Pl.Pf.V", "Rod.Bk.V", "Is.LV", "Thin.V")) == pytest.approx(
        100.0, abs=0.01
    )
    result = microct.open(run)
    gone = np.maximum(result.at(0.0).values.astype(int) - result.at(1.0).values, 0).sum() / 255 * 0.04**3
    assert sum(said[name] for name in ("Pl.Pf.V", "Rod.Bk.V", "Is.LV", "Thin.V")) == pytest.approx(gone, rel=1e-4)
    assert said["N.Pl.Pf"] + said["N.Rod.Bk"] > 0
    assert out.exists()
    assert picture.stat().st_size > 10_000


def test_what_fell_is_kept_and_adds_up_to_the_ledger(run: Path) -> None:
    result = microct.open(run)
    voxel = 0.04**3
    before = 0.0
    for row in result.table.series("Is.V.lost"):
        fallen = result.fallen_at(row.time_yr)
        assert fallen is not None
        assert fallen.sum(dtype=int) / 255 * voxel == pytest.approx(row.value - before, abs=1e-12)
        assert not (result.at(row.time_yr).values[fallen > 0]).any()
        before = row.value
    assert before > 0.0


def test_a_run_without_what_fell_is_judged_by_its_ledger(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an earlier version wrote it: the bone alone."""
    kept, older = microct.open(run), tmp_path / "older"
    shutil.copytree(run, older)
    (older / "run.vtkhdf").unlink()
    folder = RunFolder.open(older)
    for frame in kept.folder.frames():
        folder.append_frame(frame.step, frame.time_yr, {"bone_fraction": kept.at(frame.time_yr).values}, {})
    assert microct.open(older).fallen_at(1.0) is None
    with pytest.raises(InputError, match="did not keep the age of its bone"):
        microct.open(older).calcium_at(1.0)
    assert main(["scan-as", str(older)]) == ExitCode.OK
    assert "tissue mineral by the age" not in capsys.readouterr().out
    said = []
    for path in (run, older):
        assert main(["loss-modes", str(path)]) == ExitCode.OK
        said.append(numbers(capsys.readouterr().out))
    volumes = ("Pl.Pf.V", "Rod.Bk.V", "Is.LV", "Thin.V")
    assert sum(said[0][name] for name in volumes) == pytest.approx(sum(said[1][name] for name in volumes), rel=1e-4)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scan-as", "RUN", "--scanner", "dxa"], "hrpqct-61"),
        (["scan-as", "RUN", "--out", "seen.jpg"], ".h5"),
        (["loss-modes", "RUN", "--first", "1", "--second", "0"], "after the first"),
        (["loss-modes", "RUN", "--out", "loss.txt"], ".csv"),
        (["tissue-age", "RUN", "--out", "calcium.txt"], ".h5"),
        (["tissue-age", "RUN", "--picture", "age.foo"], "ending in .png"),
    ],
)
def test_refusals(run: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run) if word == "RUN" else word for word in words]) == ExitCode.USAGE
    assert says in capsys.readouterr().err


def test_a_volume_of_the_simulation_is_scanned_from_python() -> None:
    from microct.imaging.scanners import density, scan_as

    bone = Volume.from_array(np.full((16, 16, 16), 255, np.uint8), 20.0)
    assert scan_as(density(bone), "hrpqct-61", seed=2).values.mean() == pytest.approx(1200.0, abs=15.0)
