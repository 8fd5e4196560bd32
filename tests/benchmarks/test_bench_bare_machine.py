"""Kernels and benchmarks run where there is only jax and numpy: whatever else is installed is hidden here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: jax itself needs scipy, ml_dtypes and opt_einsum.
BARE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path

FOLDER = Path("benchmarks").resolve()
HAD = {"jax", "jaxlib", "jax_plugins", "numpy", "scipy", "ml_dtypes", "opt_einsum", "microct", "reference"}
HAD |= {path.stem for path in FOLDER.glob("*.py")}

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in HAD or top in sys.stdlib_module_names or top.startswith("_")
        return super().find_spec(name, path, target) if known else None

sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Bare]
"""


def run_bare(code: str, folder: Path, timeout_s: float = 600.0) -> str:
    """What a program says that sees nothing but jax and numpy."""
    environment = {**os.environ, "MICROCT_BENCH_OUT": str(folder), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", BARE + code], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_machine_is_bare(tmp_path: Path) -> None:
    code = """
for name in ("skimage", "h5py", "pyvista", "cyclopts", "matplotlib", "pytest"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} was found")
"""
    run_bare(code, tmp_path)


def test_kernels_and_benchmarks_are_imported_and_dense_kernels_run(tmp_path: Path) -> None:
    code = """
import importlib
for path in sorted(Path("kernels").glob("*.py")):
    importlib.import_module(f"microct.kernels.{path.stem}" if path.stem != "__init__" else "microct.kernels")
for path in sorted(FOLDER.glob("*.py")):
    importlib.import_module(path.stem)
import bench_limits, limits_dense, roofline
from machine import Record
kept, of = Record("bare"), roofline.limits(small=True)
for name in ("elasticity product, float32", "one-pass histogram", "squared distance", "local thickness"):
    (row, make), = limits_dense.all_work(True, 16, name)
    kept.add(row, bench_limits.dense(make(), of, 2, 0.5))
print(len(kept.answer), kept.path.name)
"""
    assert run_bare(code, tmp_path).split()[0] == "4"
    assert [path.name.startswith("bare-cpu") for path in tmp_path.iterdir()] == [True]


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [["bench_limits.py", "--quick", "--only", "block"], ["bench_remodeling.py", "--quick"],
     ["bench_microfe.py", "--quick", "--only-rods"], ["bench_cells.py", "--quick"]],
)  # fmt: skip
def test_benchmarks_run_to_their_end(tmp_path: Path, program: list[str]) -> None:
    code = f"""
import runpy
sys.argv = {program!r}
runpy.run_path(str(FOLDER / {program[0]!r}), run_name="__main__")
"""
    said = run_bare(code, tmp_path)
    assert "failed" not in said
    (kept,) = tmp_path.glob("*.json")
    assert str(kept) in said.splitlines()[-1]
