"""`microct strength --table` and `--picture`: the rows of a run, and where the bone is strained most."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import microct
from microct.cli import main
from microct.io.table_file import read_table
from microct.io.writer import write
from microct.status import ExitCode
from microct.volume import Volume

UM = 50.0


@pytest.fixture(scope="module")
def pillars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two plates, joined by a thick pillar and a thin one."""
    bone = np.zeros((20, 16, 16), np.uint8)
    bone[:3] = bone[-3:] = 255
    bone[:, 3:9, 2:8] = 255
    bone[:, 11:13, 11:13] = 255
    return write(Volume.from_array(bone, UM), tmp_path_factory.mktemp("load") / "pillars.nrrd")


def test_the_table_holds_what_is_printed(pillars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = tmp_path / "strength.csv", tmp_path / "strength.png"
    words = ["strength", str(pillars), "--ends", "frictionless", "--table", str(out), "--picture", str(picture)]
    assert main(words) == ExitCode.OK
    said = capsys.readouterr().out
    printed = {line[:18].strip(): float(line[18:31]) for line in said.splitlines()[:4]}
    table = read_table(out)
    assert [(row.symbol, row.unit) for row in table] == [("E.app", "MPa"), ("K", "N/mm"), ("F.ult", "N")]
    assert table["E.app"].value == pytest.approx(printed["apparent modulus"], rel=1e-5)
    assert table["K"].value == pytest.approx(printed["stiffness"], rel=1e-5)
    assert table["F.ult"].value == pytest.approx(-printed["failure load"], rel=1e-5)
    assert table["K"].sample == "pillars.nrrd"
    about = json.loads(out.with_suffix(".json").read_text())["parameters"]
    assert about["youngs_modulus_mpa"] == "10000"
    assert about["axis"] == "z"
    assert "binary input" in about["threshold"]
    assert picture.stat().st_size > 10_000
    assert said.splitlines()[-2:] == [str(out), str(picture)]


def test_partial_voxels_are_told(tmp_path: Path) -> None:
    bone = np.zeros((8, 6, 6), np.uint8)
    bone[:, 1:5, 1:5] = 255
    bone[:, 1] = 200
    scan = write(Volume.from_array(bone, UM).with_values(bone, "made", kind="fraction"), tmp_path / "bone.h5")
    assert main(["strength", str(scan), "--partial-voxels", "--table", str(tmp_path / "s.csv")]) == ExitCode.OK
    about = read_table(tmp_path / "s.csv").parameters
    assert about["partial_voxels"] == "yes"
    assert about["threshold"] == "none"


def test_mineral_of_a_year_gives_the_stiffness_that_the_run_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that feels its load through young and old bone, and the same bone pressed afterwards."""
    study = microct.Study().with_values(
        time={"years": 1.0, "burn_in_years": 0.0, "step_days": 20.0},
        load={"axis": "z", "strength": True, "mineral": True},
        remodeling={"activation_frequency_per_year": 2.0, "erosion_depth_um": 50.0, "wall_thickness_um": 49.0},
    )
    bone = microct.sample("trabecular", size_mm=1.2, voxel_size_um=40, seed=3, bone_volume_fraction=0.3)
    run = microct.simulate(bone, study, out=tmp_path / "run")
    words = ["strength", str(run.path), "--ends", "frictionless", "--table", str(tmp_path / "s.csv")]
    stiffness = []
    for more in (["--mineral"], []):
        assert main([*words, *more]) == ExitCode.OK
        table = read_table(tmp_path / "s.csv")
        assert table.parameters["modulus_by_mineral"] == ("yes" if more else "no")
        stiffness.append(table["K"].value)
    assert stiffness[0] == pytest.approx(run.table.series("K")[-1].value, rel=1e-3)
    assert stiffness[0] < 0.97 * stiffness[1]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--mineral"], ExitCode.USAGE, "does not tell the age"),
        (["--table", "strength.txt"], ExitCode.USAGE, "--table strength.txt"),
        (["--picture", "strength.jpg"], ExitCode.USAGE, "ending in .png"),
        (["--out", "strength.txt"], ExitCode.USAGE, "--out strength.txt"),
        (["--table", "none/strength.csv"], ExitCode.STORAGE, "no folder"),
        (["--threshold", "nan"], ExitCode.USAGE, "--threshold nan"),
    ],
)
def test_refusals_come_before_the_work(
    words: list[str], code: ExitCode, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The scan is not there: what is refused first is the option."""
    monkeypatch.chdir(tmp_path)
    assert main(["strength", "no-such-scan.nrrd", *words]) == code
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert says in told
