"""The command line: answers at once, refuses in one line, ends with the documented exit code."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from microct import cli
from microct.cli import commands, main, verdict
from microct.status import ExitCode, InputError, Preempted

HEAVY = ("jax", "pyvista", "vtkmodules", "matplotlib", "skimage", "scipy", "h5py", "tifffile", "pandas")


def one_line_of(capsys: pytest.CaptureFixture[str]) -> str:
    """What stands on stderr, which must be a single line without a traceback."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    """A scan of a plate that fills half of the block."""
    grey = np.full((20, 20, 20), 10, np.uint8)
    grey[5:15] = 200
    grey[0, 0, 0] = 90
    path = tmp_path / "plate.npy"
    np.save(path, grey)
    return path


def cpu_seconds(*words: str) -> float:
    """Processor time of one cold ``microct``: unlike the clock, it hardly depends on what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "microct", *words], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_answers_within_300_ms() -> None:
    assert any(cpu_seconds("--help") < 0.3 for _ in range(12))


def test_help_loads_no_guest() -> None:
    code = "import sys; from microct.cli import main; main(['run', '--help']); print(*sys.modules, file=sys.stderr)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(answer.stderr.split())
    assert "STUDY" in answer.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("microct 0.")


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("run", "demo", "resume", "measure", "render", "sample", "info", "doctor", "cortex", "density", "follow-up")
    for name in (*names, "strength"):
        assert main([name, "--help"]) == 0
        assert f"microct {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["mesure", "x.tif"], 'Did you mean "measure"'),
        (["info", "x.tif", "--voxel-size", "3"], "--voxel-size"),
        (["measure", "x.tif", "--sigma", "big"], "big"),
        (["measure", "x.tif", "--convention", "exakt"], "exakt"),
        (["run"], "study"),
        (["run", "no-such-study.toml"], "no-such-study.toml: the study cannot be read"),
    ],
)
def test_wrong_words_end_with_64(words: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.USAGE
    assert part.lower() in one_line_of(capsys).lower()


def test_wrong_study_ends_with_64(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "study.toml"
    study.write_text("[time]\nyeers = 5\n")
    assert main(["run", str(study)]) == ExitCode.USAGE
    assert 'unknown key "yeers" in [time]; did you mean "years"?' in one_line_of(capsys)


def test_missing_and_damaged_scans_end_with_65(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(b"II*\0\xff\xff\xff\xff")
    for scan in (tmp_path / "none.tif", damaged):
        assert main(["info", str(scan)]) == ExitCode.BAD_INPUT
        assert scan.name in one_line_of(capsys)


def test_info_says_what_a_file_holds(plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(plate)]) == 0
    said = capsys.readouterr().out
    assert "20 x 20 x 20 voxels" in said
    assert "--voxel-size-um" in said
    assert main(["info", str(plate), "--voxel-size-um", "20"]) == 0
    assert "0.4 x 0.4 x 0.4 mm" in capsys.readouterr().out


def test_measure_refuses_an_unknown_voxel_size(plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(plate)]) == ExitCode.BAD_INPUT
    assert "--voxel-size-um" in one_line_of(capsys)


def test_measure_finds_the_plate(plate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "table.csv"
    assert main(["measure", str(plate), "--voxel-size-um", "20", "--threshold", "100", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.startswith("BV/TV "))
    assert float(row.split()[1]) == pytest.approx(50.0)
    assert "%" in row
    assert "BV/TV" in out.read_text()


def test_sample_makes_what_info_and_measure_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bone.h5"
    words = ["--size-mm", "1.6", "--voxel-size-um", "50", "--bone-volume-fraction", "0.3", "--seed", "2"]
    assert main(["sample", "trabecular", *words, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert main(["info", str(out)]) == 0
    assert "32 x 32 x 32 voxels" in capsys.readouterr().out
    assert main(["sample", "trabeculer", "--out", str(out)]) == ExitCode.USAGE
    assert "trabecular" in one_line_of(capsys)
    assert main(["sample", "trabecular", "--out", "bone.jpg"]) == ExitCode.USAGE
    assert ".h5" in one_line_of(capsys)


@pytest.mark.parametrize("words", [["--threshold", "bright"], ["--out", "table.xls"]])
def test_measure_refuses_wrong_options(words: list[str], plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(plate), "--voxel-size-um", "20", *words]) == ExitCode.USAGE
    assert words[0] in one_line_of(capsys)


def test_maps_follow_the_preset(plate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plate of 10 voxels of 20 um is 0.20 mm thick, and a voxel less as IPL counts."""
    from microct.io.reader import read

    for preset, thick in (("ctan", 0.20), ("scanco", 0.18)):
        words = ["--voxel-size-um", "20", "--threshold", "100", "--preset", preset, "--maps", str(tmp_path / preset)]
        assert main(["measure", str(plate), *words]) == 0
        assert read(tmp_path / preset / "plate.Tb.Th.nrrd").values.max() == pytest.approx(thick)


def test_unwritable_folder_ends_with_74(plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(plate), "--voxel-size-um", "20", "--out", str(plate / "table.csv")]) == ExitCode.STORAGE
    one_line_of(capsys)


@pytest.mark.parametrize(
    ("problem", "code", "part"),
    [
        (InputError("bad scan"), 65, "bad scan"),
        (Preempted("stopped at year 3"), 75, "stopped at year 3"),
        (MemoryError(), 70, "resample_um"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), 70, "resample_um"),
        (OSError(errno.ENOSPC, "No space left on device", "run/table.csv"), 74, "run/table.csv: No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 74, "/root/x: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), 65, "x: No such file"),
        (ImportError("No module named 'h5py'", name="h5py"), 70, "microct doctor"),
        (ZeroDivisionError("division by zero"), 70, "a defect of microct: ZeroDivisionError"),
    ],
)
def test_everything_that_is_raised_has_its_code(problem: Exception, code: int, part: str) -> None:
    found, sentence = verdict(problem)
    assert found == code
    assert part in sentence
    assert "\n" not in sentence


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "no-such-scan.tif", "--debug"]) == ExitCode.BAD_INPUT
    assert "Traceback" in capsys.readouterr().err


def test_a_stop_from_the_keyboard_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "dispatch", interrupted)
    assert main(["info", "x.tif"]) == cli.INTERRUPTED


def test_a_terminal_that_lacks_a_letter_shows_its_number(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "microct", "info", str(tmp_path / "кость.tif")],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert answer.returncode == ExitCode.BAD_INPUT
    assert rb"\u043a" in answer.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sample", "trabecular", "--size-mm", "1", "2", "--out", "a.h5"], "one edge or three"),
        (["loss-modes", "RUN", "--picture", "loss.foo"], "ending in .png"),
        (["measure", "x.tif", "--preset", "scanco", "--convention", "exact"], "--preset scanco --convention exact"),
    ],
)
def test_what_cannot_be_is_refused_at_once(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == ExitCode.USAGE
    assert says in capsys.readouterr().err


def test_a_closed_pipe_is_no_trouble(plate: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    answer = subprocess.run(
        [sys.executable, "-m", "microct", "info", str(plate)], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert answer.returncode == 0
    assert answer.stderr == b""


@pytest.mark.slow
def test_doctor_finds_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "jax devices      cpu" in said or "jax devices      cuda" in said
    assert "HDF5" in said
