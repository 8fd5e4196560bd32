"""How long does the demo take, from nothing: no environment, no cache, to the last picture?

    python benchmarks/bench_demo.py [--from-nothing] [--quick]

Without an option the demo runs in this interpreter, with a cold cache of compiled programs: ten years in the embedded
sample, tables, viewer file, pictures. ``--from-nothing`` also sets up a new environment first, as `make demo` does for
someone who has just cloned the repository (packages come over the network: minutes). ``--quick`` leaves pictures out.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import ROOT, Record
from measure import options, table


def demo(words: list[str], environment: dict[str, str], limit_s: float) -> dict[str, Any]:
    """The row of one run: seconds, memory, what it left on the disk; what it said where it failed."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "demo"
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        try:
            done = subprocess.run([word.format(out=out) for word in words], cwd=ROOT, env=environment,
                                  capture_output=True, text=True, timeout=limit_s)  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"failed": f"not done within {limit_s:g} s"}
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            return {"failed": "; ".join((done.stderr or done.stdout).strip().splitlines()[-3:])}
        files = [path for path in out.rglob("*") if path.is_file()]
        return {
            "wall_s": [wall],
            "processor_s": [after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime],
            "peak_process_bytes": after.ru_maxrss * 1024,
            "files": len(files),
            "bytes_on_disk": sum(path.stat().st_size for path in files),
        }


def from_nothing(limit_s: float) -> dict[str, Any]:
    """`make demo` in a new environment: the set-up alone, then the whole."""
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "VENV": str(Path(place) / "venv")}
        wall = time.perf_counter()
        done = subprocess.run(["./setup-venv.sh", "run"], cwd=ROOT, env=environment, capture_output=True, text=True,
                              timeout=limit_s)  # fmt: skip
        if done.returncode:
            return {"failed": "; ".join((done.stderr or done.stdout).strip().splitlines()[-3:])}
        ready = time.perf_counter() - wall
        row = demo(["make", "demo", "OUT={out}"], environment, limit_s - ready)
        return {"set_up_s": ready, **row, "all_s": ready + row["wall_s"][0]} if "wall_s" in row else row


def main() -> None:
    """Measure and record."""
    parser = options(__doc__, 600.0)
    parser.add_argument("--from-nothing", action="store_true", help="set up a new environment first (network, minutes)")
    asked = parser.parse_args()
    record = Record("demo-quick" if asked.quick else "demo", asked.out)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    words = [sys.executable, "-m", "microct", "demo", "--out", "{out}"]
    name = "the demo" + (", without pictures" if asked.quick else "")
    record.add(name, demo([*words, "--no-pictures"] if asked.quick else words, environment, asked.budget_seconds))
    if asked.from_nothing and not asked.quick and shutil.which("make"):
        record.add("from nothing", from_nothing(asked.budget_seconds))
    print(table([
        {"job": name, **{k: v[0] if isinstance(v, list) else v for k, v in row.items()}}
        for name, row in record.answer.items()
    ]))  # fmt: skip
    print(record.write())


if __name__ == "__main__":
    main()
