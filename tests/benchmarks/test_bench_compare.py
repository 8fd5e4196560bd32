"""A comparison of two records finds a planted slowdown, and stays silent about noise."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import compared, judged, pairs, report

ROOT = Path(__file__).resolve().parents[2]


def repeats(rng: np.random.Generator, seconds: float, noise: float, number: int = 7) -> list[float]:
    """Repeats that are never faster than the machine can, as timings are."""
    return list(seconds * (1.0 + rng.exponential(noise, number)))


def a_record(seed: int, device: str = "cpu cpu", noise: float = 0.05) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows = {
        f"kernel {k}": {
            "edge": 128, "wall_s": repeats(rng, 0.01 * 2**k, 0.5), "processor_s": repeats(rng, 0.01 * 2**k, noise),
            "first_s": 5.0, "floor_s": 1e-3,
        } for k in range(8)
    }  # fmt: skip
    return {
        "question": "limits",
        "machine": {"devices": [device], "cores": 2, "load": [0.1, 0.1, 0.1], "sources": str(seed)},
        "answer": rows,
    }


def test_a_planted_slowdown_is_found_and_nothing_else() -> None:
    for seed in range(20):
        old, new = a_record(2 * seed), a_record(2 * seed + 1)
        row = new["answer"]["kernel 3"]
        row["processor_s"] = [1.6 * second for second in row["processor_s"]]
        verdicts = {change.name: change.verdict for change in compared(old, new) if change.verdict}
        assert verdicts == {"kernel 3 / processor_s": "slower"}


def test_noise_is_no_change() -> None:
    told = [
        change.name
        for seed in range(100)
        for change in compared(a_record(2 * seed, noise=0.1), a_record(2 * seed + 1, noise=0.1))
        if change.verdict
    ]
    assert len(told) <= 4  # of 1600


def test_a_noisy_row_needs_a_larger_change() -> None:
    steady, noisy = [1.0, 1.01, 1.02, 1.03, 1.04], [1.0, 1.2, 1.4, 1.6, 1.8]
    slower = [1.3 * second for second in steady]
    assert judged("x", steady, slower).verdict == "slower"
    assert judged("x", noisy, slower).verdict == ""
    assert judged("x", slower, steady).verdict == "faster"


def test_the_clock_is_that_of_the_device() -> None:
    old, new = (a_record(seed, "gpu NVIDIA H100") for seed in (1, 2))
    assert all(not change.name.endswith("processor_s") for change in compared(old, new))
    assert any(change.name.endswith("wall_s") for change in compared(old, new))


def test_times_without_repeats_only_ask() -> None:
    assert judged("x", [1.0], [1.4]).verdict == ""
    assert judged("x", [1.0], [1.6]).verdict == "slower?"


def test_records_of_the_first_layout_are_read() -> None:
    old = {
        "question": "remodeling",
        "machine": {"devices": ["cpu cpu"], "cores": 2},
        "answer": {"fixed_births": [{"edge": 128, "wall_s_per_year": 1.3, "processor_s_per_year": 1.6}]},
    }
    new = copy.deepcopy(old)
    new["answer"]["fixed_births"][0]["processor_s_per_year"] = 3.3
    told = [change for change in compared(old, new) if change.verdict]
    assert [change.name for change in told] == ["fixed_births / 128 / processor_s_per_year"]


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_program_exits_with_one_where_something_became_slower(tmp_path: Path, factor: float) -> None:
    old, new = a_record(1), a_record(1)
    old["settings"], new["settings"] = {"women": 64}, {"women": 1024}
    new["machine"]["load"] = [9.0, 9.0, 9.0]
    new["answer"]["kernel 0"]["processor_s"] = [factor * s for s in new["answer"]["kernel 0"]["processor_s"]]
    for folder, content in (("old", old), ("new", new)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "limits-cpu-cpu-2cores-0.1.0.json").write_text(json.dumps(content))
    words = [sys.executable, str(ROOT / "benchmarks" / "compare.py"), str(tmp_path / "old"), str(tmp_path / "new")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == (factor > 1.0)
    assert ("kernel 0 / processor_s" in done.stdout) == (factor > 1.0)
    assert "busy" in done.stdout
    assert "women 64 -> 1024" in done.stdout


def test_committed_records_can_be_read_and_compared_with_themselves() -> None:
    results = ROOT / "benchmarks" / "results"
    found = pairs(results, results)
    assert found
    for old, new in found:
        assert not [change for change in compared(old, new) if change.verdict]
        assert "0 told" in report(old, new)
