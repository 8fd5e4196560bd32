"""One command asks every question within its time, and the page says what the records say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import run

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))


def test_every_question_is_asked_and_explained() -> None:
    files = {path.stem.removeprefix("bench_") for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert files == {question.name for question in (*run.QUESTIONS, run.DEMO)}
    explained = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert all(f"`bench_{name}.py`" in explained for name in files)


@pytest.fixture
def a_folder_of_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "SLACK_S", 0.5)
    (tmp_path / "benchmarks").mkdir()
    return tmp_path / "benchmarks"


def test_a_question_that_does_not_end_is_stopped_and_keeps_its_record(a_folder_of_questions: Path) -> None:
    (a_folder_of_questions / "bench_endless.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path(os.environ['MICROCT_BENCH_OUT'], 'first-row').write_text('kept')\n"
        "time.sleep(600)\n"
    )
    out = a_folder_of_questions / "out"
    row = run.answered(run.Question("endless", 1.0), 2.0, False, out, [])
    assert row["how"] == "stopped: out of time"
    assert 2.0 < row["s"] < 30.0
    assert (out / "first-row").read_text() == "kept"


def test_a_question_is_told_its_time_and_a_failure_is_said(a_folder_of_questions: Path) -> None:
    (a_folder_of_questions / "bench_short.py").write_text(
        "import pathlib, sys\npathlib.Path('words').write_text(' '.join(sys.argv[1:]))\nsys.exit(3)\n"
    )
    row = run.answered(run.Question("short", 1.0, ("--edge", "8")), 30.0, True, None, ["--more"])
    assert row["how"] == "failed (3)"
    assert (a_folder_of_questions.parent / "words").read_text() == "--edge 8 --more --budget-seconds 30 --quick"


def a_record(question: str, device: str, answer: dict) -> dict:
    about = {
        "devices": [device], "cores": 4, "processor": "some processor", "load": [0.0] * 3, "system": "Linux",
        "driver": [{"driver": "580"}], "versions": {"jax": "0.11"}, "microct": "0.1.0", "commit": "abc", "sources": "1",
    }  # fmt: skip
    return {"question": question, "when": "2026-11-21T00:00Z", "machine": about, "answer": answer}


def test_the_page_is_made_from_records_of_two_machines(tmp_path: Path) -> None:
    import make_benchmarks_page as maker

    for device, factor in (("cpu cpu", 1.0), ("gpu NVIDIA H100", 10.0)):
        rows = {
            f"fixed density, {edge}^3": {
                "edge": edge, "wall_s": [1.0, 1.1], "processor_s": [1.0, 1.1], "s_per_year": edge / factor,
                "million_voxel_updates_per_s": factor * edge, "bmus_per_s": 5.0, "births": 10, "compile_s": 3.0,
                "bytes_per_voxel": {"fields": 4.0, "bmus": 1.5}, "device_bytes": {"peak": 6 * edge**3},
                "peak_process_bytes": 2**31, "checkpoint": {"save_s": [0.5]},
            } for edge in (64, 128, 256)
        }  # fmt: skip
        kept = a_record("remodeling", device, rows)
        (tmp_path / f"{device.split()[0]}.json").write_text(json.dumps(kept))
    found = maker.records(tmp_path)
    drawn = maker.plots(found, tmp_path / "plots")
    assert drawn == ["throughput", "year"]
    assert all((tmp_path / "plots" / f"{name}.svg").read_text().startswith("<?xml") for name in drawn)
    page = maker.page(found, drawn)
    assert "![Million voxel updates" in page
    assert "| NVIDIA H100 | fixed density, 256^3 | 2560 |" in page
    assert "| some processor, 4 cores | fixed density, 64^3 | 64 |" in page
    assert "| 5.5 | 6 |" in page


def test_the_committed_page_says_what_the_records_say() -> None:
    import make_benchmarks_page as maker

    written = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    drawn = [path.stem for path in (ROOT / "docs" / "benchmarks").glob("*.svg")]
    assert written == maker.page(maker.records(ROOT / "benchmarks" / "results"), drawn), "run `make pages`"
