"""Crashes at every point: each prefix of the writes, each torn write, any loss of power, and real kills.

The simulator records every call that changes storage while a run saves, then rebuilds the folder as a crash would
have left it and opens it. Whatever was acknowledged must be there, and whatever is there must be right.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from failing_disk import RecordingDisk, acknowledged, after_power_loss, replay, torn
from run_content import (
    STUDY,
    append,
    arrays_of,
    assert_frames_are,
    assert_is,
    litter,
    memory_folder,
    new_run,
    save,
    start_volume,
    table_until,
)

from microct.io import safe_file
from microct.io.run_folder import RunFolder
from microct.io.safe_file import SafeFile

STEPS = (0, 10, 20, 30)


@pytest.fixture
def tmp_path():
    yield from memory_folder()


def record(tmp_path, monkeypatch, work):
    """The calls of ``work(run, disk)`` on a new run, and a copy of the run as it was before."""
    run = new_run(tmp_path / "run")
    before = tmp_path / "before"
    shutil.copytree(run.path, before)
    disk = RecordingDisk()
    monkeypatch.setattr(safe_file, "DISK", disk)
    work(run, disk)
    monkeypatch.undo()
    return disk.calls, before, run.path


def save_all(run, disk):
    for step in STEPS:
        save(run, step)
        disk.acknowledge(step)
    save(run, STEPS[-1])  # again: the acknowledged one must stay in reach


def append_all(run, disk):
    for step in STEPS:
        append(run, step)
        disk.acknowledge(step)


class Judge:
    """Opens a crashed folder and judges what is in it; a folder with the same files is read once."""

    def __init__(self, newest):
        self.newest = newest
        self.known = {}

    def __call__(self, folder, calls):
        for _ in range(2):
            files = sorted(
                path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".tmp", ".json")
            )
            files += sorted(folder.rglob("MANIFEST.json"))
            content = tuple((path.relative_to(folder), path.read_bytes()) for path in files if path.name != "LOCK")
            if content not in self.known:
                self.known[content] = self.newest(RunFolder.open(folder))
            assert self.known[content] >= acknowledged(calls)
            with RunFolder(folder, "", {}).lock():  # sweeps, and must not take anything that counts
                pass
        assert not litter(folder)


def newest_checkpoint(run):
    found = run.latest_checkpoint()
    if found:
        assert_is(found, found.step)
    return found.step if found else -1


def newest_frame(run):
    steps = [frame.step for frame in run.frames()]
    assert steps == list(STEPS[: len(steps)])
    assert_frames_are(run, steps)
    return max(steps, default=-1)


PROTOCOLS = pytest.mark.parametrize(("work", "newest"), [(save_all, newest_checkpoint), (append_all, newest_frame)])


@PROTOCOLS
def test_every_prefix_and_every_torn_write(tmp_path, monkeypatch, work, newest):
    judge = Judge(newest)
    calls, before, root = record(tmp_path, monkeypatch, work)
    random = np.random.default_rng(0)
    for end in range(len(calls) + 1):
        states = [calls[:end]]
        if end and calls[end - 1].kind == "write" and len(calls[end - 1].data) > 1:
            states.append(torn(calls[:end], random))
        for state in states:
            replay(state, before, root, tmp_path / "crashed")
            judge(tmp_path / "crashed", state)
    assert len(calls) > 60


@pytest.mark.parametrize("count", [100, pytest.param(5000, marks=pytest.mark.slow)])
@PROTOCOLS
def test_loss_of_power(tmp_path, monkeypatch, work, newest, count):
    judge = Judge(newest)
    calls, before, root = record(tmp_path, monkeypatch, work)
    random = np.random.default_rng(1)
    for _ in range(count):
        end = int(random.integers(len(calls) + 1))
        replay(after_power_loss(calls[:end], random), before, root, tmp_path / "crashed")
        judge(tmp_path / "crashed", calls[:end])


# --- negative controls: the same simulator must find fault with what people usually write --------------------------


def overwrite_in_place(run, disk):
    """One checkpoint file, overwritten at every step, flushed and synced."""
    path = run.path / "ckpt.h5"
    for step in STEPS:
        fd = disk.overwrite(path)
        with h5py.File(SafeFile(path, fd), "w") as h5:
            h5.attrs["step"] = step
            for name, array in arrays_of(step).items():
                h5[name] = array
        disk.sync(fd)
        disk.close(fd)
        disk.sync_folder(run.path)
        disk.acknowledge(step)


def rename_without_sync(run, disk):
    """Temporary file and rename, but nothing is ever synced."""
    path = run.path / "ckpt.h5"
    for step in STEPS:
        fd = disk.create(run.path / "ckpt.h5.tmp")
        with h5py.File(SafeFile(path, fd), "w") as h5:
            h5.attrs["step"] = step
            for name, array in arrays_of(step).items():
                h5[name] = array
        disk.close(fd)
        disk.rename(run.path / "ckpt.h5.tmp", path)
        disk.acknowledge(step)


def survives_naively(folder, calls):
    if acknowledged(calls) < 0:
        return True
    try:
        with h5py.File(folder / "ckpt.h5", "r") as h5:
            step = int(h5.attrs["step"])
            right = all((h5[name][()] == array).all() for name, array in arrays_of(step).items())
            return right and step >= acknowledged(calls)
    except (OSError, KeyError, RuntimeError):
        return False


def test_the_simulator_finds_fault_with_overwriting(tmp_path, monkeypatch):
    calls, before, root = record(tmp_path, monkeypatch, overwrite_in_place)
    lost = 0
    for end in range(len(calls) + 1):
        replay(calls[:end], before, root, tmp_path / "crashed")
        lost += not survives_naively(tmp_path / "crashed", calls[:end])
    assert lost > len(calls) // 4
    assert survives_naively(tmp_path / "crashed", calls)  # whole where nothing crashed: it fails for the reason meant


def test_the_simulator_finds_fault_with_rename_without_sync(tmp_path, monkeypatch):
    calls, before, root = record(tmp_path, monkeypatch, rename_without_sync)
    random = np.random.default_rng(2)
    lost = 0
    for _ in range(50):
        replay(after_power_loss(calls, random), before, root, tmp_path / "crashed")
        lost += not survives_naively(tmp_path / "crashed", calls)
    assert lost > 25
    replay(calls, before, root, tmp_path / "crashed")
    assert survives_naively(tmp_path / "crashed", calls)


# --- rewind and create, killed half-way ----------------------------------------------------------------------------


def test_rewind_killed_anywhere_can_be_repeated(tmp_path, monkeypatch):
    run = new_run(tmp_path / "run")
    for step in STEPS:
        append(run, step)
        run.write_table(table_until(step))
        save(run, step)
    shutil.copytree(run.path, tmp_path / "before")
    disk = RecordingDisk()
    monkeypatch.setattr(safe_file, "DISK", disk)
    run.rewind(20)
    monkeypatch.undo()
    expected = {name: (run.path / name).read_bytes() for name in ("run.vtkhdf", "table.csv")}
    assert any(call.kind == "remove" for call in disk.calls)
    for end in [i for i, call in enumerate(disk.calls) if call.kind in ("rename", "remove", "rmdir")] + [
        len(disk.calls)
    ]:
        replay(disk.calls[:end], tmp_path / "before", run.path, tmp_path / "crashed")
        again = RunFolder.open(tmp_path / "crashed")
        assert again.latest_checkpoint().step >= 20
        with again.lock():
            again.rewind(20)
        assert {name: (again.path / name).read_bytes() for name in expected} == expected
        assert_is(again.latest_checkpoint(), 20)
        assert not litter(again.path)


def test_create_killed_anywhere_can_be_repeated(tmp_path, monkeypatch):
    disk = RecordingDisk()
    monkeypatch.setattr(safe_file, "DISK", disk)
    root = new_run(tmp_path / "run").path
    monkeypatch.undo()
    before = tmp_path / "before"
    before.mkdir()
    (before / "LOCK").write_bytes(b"microct run\nprocess 1 on nowhere\n")
    for end in range(len(disk.calls) + 1):
        inside = [call for call in disk.calls[:end] if call.path.is_relative_to(root) or not call.path.name]
        replay(inside, before, root, tmp_path / "crashed")
        RunFolder.create(tmp_path / "crashed", STUDY, start_volume())
        assert (RunFolder.open(tmp_path / "crashed").initial.values == start_volume().values).all()
        assert not litter(tmp_path / "crashed")


# --- real kills ----------------------------------------------------------------------------------------------------

KILLER = Path(__file__).with_name("kill_runs.py")


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_processes_lose_nothing(tmp_path, kills):
    environment = {**os.environ, "PYTHONPATH": str(KILLER.parent)}
    done = subprocess.run(
        [sys.executable, str(KILLER), str(tmp_path / "run"), str(kills)],
        capture_output=True, text=True, timeout=600, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["unopenable"] == result["lost"] == result["wrong"] == 0, result
    assert result["kills"] == kills
    assert result["acknowledged"] >= kills // 4
