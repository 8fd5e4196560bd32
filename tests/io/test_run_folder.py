"""The run folder: made once, found again, one writer at a time, rewound to where a resumed run goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import time

import numpy as np
import pytest
from run_content import (
    STUDY,
    append,
    arrays_of,
    assert_frames_are,
    assert_is,
    new_run,
    save,
    start_volume,
    table_until,
)

from microct.io.run_folder import RunFolder
from microct.io.sealed_json import read_sealed, write_sealed
from microct.status import InputError, StorageError, StudyError
from microct.table import Row, Table
from microct.volume import Provenance, Volume


def test_what_was_given_is_found_again(tmp_path):
    source = Provenance("scan.tif", "ab" * 32, ("segmented at 128",), {"Scanner": "S"})
    start = start_volume()
    initial = Volume(start.values, start.spacing_mm, start.origin_mm, start.direction, source)
    RunFolder.create(tmp_path / "deep" / "run", STUDY, initial)
    run = RunFolder.open(tmp_path / "deep" / "run")
    assert run.study_text == STUDY
    assert (run.path / "study.toml").read_bytes() == STUDY.encode()
    assert (run.initial.values == initial.values).all()
    assert run.initial.values.dtype == np.uint8
    assert (run.initial.spacing_mm, run.initial.origin_mm) == (initial.spacing_mm, initial.origin_mm)
    assert run.initial.direction == initial.direction
    assert run.initial.provenance == source
    assert run.path == (tmp_path / "deep" / "run").absolute()
    record = json.loads((run.path / "run.json").read_text())
    assert record["input"]["sha256"] == "ab" * 32
    assert run.latest_checkpoint() is None
    assert run.frames() == []


def test_line_ends_of_the_study_are_kept(tmp_path):
    RunFolder.create(tmp_path / "run", "a = 1\r\nb = 2\r", start_volume())
    assert RunFolder.open(tmp_path / "run").study_text == "a = 1\r\nb = 2\r"


def test_existing_run_is_refused(tmp_path):
    run = new_run(tmp_path / "run")
    save(run, 10)
    with pytest.raises(StudyError, match=r"holds a run already; go on with `microct resume .*, or give another folder"):
        new_run(tmp_path / "run")
    assert_is(RunFolder.open(tmp_path / "run").latest_checkpoint(), 10)


def test_run_without_checkpoint_is_begun_again(tmp_path):
    """Killed in its first seconds, after the first frame and table: nothing is lost, and nothing is left of it."""
    run = new_run(tmp_path / "run")
    append(run, 0)
    run.write_table(table_until(0))
    again = new_run(tmp_path / "run")
    assert again.frames() == []
    assert not (tmp_path / "run" / "table.csv").exists()


def test_years_that_were_kept_are_never_begun_again(tmp_path):
    """A run whose checkpoints somebody threw away still holds its results."""
    run = new_run(tmp_path / "run")
    append(run, 0)
    append(run, 10)
    with pytest.raises(StudyError, match="holds a run already"):
        new_run(tmp_path / "run")
    assert len(run.frames()) == 2


@pytest.mark.parametrize("name", ["thesis.docx", "study.toml", "run.json.bak", "ckpt"])
def test_foreign_folder_is_refused_and_untouched(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(StudyError, match="not empty"):
        new_run(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "precious"}


def test_foreign_lock_file_does_not_make_a_folder_ours(tmp_path):
    (tmp_path / "LOCK").write_text("of another program")
    (tmp_path / "study.toml").write_text("precious")
    with pytest.raises(StudyError, match="not empty"):
        new_run(tmp_path)
    assert (tmp_path / "study.toml").read_text() == "precious"


def test_empty_folder_will_do(tmp_path):
    (tmp_path / "run").mkdir()
    assert new_run(tmp_path / "run").study_text == STUDY


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("precious")
    for path in (tmp_path / "run", tmp_path / "run" / "deeper"):
        with pytest.raises(StudyError, match="found a file"):
            new_run(path)


def test_grey_values_are_no_bone_fraction(tmp_path):
    with pytest.raises(InputError, match=r"uint8, 0 to 255\), got int16"):
        RunFolder.create(tmp_path / "run", "", Volume(np.ones((2, 2, 2), np.int16), (0.02,) * 3))
    assert not (tmp_path / "run").exists()


def test_open_what_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="not a run of microct"):
            RunFolder.open(path)


def test_changed_study_is_noticed(tmp_path):
    run = new_run(tmp_path / "run")
    (run.path / "study.toml").write_text(STUDY + "years = 20\n", encoding="utf-8")
    with pytest.raises(InputError, match="changed since the run began"):
        RunFolder.open(run.path)


def test_newer_run_is_refused(tmp_path):
    run = new_run(tmp_path / "run")
    write_sealed(run.path / "run.json", {**read_sealed(run.path / "run.json", 1), "schema": 2})
    with pytest.raises(InputError, match="install the newer"):
        RunFolder.open(run.path)


def test_damaged_start_is_never_taken_for_bone(tmp_path):
    run = new_run(tmp_path / "run")
    truth = run.initial
    random = np.random.default_rng(0)
    noticed = 0
    for name in ("initial.h5", "run.json"):
        whole = (run.path / name).read_bytes()
        for _ in range(100):
            data = bytearray(whole)
            data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
            (run.path / name).write_bytes(data)
            try:
                seen = RunFolder.open(run.path).initial
            except InputError:
                noticed += 1
            else:
                assert (seen.values == truth.values).all()
                assert (seen.spacing_mm, seen.origin_mm) == (truth.spacing_mm, truth.origin_mm)
        (run.path / name).write_bytes(whole)
    assert noticed > 50


# --- lock ----------------------------------------------------------------------------------------------------------


def hold(path, ready, release):
    with RunFolder.open(path).lock():
        ready.set()
        release.wait(30)


def test_second_holder_is_told_who_is_first(tmp_path):
    run = new_run(tmp_path / "run")
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(run.path, ready, release))
    holder.start()
    try:
        assert ready.wait(30)
        began = time.monotonic()
        with pytest.raises(StorageError, match=f"process {holder.pid} on {socket.gethostname()}"), run.lock():
            pytest.fail("two holders")
        assert time.monotonic() - began < 1
        assert RunFolder.open(run.path).study_text == STUDY  # reading needs no lock
        holder.kill()  # SIGKILL: nothing is tidied up
        holder.join()
        with run.lock():
            assert f"process {os.getpid()} on" in (run.path / "LOCK").read_text()
    finally:
        holder.kill()
        holder.join()


def test_lock_is_free_after_the_block_however_it_ends(tmp_path):
    run = new_run(tmp_path / "run")
    with pytest.raises(ZeroDivisionError), run.lock():
        _ = 1 / 0
    with run.lock(), pytest.raises(StorageError, match="in use by process"), RunFolder.open(run.path).lock():
        pytest.fail("two holders in one process")
    with run.lock():
        pass


def test_lock_that_is_a_link_is_not_followed(tmp_path):
    run = new_run(tmp_path / "run")
    (tmp_path / "victim").write_text("precious")
    (run.path / "LOCK").unlink()
    (run.path / "LOCK").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError), run.lock():
        pytest.fail("followed")
    assert (tmp_path / "victim").read_text() == "precious"


# --- rewind --------------------------------------------------------------------------------------------------------


def go_on(run, first, last):
    for step in range(first, last + 1, 10):
        append(run, step)
        run.write_table(table_until(step))
        save(run, step)


def test_interrupted_run_ends_with_the_same_files(tmp_path):
    straight = new_run(tmp_path / "straight" / "run")
    go_on(straight, 0, 50)
    bent = new_run(tmp_path / "bent" / "run")
    go_on(bent, 0, 20)
    append(bent, 30)  # killed between the frame and the table
    for _ in range(2):
        with bent.lock():
            bent.rewind(bent.latest_checkpoint().step)
    go_on(bent, 30, 40)
    append(bent, 50)
    bent.write_table(table_until(50))  # killed between the table and the checkpoint
    bent.rewind(bent.latest_checkpoint().step)
    go_on(bent, 50, 50)
    names = {path.relative_to(straight.path) for path in straight.path.rglob("*") if path.is_file()}
    assert names == {path.relative_to(bent.path) for path in bent.path.rglob("*") if path.is_file()}
    for name in names - {straight.path.joinpath(n).relative_to(straight.path) for n in ("LOCK", "run.json")}:
        assert (straight.path / name).read_bytes() == (bent.path / name).read_bytes(), name


def test_rewind_between_reports_keeps_rows_up_to_the_checkpoint(tmp_path):
    run = new_run(tmp_path / "run")
    append(run, 0)
    run.save_checkpoint(15, arrays_of(15), {"time_yr": 1.5})
    append(run, 20)
    run.write_table(Table(tuple(Row("BV/TV", time_yr, time_yr) for time_yr in (0.0, 1.0, 1.5, 1.75, 2.0))))
    run.rewind(15)
    assert [row.time_yr for row in run.read_table()] == [0.0, 1.0, 1.5]
    assert_frames_are(run, [0])
    assert run.latest_checkpoint().step == 15


def test_rewind_without_checkpoint_goes_by_frames(tmp_path):
    run = new_run(tmp_path / "run")
    for step in (0, 10, 20):
        append(run, step)
    run.write_table(table_until(20))
    run.rewind(15)
    assert [row.time_yr for row in run.read_table()] == [0.0, 1.0]
    run.rewind(-1)
    assert len(run.read_table()) == 0
    assert run.frames() == []


def test_rewind_removes_later_checkpoints(tmp_path):
    run = new_run(tmp_path / "run")
    go_on(run, 0, 30)
    state = run.path / "ckpt/step-000030/state.h5"
    state.write_bytes(state.read_bytes()[:-1])
    run.rewind(run.latest_checkpoint().step)
    assert not state.parent.exists()
    assert not run.latest_checkpoint().note
    assert_is(run.latest_checkpoint(), 20)
