"""`microct cells`, `microct compare`, `microct ensemble`: tables are right, pictures show something."""

import csv

import numpy as np
import pytest
from PIL import Image

import microct
from microct.cli import main
from microct.signalling import KNOCK_OUTS, Patient, Treatment, course
from microct.status import ExitCode

STUDY = """
[time]
years = 4

[patient]
age_at_start_years = 60
menopause_after_start_years = 0

[[drug]]
name = "denosumab"
start_years = 1
stop_years = 2.5
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "she.toml"
    path.write_text(STUDY)
    return path


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shows_something(path):
    picture = np.asarray(Image.open(path).convert("L"))
    return picture.min() < 100 < 250 < picture.max() and picture.std() > 10


def test_cells_writes_every_species_of_both_arms(study, tmp_path, capsys):
    assert main(["cells", str(study), "--out", str(tmp_path / "out")]) == ExitCode.OK
    rows = rows_of(tmp_path / "out" / "cells.csv")
    arms = {row["arm"] for row in rows}
    assert arms == {"as studied", "without drugs"}
    assert {"th17", "osteocytes", "CTX", "Ac.f", "denosumab.central"} <= {row["key"] for row in rows}
    births = {row["time_yr"]: float(row["value"]) for row in rows if (row["arm"], row["key"]) == ("as studied", "Ac.f")}
    expected = course(Patient("natural", 60.0, 0.0), [1.25], treatments=[Treatment("denosumab", 1.0, 2.5)])
    assert births["1.25"] == pytest.approx(expected.activation_frequency_per_yr[0], rel=1e-6)
    assert shows_something(tmp_path / "out" / "cells.png")
    assert "activation frequency" in capsys.readouterr().out


def test_compare_puts_three_women_side_by_side(study, tmp_path):
    assert main(["compare", str(study), "--out", str(tmp_path / "out")]) == ExitCode.OK
    rows = {row["what"]: row for row in rows_of(tmp_path / "out" / "compare.csv")}
    assert float(rows["Th17 cells"]["healthy young"]) == float(rows["Th17 cells"]["same age, estrogen kept"]) == 1.0
    assert float(rows["RANKL"]["as studied"]) > 2
    assert (
        float(rows["viable osteocytes"]["as studied"]) < float(rows["viable osteocytes"]["same age, estrogen kept"]) < 1
    )
    assert shows_something(tmp_path / "out" / "compare.png")


@pytest.mark.slow
def test_compare_adds_the_architecture_of_one_scan(study, tmp_path, capsys):
    """Two runs of one scan, with and without estrogen; a run of another life is refused."""
    bone = microct.sample("trabecular", size_mm=1.2, voxel_size_um=60, seed=3)
    for name, menopause in (("lost", "surgical"), ("kept", "none")):
        asked = microct.Study().with_values(
            time={"years": 1.0, "burn_in_years": 0.0},
            patient={"menopause": menopause, "menopause_after_start_years": 0.0},
            report={"thickness": False},
        )
        microct.simulate(bone, asked, out=tmp_path / name)
    command = ["compare", "--run", str(tmp_path / "lost"), "--out", str(tmp_path / "out")]
    assert main([*command, "--kept", str(tmp_path / "kept")]) == ExitCode.OK
    row = {row["what"]: row for row in rows_of(tmp_path / "out" / "compare.csv")}["BV/TV"]
    series = {name: microct.open(tmp_path / name).table.series("BV/TV") for name in ("lost", "kept")}
    assert float(row["healthy young; scan"]) == pytest.approx(series["lost"][0].value, rel=1e-3)
    assert float(row["same age, estrogen kept"]) == pytest.approx(series["kept"][-1].value, rel=1e-3)
    assert float(row["as studied"]) == pytest.approx(series["lost"][-1].value, rel=1e-3)
    assert main(command) == ExitCode.OK
    alone = {row["what"]: row for row in rows_of(tmp_path / "out" / "compare.csv")}
    assert alone["BV/TV"]["same age, estrogen kept"] == ""
    assert alone["Euler"]["unit"] == "1"
    assert main(["compare", str(study), "--run", str(tmp_path / "lost")]) == ExitCode.USAGE
    assert "not those of" in capsys.readouterr().err
    assert main(["compare", "--kept", str(tmp_path / "kept")]) == ExitCode.USAGE


@pytest.mark.slow
def test_each_mechanism_owns_a_share(study, tmp_path):
    assert main(["cells", str(study), "--knock-outs", "--no-pictures", "--out", str(tmp_path)]) == ExitCode.OK
    rows = {
        row["mechanism"]: float(row["share of the loss of trabecular bone, %"])
        for row in rows_of(tmp_path / "knock_outs.csv")
    }
    assert set(rows) == set(KNOCK_OUTS)
    assert all(share > 0 for share in rows.values())
    assert max(rows, key=rows.get) == "estrogen"


def test_ensemble_writes_bands(study, tmp_path):
    assert main(["ensemble", str(study), "--patients", "16", "--out", str(tmp_path)]) == ExitCode.OK
    last = [row for row in rows_of(tmp_path / "ensemble.csv") if row["symbol"] == "LS.BMD"][-1]
    assert float(last["time_yr"]) == 4.0
    units = {row["symbol"]: row["unit"] for row in rows_of(tmp_path / "ensemble.csv")}
    assert (units["Ac.f"], units["E.De"], units["LS.BMD"]) == ("1/yr", "um", "fold")
    assert float(last["p5"]) < float(last["p50"]) < float(last["p95"])
    assert shows_something(tmp_path / "ensemble.png")


def test_a_wrong_number_of_women_is_refused(study, tmp_path, capsys):
    assert main(["ensemble", str(study), "--patients", "0", "--out", str(tmp_path)]) == ExitCode.USAGE
    assert "expected 1 to 1000000" in capsys.readouterr().err


def test_a_knock_out_that_is_none_is_refused(study, tmp_path, capsys):
    study.write_text('[patient]\nknock_out = ["th71"]\n')
    assert main(["cells", str(study), "--out", str(tmp_path)]) == ExitCode.USAGE
    assert "did you mean 'th17'" in capsys.readouterr().err
