"""Storage that refuses: full, faulty, slow to give. The process lives, the error is clear, nothing is lost or left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from failing_disk import FailingDisk, ShortDisk
from run_content import (
    STUDY,
    append,
    assert_frames_are,
    assert_is,
    litter,
    memory_folder,
    new_run,
    save,
    table_until,
)

from microct.io import safe_file
from microct.io.run_folder import RunFolder
from microct.io.safe_file import SafeFile, replacing
from microct.status import ExitCode, InputError, StorageError


@pytest.fixture
def tmp_path():
    yield from memory_folder()


WRITES = ("write",)
CHANGES = ("create", "write", "truncate", "sync", "rename", "mkdir", "syncdir")


def save_20(run):
    save(run, 20)


def append_20(run):
    append(run, 20)


def table_20(run):
    run.write_table(table_until(20))


def rewind_0(run):
    run.rewind(0)


@pytest.mark.parametrize(
    ("kinds", "code", "forever"),
    [
        pytest.param(WRITES, errno.ENOSPC, True, id="full"),
        pytest.param(WRITES, errno.EDQUOT, True, id="quota", marks=pytest.mark.slow),
        pytest.param(CHANGES, errno.EIO, False, id="one-fault"),
        pytest.param(CHANGES, errno.EIO, True, id="faulty", marks=pytest.mark.slow),
        pytest.param(("sync",), errno.EIO, False, id="sync"),
        pytest.param((*CHANGES, "remove"), errno.EROFS, True, id="read-only"),
    ],
)
@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("work", [save_20, append_20, table_20, rewind_0])
def test_failure_at_every_call(tmp_path, monkeypatch, work, kinds, code, forever, stride):
    run = new_run(tmp_path / "run")
    for step in (0, 10):
        append(run, step)
        run.write_table(table_until(step))
        save(run, step)
    for at in range(0, 500, stride):
        disk = FailingDisk(at, kinds, code, forever)
        monkeypatch.setattr(safe_file, "DISK", disk)
        refusal = None
        try:
            work(run)
        except StorageError as error:
            refusal = error
        monkeypatch.undo()
        if refusal:
            assert refusal.exit_code == ExitCode.STORAGE
            assert os.strerror(code) in str(refusal)
            assert str(run.path) in str(refusal)
            assert "\n" not in str(refusal)
        if "remove" not in kinds:
            assert not litter(run.path)
        found = run.latest_checkpoint()
        assert_is(found, found.step)
        assert not found.note
        steps = [frame.step for frame in run.frames()]
        assert_frames_are(run, steps)
        rows = run.read_table().rows
        assert rows == table_until(10 * len(rows) - 10).rows
        if not disk.failed:
            break
        if work is not rewind_0:
            assert found.step >= 10
            assert len(steps) >= 2
            assert len(rows) >= 2
            run.rewind(10)  # back to where it was, had the work got through
    assert not disk.failed, "more than 500 calls?"
    assert at > 0, "nothing was ever refused"
    with run.lock():
        run.rewind(10)
        work(run)  # space is free again: all goes on
    assert not litter(run.path)


@pytest.mark.parametrize(("kinds", "error"), [(WRITES, errno.ENOSPC), (CHANGES, errno.EIO)])
def test_create_on_a_full_disk_leaves_nothing(tmp_path, monkeypatch, kinds, error):
    for at in range(200):
        disk = FailingDisk(at, kinds, error)
        monkeypatch.setattr(safe_file, "DISK", disk)
        try:
            new_run(tmp_path / "run")
        except StorageError:
            assert not (tmp_path / "run").exists()
        monkeypatch.undo()
        if not disk.failed:
            break
    assert at > 5
    assert RunFolder.open(tmp_path / "run").study_text == STUDY


def test_reading_a_faulty_disk_says_so(tmp_path, monkeypatch):
    run = new_run(tmp_path / "run")
    append(run, 0)
    save(run, 0)
    for work in (run.latest_checkpoint, run.frames, lambda: RunFolder.open(run.path).initial):
        for at in range(100):
            disk = FailingDisk(at, ("read",), errno.EIO)
            monkeypatch.setattr(safe_file, "DISK", disk)
            try:
                work()
            except InputError:
                assert disk.failed
            else:
                assert not disk.failed
                break
            finally:
                monkeypatch.undo()
        assert at > 0


def test_disk_that_gives_little_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_file, "DISK", ShortDisk())
    run = new_run(tmp_path / "run")
    append(run, 0)
    append(run, 10)
    save(run, 10)
    assert_frames_are(run, [0, 10])
    assert_is(RunFolder.open(run.path).latest_checkpoint(), 10)


def test_too_little_space_is_noticed_before_writing(tmp_path, monkeypatch):
    class SmallDisk(safe_file.Disk):
        def free_bytes(self, path):
            return 10

    run = new_run(tmp_path / "run")
    save(run, 10)
    monkeypatch.setattr(safe_file, "DISK", SmallDisk())
    with pytest.raises(StorageError, match=r"checkpoint needs about .* MB and the disk has .* MB left"):
        save(run, 20)
    assert not (run.path / "ckpt/step-000020").exists()


def test_interrupt_while_writing_reaches_the_caller_and_leaves_nothing(tmp_path, monkeypatch):
    class Interrupted(safe_file.Disk):
        def write_at(self, fd, data, offset):
            raise KeyboardInterrupt

    run = new_run(tmp_path / "run")
    save(run, 10)
    monkeypatch.setattr(safe_file, "DISK", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        save(run, 20)
    monkeypatch.undo()
    assert not litter(run.path)
    assert_is(run.latest_checkpoint(), 10)


def test_overlay_shows_the_library_what_it_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_file, "DISK", FailingDisk(2, WRITES))
    path = tmp_path / "x"
    fd = safe_file.DISK.create(path)
    file = SafeFile(path, fd)
    expected = bytearray(400)
    random = np.random.default_rng(0)
    for _ in range(50):
        at, size = int(random.integers(300)), int(random.integers(1, 100))
        data = random.bytes(size)
        file.seek(at)
        assert file.write(data) == size
        expected[at : at + size] = data
    file.seek(0)
    assert file.read() == bytes(expected[: file.seek(0, os.SEEK_END)])
    with pytest.raises(StorageError, match="No space left"):
        file.check()
    os.close(fd)


def test_old_file_stays_where_the_block_fails(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"new" * (1 // 0))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_temporary_name_that_is_a_link_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "x.tmp").symlink_to(victim)
    safe_file.write_whole(tmp_path / "x", b"new")
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "x").read_bytes() == b"new"


REAL = """
import resource, sys
import numpy as np
from run_content import assert_is, assert_frames_are, litter, new_run, save, append
from microct.status import StorageError
from pathlib import Path
run = new_run(Path(sys.argv[1]))
save(run, 10)
append(run, 10)
big = np.random.default_rng(0).standard_normal((40, 40, 40))
{limit}
for attempt in range(3):
    try:
        run.save_checkpoint(20 + attempt, {{"big": big}}, {{}})
    except StorageError as error:
        print(error.exit_code.value, error)
assert_is(run.latest_checkpoint(), 10)
assert_frames_are(run, [10])
assert not litter(run.path)
save(run, 30)
assert_is(run.latest_checkpoint(), 30)
"""


def run_script(script: str, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.run(
        [*prefix, sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )


def test_file_size_limit_of_the_system(tmp_path):
    """The kernel itself refuses, in the middle of libhdf5."""
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    done = run_script(REAL.format(limit=limit), str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert [line[:2] for line in done.stdout.splitlines()] == ["74"] * 3


@pytest.mark.slow
def test_disk_that_is_really_full(tmp_path):
    """A file system of 400 kB; needs the right to mount one."""
    place = tmp_path / "small"
    place.mkdir()
    prefix = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=400k none {place} && exec "$@"', "sh")
    try:
        allowed = subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("mounting a small file system is not allowed here")
    quiet = "import microct.io.checkpoint; microct.io.checkpoint.require_space = lambda *a: None"
    done = run_script(REAL.format(limit=quiet), str(place / "run"), prefix=prefix)
    assert done.returncode == 0, done.stderr
    assert [line[:2] for line in done.stdout.splitlines()] == ["74"] * 3


def test_folder_that_cannot_be_written(tmp_path):
    if os.geteuid() == 0:
        place = Path("/proc/microct-run")  # even root cannot make a folder here
    else:
        tmp_path.chmod(0o500)
        place = tmp_path / "run"
    with pytest.raises(StorageError, match="writing failed"):
        new_run(place)
