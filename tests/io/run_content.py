"""A small run whose every array is a function of the step, so that any copy of it can be judged."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from microct.io.checkpoint import Checkpoint
from microct.io.run_folder import RunFolder
from microct.table import Row, Table
from microct.volume import Volume

SHAPE = (4, 5, 6)
STUDY = '[study]\r\nname = "té\t"  # kept byte for byte\n'


def memory_folder() -> Iterator[Path]:
    """An empty folder, in memory where the system offers it: for tests that make hundreds of folders."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


def start_volume() -> Volume:
    values = np.random.default_rng(1).integers(0, 256, SHAPE, dtype=np.uint8)
    turn = ((1.0, 0.0, 0.0), (0.0, 0.6, 0.8), (0.0, -0.8, 0.6))
    return Volume(values, (0.03, 0.02, 0.01), (1.0, 2.0, 3.0), turn)


def new_run(path: Path) -> RunFolder:
    return RunFolder.create(path, STUDY, start_volume())


def arrays_of(step: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(step)
    return {
        "bone_fraction": random.integers(0, 256, SHAPE, dtype=np.uint8),
        "bmu/origin": random.integers(-1000, 1000, (7, 3)).astype(np.int32),
        "bmu/free": np.zeros((0, 3), dtype=np.float64),
        "clock": np.array(step, dtype=np.int64),
        "cells": random.standard_normal(12),
    }


def save(run: RunFolder, step: int) -> None:
    run.save_checkpoint(step, arrays_of(step), {"time_yr": step / 10, "third": 1 / 3})


def assert_is(found: Checkpoint, step: int) -> None:
    expected = arrays_of(step)
    assert found.step == step
    assert found.meta == {"time_yr": step / 10, "third": 1 / 3}
    assert sorted(found.arrays) == sorted(expected)
    for name, array in expected.items():
        assert found.arrays[name].dtype == array.dtype, name
        assert found.arrays[name].shape == array.shape, name
        assert (found.arrays[name] == array).all(), name


def fields_of(step: int) -> dict[str, np.ndarray]:
    return {"bone_fraction": arrays_of(step)["bone_fraction"], "tissue_age": np.full(SHAPE, step / 7)}


def append(run: RunFolder, step: int) -> None:
    run.append_frame(step, step / 10, fields_of(step), {"BV/TV": 20 + step / 3, "Tb.Th": float("nan")})


def assert_frames_are(run: RunFolder, steps: list[int]) -> None:
    assert [(frame.step, frame.time_yr) for frame in run.frames()] == [(step, step / 10) for step in steps]
    for step in steps:
        name, field = list(fields_of(step).items())[-1 if step == steps[-1] else 0]
        assert (run.read_frame(step / 10, name).values == field).all()


def table_until(step: int) -> Table:
    rows = [Row("BV/TV", 20 + k / 3, k / 10, "S1", "exact", "") for k in range(0, step + 1, 10)]
    return Table(tuple(rows), {"voxel_size_um": "20", "version": "0.1.0"})


def litter(path: Path) -> list[Path]:
    return sorted(path.rglob("*.tmp"))
