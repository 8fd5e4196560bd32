"""Every question, one after the other, each in a process of its own and within its time: `make bench`.

    python benchmarks/run.py [--budget-seconds 1800] [--only limits cells] [--out FOLDER] [--quick] [--from-nothing]

Needs no more than the questions need: those whose libraries are missing say so, and the others go on. Each record is
written row by row, so that a run that is stopped keeps what it has.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import ROOT
from measure import table

#: Seconds that a question may run beyond its budget before it is stopped: it ends its row first.
SLACK_S = 90.0


@dataclass(frozen=True)
class Question:
    """One file: its name, its share of the whole budget, and what it is asked besides."""

    name: str
    share: float
    words: tuple[str, ...] = ()
    knows_budget: bool = True

    @property
    def path(self) -> Path:
        """The file that answers it."""
        return ROOT / "benchmarks" / f"bench_{self.name}.py"


#: In the order of worth.
QUESTIONS = (
    Question("limits", 0.2),
    Question("remodeling", 0.3),
    Question("microfe", 0.15),
    Question("microfe_steps", 0.1),
    Question("morphometry", 0.15, knows_budget=False),
    Question("device_morphometry", 0.08),
    Question("cells", 0.08),
    Question("checkpoint", 0.04),
    Question("reference", 0.05),
    Question("startup", 0.03),
    Question("gpu_plan", 0.05),
)
#: Only where it is asked for by name or by --from-nothing.
DEMO = Question("demo", 0.1)


def asked_of(question: Question, budget_s: float, quick: bool, more: list[str]) -> list[str]:
    """The words of one question's program."""
    words = [sys.executable, str(question.path), *question.words, *more]
    if question.knows_budget:
        words += ["--budget-seconds", f"{budget_s:.0f}"]
    return words + (["--quick"] if quick else [])


def answered(question: Question, budget_s: float, quick: bool, out: Path | None, more: list[str]) -> dict[str, Any]:
    """Ask one question; its output goes where ours goes."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        environment["MICROCT_BENCH_OUT"] = str(out.resolve())
    print(f"\n== {question.name}: {budget_s:.0f} s", flush=True)
    began = time.perf_counter()
    try:
        code = subprocess.run(
            asked_of(question, budget_s, quick, more), cwd=ROOT, env=environment, timeout=budget_s + SLACK_S
        ).returncode
        how = "done" if code == 0 else f"failed ({code})"
    except subprocess.TimeoutExpired:
        how = "stopped: out of time"
    return {"question": question.name, "s": round(time.perf_counter() - began, 1), "how": how}


def main() -> int:
    """Ask, and say how it went; 1 where a question failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--budget-seconds", type=float, default=1800.0, help="for all questions together")
    parser.add_argument("--only", nargs="+", metavar="QUESTION", help=", ".join(q.name for q in (*QUESTIONS, DEMO)))
    parser.add_argument("--out", type=Path, help="folder of the records (benchmarks/results)")
    parser.add_argument("--quick", action="store_true", help="smallest sizes: does it run at all?")
    parser.add_argument("--from-nothing", action="store_true", help="the demo too, with a new environment")
    asked = parser.parse_args()
    chosen = [*QUESTIONS, DEMO] if asked.from_nothing else list(QUESTIONS)
    if asked.only:
        known = {question.name: question for question in (*QUESTIONS, DEMO)}
        if unknown := [name for name in asked.only if name not in known]:
            parser.error(f"no question {', '.join(unknown)}; there are {', '.join(known)}")
        chosen = [known[name] for name in asked.only]
    whole, began, rows = sum(question.share for question in chosen), time.perf_counter(), []
    for question in chosen:
        if not question.path.exists():
            continue
        # what one question leaves over is there for those after it
        left = asked.budget_seconds - (time.perf_counter() - began)
        budget_s = max(left * question.share / whole, 1.0)
        whole -= question.share
        more = ["--from-nothing"] if question is DEMO and asked.from_nothing else []
        rows.append(answered(question, budget_s, asked.quick, asked.out, more))
    print("\n" + table(rows))
    return int(any(row["how"] != "done" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
