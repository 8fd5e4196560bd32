"""Whole runs on disk: resumed equals uninterrupted, signals, files; from a bone to pictures' input."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import microct
from microct.io.run_folder import RunFolder
from microct.simulation.run import Progress
from microct.status import InputError, Preempted, StudyError
from microct.volume import Volume

SYMBOLS = (
    *("BV/TV", "Po", "BS/BV", "Tb.Th", "Tb.Sp", "Tb.N", "Conn.D", "Euler", "N.Comp", "Is.V"),
    *("Rs.V", "Fm.V", "Is.V.lost", "Ledger", "Ac.f", "E.De", "W.Th", "E2"),
)


@pytest.fixture(scope="module")
def bone() -> Volume:
    """A small specimen."""
    return microct.sample("trabecular", size_mm=1.6, voxel_size_um=40, seed=2)


@pytest.fixture(scope="module")
def study() -> microct.Study:
    """Two years of menopause after half a year of burn-in."""
    return microct.Study().with_values(
        time={"years": 2, "burn_in_years": 0.5, "report_every_years": 0.5, "checkpoint_every_years": 0.5},
        patient={"menopause_after_start_years": 0.0},
    )


@pytest.fixture(scope="module")
def whole(bone: Volume, study: microct.Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    microct.simulate(bone, study, out=out)
    return out


def state_of(out: Path) -> dict[str, str]:
    """SHA-256 of every array of the last checkpoint, and what its meta data say."""
    found = RunFolder.open(out).latest_checkpoint()
    assert found is not None
    digests = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in found.arrays.items()}
    return digests | {"meta": repr(sorted(found.meta.items()))}


def products_of(out: Path) -> dict[str, bytes]:
    """Table and viewer file, byte for byte."""
    return {name: (out / name).read_bytes() for name in ("table.csv", "run.vtkhdf")}


class StopAt:
    """Progress that sends this process a signal when the run has come to a year."""

    def __init__(self, year: float, number: int = signal.SIGTERM) -> None:
        self.year, self.number, self.sent = year, number, False

    def __call__(self, progress: Progress) -> None:
        if progress.time_yr >= self.year and not self.sent:
            self.sent = True
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("year", [-0.3, pytest.param(0.7, marks=pytest.mark.slow)])
def test_resumed_equals_uninterrupted(
    bone: Volume, study: microct.Study, whole: Path, tmp_path: Path, year: float
) -> None:
    """Stopped by a signal in the burn-in or between two reports and resumed: the same bits in state and files."""
    out = tmp_path / "run"
    with pytest.raises(Preempted, match="microct resume"):
        microct.simulate(bone, study, out=out, progress=StopAt(year))
    resumed = microct.resume(out)
    assert state_of(out) == state_of(whole)
    assert products_of(out) == products_of(whole)
    assert resumed.times_yr == microct.open(whole).times_yr


@pytest.mark.parametrize("year", [-1.0, 1.2])
def test_a_run_killed_without_warning_goes_on_from_its_last_checkpoint(
    bone: Volume, study: microct.Study, whole: Path, tmp_path: Path, year: float
) -> None:
    """Everything after a checkpoint, the very first or a later one, is lost and done again: the same bits."""
    out = tmp_path / "run"

    def kill(progress: Progress) -> None:
        if progress.time_yr > year and (out / "ckpt" / "step-000000").exists() == (year < 0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        microct.simulate(bone, study, out=out, progress=kill)
    microct.resume(out)
    assert state_of(out) == state_of(whole)
    assert products_of(out) == products_of(whole)


@pytest.mark.slow
def test_another_seed_gives_another_run(bone: Volume, study: microct.Study, whole: Path, tmp_path: Path) -> None:
    """The comparison of bits above can fail."""
    microct.simulate(bone, study.with_values(remodeling={"seed": 2}), out=tmp_path / "run")
    assert state_of(tmp_path / "run") != state_of(whole)


def test_the_run_tells_what_happened(whole: Path) -> None:
    run = microct.open(whole)
    table = run.table
    assert table["BV/TV"].unit == "%"
    assert [round(t, 1) for t in run.times_yr] == [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0]
    for symbol in SYMBOLS:
        assert symbol in table, symbol
    assert all(row.value == 0.0 for row in table.series("Ledger"))
    # The change of bone volume is what the ledger says, to the precision of the table's floats.
    first, last = table.series("BV")[0], table.series("BV")[-1]
    formed, resorbed, islands = (table.series(symbol) for symbol in ("Fm.V", "Rs.V", "Is.V.lost"))
    change = sum(sign * (rows[-1].value - rows[0].value) for sign, rows in ((1, formed), (-1, resorbed), (-1, islands)))
    assert last.value - first.value == pytest.approx(change, rel=1e-9)
    assert table["BV/TV"].value < table.series("BV/TV")[0].value
    assert run.at(1.5).values.dtype == np.uint8
    with pytest.raises(InputError, match="0"):
        run.at(7.0)


def test_a_used_folder_is_refused_and_kept(bone: Volume, study: microct.Study, whole: Path) -> None:
    before = products_of(whole)
    with pytest.raises(StudyError, match="resume"):
        microct.simulate(bone, study, out=whole)
    assert products_of(whole) == before


def test_resuming_a_finished_run_changes_nothing(whole: Path) -> None:
    before = products_of(whole), state_of(whole)
    microct.resume(whole)
    assert (products_of(whole), state_of(whole)) == before


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((20, 20, 20), np.uint8), "no bone"),
        (np.full((20, 20, 20), 255, np.uint8), "nothing but bone"),
        (np.full((1, 1, 1), 255, np.uint8), "too few"),
        (np.indices((20, 20, 20))[0].astype(np.float32), "bone fraction"),
    ],
)
def test_bone_that_cannot_be_remodeled_is_refused(values: np.ndarray, words: str, tmp_path: Path) -> None:
    """And no folder is left behind."""
    with pytest.raises(InputError, match=words):
        microct.simulate(Volume.from_array(values, 20), microct.Study(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("voxel_um", [2.0, 200.0])
def test_voxels_that_cannot_show_a_cavity_are_refused(voxel_um: float, tmp_path: Path) -> None:
    values = np.zeros((20, 20, 20), np.uint8)
    values[:10] = 255
    with pytest.raises(InputError, match="resample"):
        microct.simulate(Volume.from_array(values, voxel_um), microct.Study(), out=tmp_path / "run")
