"""What the terminal shows: year, BV/TV and time left, a bar on a terminal, lines elsewhere; at the end, the files."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from microct.cli.progress import Clock, ProgressBar, Telling, duration, listing, size


@dataclass
class Told:
    """What the simulation says of itself, as `microct.simulation.run.Progress`."""

    time_yr: float
    total_years: float = 10.0
    bone_volume_fraction: float = 0.2134
    phase: str = "remodeling"


def test_time_left_follows_the_pace_and_leaves_compilation_out() -> None:
    clock = Clock(now=iter([100.0, 104.0, 108.0]).__next__)  # asked at the second report and from then on
    assert clock.told(-2.0, 10.0) == (0.0, "")
    assert clock.told(-1.0, 10.0) == (pytest.approx(1 / 12), "")
    assert clock.told(0.0, 10.0) == (pytest.approx(2 / 12), "0:40 left")
    assert clock.told(1.0, 10.0) == (pytest.approx(3 / 12), "0:36 left")


def test_clock_bears_runs_without_years() -> None:
    clock = Clock()
    for _ in range(4):
        done, left = clock.told(0.0, 0.0)
        assert (done, left) == (1.0, "")


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as bar:
        for step in range(1000):
            bar(Told(step / 100))
        bar(Told(10.0))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "year   0.0 of 10  BV/TV 21.34 %" in lines[0]
    assert "year  10.0 of 10" in lines[1]


def test_drawing_is_told_once_for_each_thing(capsys: pytest.CaptureFixture[str]) -> None:
    with Telling() as told:
        for share in range(5):
            told("panels", share / 10)
        told("movie", 0.9)
    assert capsys.readouterr().out.splitlines() == ["drawing panels", "drawing movie"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bar_on_a_terminal(tmp_path: Path) -> None:
    import pty

    script = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_progress import Told, ProgressBar\n"
        "with ProgressBar() as bar:\n"
        "    for year in range(11):\n"
        "        bar(Told(float(year))); time.sleep(0.05)\n"
    )
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=slave, env=environment)
    os.close(slave)
    said = b""
    try:
        while chunk := os.read(master, 65536):
            said += chunk
    except OSError:  # how Linux says that the other end has closed
        pass
    os.close(master)
    assert process.wait(30) == 0
    text = said.decode()
    assert "year  10.0 of 10  BV/TV 21.34 %" in text
    assert "left" in text
    assert "━" in text


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (45.4, "0:45"), (723, "12:03"), (12000, "3 h 20 min")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(812, "812 B"), (1500, "1.5 kB"), (2_340_000, "2.3 MB"), (5e9, "5.0 GB")])
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words


def test_listing_names_what_a_user_opens(tmp_path: Path) -> None:
    (tmp_path / "ckpt" / "step-1").mkdir(parents=True)
    (tmp_path / "ckpt" / "step-1" / "a.h5").write_bytes(b"x" * 2000)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "years.png").write_bytes(b"x")
    (tmp_path / "table.csv").write_text("a,b\n")
    (tmp_path / "LOCK").write_text("")
    lines = listing(tmp_path)
    assert lines[0] == f"Files in {tmp_path}:"
    assert [line.split()[0] for line in lines[1:]] == [os.path.join("pictures", "years.png"), "table.csv", "ckpt/"]
    assert "2.0 kB" in lines[-1]
