"""How soon does the command line answer?

    python benchmarks/bench_startup.py [--repeats 7] [--quick]

Each command runs in a new process of this interpreter; `python -c pass` beside it is what the interpreter itself
takes. The first call, which may read from a cold disk, is apart.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import Any

from machine import ROOT, Record
from measure import Budget, median, options, table

#: What is asked, by name.
COMMANDS: dict[str, list[str]] = {
    "python alone": ["-c", "pass"],
    "import microct": ["-c", "import microct"],
    "microct --version": ["-m", "microct", "--version"],
    "microct --help": ["-m", "microct", "--help"],
    "microct run --help": ["-m", "microct", "run", "--help"],
    "import jax": ["-c", "import jax"],
    "first array of jax": ["-c", "import jax.numpy as jnp; jnp.zeros(1).block_until_ready()"],
}


def started(words: list[str], repeats: int, limit_s: float = 60.0) -> dict[str, Any]:
    """The row of one command: seconds until it has ended; what it said where it failed."""
    row: dict[str, Any] = {"wall_s": [], "processor_s": []}
    for number in range(repeats + 1):
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=limit_s)
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            return {"failed": (done.stderr or done.stdout).strip().splitlines()[-1:]}
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if number == 0:
            row["first_s"] = wall
        else:
            row["wall_s"].append(wall)
            row["processor_s"].append(spent)
    return row


def main() -> None:
    """Measure and record."""
    parser = options(__doc__, 120.0)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    budget = Budget(asked.budget_seconds)
    record = Record("startup-quick" if asked.quick else "startup", asked.out)
    for name, words in COMMANDS.items():
        if budget.allows(name, 5.0):
            record.add(name, started(words, 1 if asked.quick else asked.repeats))
    record.content["left_out"] = budget.left_out
    print(table([
        {"command": name, "ms": 1e3 * median(row), "processor ms": 1e3 * median(row, "processor_s"),
         "first ms": 1e3 * row["first_s"]} if "wall_s" in row else {"command": name, **row}
        for name, row in record.answer.items()
    ]))  # fmt: skip
    print(record.write())


if __name__ == "__main__":
    main()
