"""A whole run from the command line: study in, files out, stopped and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from microct.cli import main
from microct.status import ExitCode

STUDY = """
[scan]
file = "bone.h5"

[time]
years = {years}
burn_in_years = 0.5
report_every_years = 0.5
checkpoint_every_years = 0.5

[report]
thickness = false
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small specimen and two studies of it."""
    place = tmp_path_factory.mktemp("study")
    words = ["--size-mm", "1.6", "--voxel-size-um", "50", "--bone-volume-fraction", "0.3"]
    assert main(["sample", "trabecular", *words, "--out", str(place / "bone.h5")]) == 0
    (place / "short.toml").write_text(STUDY.format(years=1))
    (place / "long.toml").write_text(STUDY.format(years=100))
    return place


@pytest.mark.slow
def test_run_ends_by_naming_its_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "short"
    assert main(["run", str(folder / "short.toml"), "--out", str(out), "--no-pictures"]) == 0
    said = capsys.readouterr().out
    assert "year   1.0 of 1  BV/TV" in said
    assert f"Files in {out}:" in said
    assert "table.csv" in said
    assert "run.vtkhdf" in said
    assert main(["info", str(out)]) == 0
    assert "BV/TV" in capsys.readouterr().out
    assert main(["run", str(folder / "short.toml"), "--out", str(out), "--no-pictures"]) in (64, 65, 74)
    assert str(out) in capsys.readouterr().err
    assert main(["resume", str(out), "--no-pictures"]) == 0


@pytest.mark.slow
def test_interrupted_run_ends_with_75_and_says_how_to_go_on(folder: Path) -> None:
    out = folder / "long"
    words = [sys.executable, "-m", "microct", "run", str(folder / "long.toml"), "--out", str(out), "--no-pictures"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    table = out / "table.csv"
    while not (table.exists() and "0.5" in table.read_text()) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == ExitCode.PREEMPTED
    assert f"microct resume {out}" in errors.strip().splitlines()[-1]
    assert "Traceback" not in errors


def test_resume_of_what_is_no_run_ends_with_65(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(tmp_path)]) == ExitCode.BAD_INPUT
    assert main(["render", str(tmp_path / "none")]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.slow
def test_demo_study_names_an_embedded_sample() -> None:
    from importlib.resources import files

    from microct.imaging.specimens import load_sample
    from microct.simulation.config import Study

    study = Study.from_toml(files("microct.cli").joinpath("demo.toml").read_text(encoding="utf-8"))
    assert study.scan.sample is not None
    assert load_sample(study.scan.sample).values.any()
