"""Every benchmark's measuring function runs at its smallest size, and what it says holds together."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import bench_cells
import bench_demo
import bench_limits
import bench_reference
import bench_remodeling
import bench_startup
import limits_dense
import limits_events
import measure
import numpy as np
import pytest
from bones import field, specimen
from machine import Record, machine
from roofline import Limits, limits


@pytest.fixture(scope="module")
def of() -> Limits:
    return limits(small=True)


def test_a_sleep_takes_as_long_as_it_takes() -> None:
    row = measure.timed(lambda: time.sleep(0.02), repeats=3)
    assert 0.02 <= min(row["wall_s"]) < 0.2
    assert max(row["processor_s"]) < 0.02
    assert len(row["wall_s"]) == len(row["processor_s"]) == 3


def test_short_calls_are_made_many_times() -> None:
    calls = []
    row = measure.timed(lambda: calls.append(1), repeats=2)
    assert len(calls) > 1000
    assert min(row["wall_s"]) < 1e-4


def test_peak_sees_memory_that_comes_and_goes() -> None:
    with measure.Peak() as peak:
        np.ones(1 << 25, np.uint8)
        held = np.ones(1 << 26, np.uint8)
        time.sleep(0.05)
        del held
    assert peak.grown > 0.8 * (1 << 26)


def test_a_budget_leaves_out_what_does_not_fit_and_says_so() -> None:
    budget = measure.Budget(1.0)
    assert budget.allows("short", 0.1)
    assert not budget.allows("long", 100.0)
    assert budget.left_out == ["long"]


def test_a_record_is_whole_after_every_row(tmp_path: Path) -> None:
    kept = Record("question", tmp_path, edge=8)
    kept.add("first", {"wall_s": [np.float32(1.5)]})
    content = json.loads(kept.path.read_text())
    assert content["answer"] == {"first": {"wall_s": [1.5]}}
    assert content["settings"] == {"edge": 8}
    kept.add("second", {})
    assert list(json.loads(kept.path.read_text())["answer"]) == ["first", "second"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_the_machine_says_what_ran() -> None:
    about = machine()
    assert about["devices"]
    assert about["cores"] >= 1
    assert about["versions"]["jax"]
    assert len(about["sources"]) == 12
    json.dumps(about)


def test_limits_are_those_of_a_machine(of: Limits) -> None:
    for name, value in of.plain().items():
        assert value > 0, name
    assert of.float32 > 1e8
    assert of.floor_s(of.copy) == pytest.approx(1.0)
    assert of.floor_s(0.0, 2 * of.float64, "float64") == pytest.approx(2.0)


def test_volumes_have_the_size_and_share_that_were_asked_for() -> None:
    assert field(160, 0.22).mean() == pytest.approx(0.22, abs=0.03)
    assert specimen(40).shape == (40, 40, 40)
    assert np.array_equal(specimen(100, 50).values[:50, :50, :50], specimen(100, 50).values[50:, 50:, 50:])


@pytest.mark.parametrize("name", [name for name, *_ in limits_dense.KERNELS])
def test_every_dense_kernel_has_a_row(of: Limits, name: str) -> None:
    (found,) = limits_dense.all_work(True, 24, name)
    work = found[1]()
    row = bench_limits.dense(work, of, repeats=2, budget_s=0.5)
    assert row["edge"] == 24
    assert len(row["wall_s"]) == 2
    assert row["of_copy"] == pytest.approx(work.bytes / of.copy / min(row["wall_s"]))
    assert row["of_roofline"] == pytest.approx(row["floor_s"] / min(row["wall_s"]))
    assert row["of_roofline"] >= row["of_copy"]


def test_the_elasticity_product_is_one_and_its_bytes_are_counted(of: Limits) -> None:
    single, double = (limits_dense.elasticity_product(16, kind) for kind in ("float32", "float64"))
    nodes, exact = len(limits_dense.levels(16)[0].positions), np.asarray(double.do())
    assert np.allclose(single.do()[:nodes], exact[:nodes], atol=1e-4 * np.abs(exact).max())
    assert single.bytes == 20 * single.units + 24 * nodes
    assert double.bytes - single.bytes == 24 * nodes
    # a kernel of the same traffic on a machine half as fast stands twice as near its limit
    slow = replace(of, copy=of.copy / 2, float32=of.float32 / 2)
    assert slow.floor_s(single.bytes, single.operations) == 2 * of.floor_s(single.bytes, single.operations)


@pytest.mark.slow
def test_a_block_of_steps_has_a_floor(of: Limits) -> None:
    row = limits_events.block_of_steps(48, of, repeats=2, warm_steps=20)
    assert row["births"] > 0
    assert row["voxels_changed"] > 100
    assert row["times_floor"] > 0
    assert measure.median(row["fronts_alone"]) <= 1.5 * measure.median(row)


@pytest.mark.slow
def test_remodeling_has_a_row_and_a_job() -> None:
    row = bench_remodeling.throughput(specimen(48), 0.5, blocks=2)
    assert row["dropped"] == 0
    assert row["births"] > 0
    voxels = 48**3 * row["steps"] / len(row["wall_s"])
    assert row["million_voxel_updates_per_s"] == pytest.approx(voxels / measure.median(row) / 1e6)
    assert row["bytes_per_voxel"]["fields"] == 4.0
    assert row["checkpoint"]["bytes_written"] > 0
    job = bench_remodeling.ten_years(48, 1.0, 60.0)
    assert job["years"] == pytest.approx(3.0, abs=0.03)
    text = bench_remodeling.shown({"fixed density, 48^3": row, "job": job})
    assert "Mvoxel" in text


def test_every_benchmark_knows_where_to_write_and_how_long_it_may_take() -> None:
    given = measure.options("Question?", 10.0).parse_args(["--out", "x", "--budget-seconds", "5", "--quick"])
    assert given == argparse.Namespace(out=Path("x"), budget_seconds=5.0, quick=True)


def test_a_command_is_started_and_a_failure_is_said() -> None:
    row = bench_startup.started(["-c", "pass"], 2)
    assert 0 < min(row["wall_s"]) < 5
    assert len(row["wall_s"]) == 2
    assert bench_startup.started(["-c", "raise SystemExit('no such thing')"], 2) == {"failed": ["no such thing"]}


def test_a_demo_is_timed_and_what_it_left_is_counted() -> None:
    leave = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.mkdir(); (p / 'x').write_bytes(bytes(100))"
    row = bench_demo.demo([sys.executable, "-c", leave, "{out}"], dict(os.environ), 30.0)
    assert (row["files"], row["bytes_on_disk"]) == (1, 100)
    assert row["wall_s"][0] > 0
    endless = bench_demo.demo([sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ), 0.5)
    assert endless == {"failed": "not done within 0.5 s"}


def test_definitions_stand_beside_kernels() -> None:
    row = bench_reference.distance(48)
    assert row["definition"]["us_per_unit"] > row["kernel"]["us_per_unit"] > 0
    assert row["times_faster"] > 1


@pytest.mark.slow
def test_fronts_stand_beside_their_definition() -> None:
    assert bench_reference.fronts(48)["times_faster"] > 1


def test_peers_of_the_cells_run_or_are_said_missing() -> None:
    row = bench_cells.peer("bone_models, Lemaire 2004 (3 states)")
    assert row.get("us_per_woman_year", 0) > 0 or "bone_models" in row["missing"]


def test_tables_are_short_and_leave_no_failure_out() -> None:
    text = measure.table([{"bone": "a", "s": 1.23456}, {"bone": "b", "failed": "no memory"}])
    assert text.splitlines()[0].split() == ["bone", "s", "failed"]
    assert "no memory" in text
    assert "1.235" in text
