"""What became slower from one record to the next, by more than noise?

    python benchmarks/compare.py OLD NEW [--at-least 0.1]

OLD and NEW are records of one question, or two folders of records, which are matched by name. Exits with 1 where
something became slower.

Times are compared by the fastest of their repeats, which other programs disturb least: processor time on a CPU (all
cores together; it does not wait for anyone), wall time on a GPU. The noise of a row is how far its median lies above
its fastest repeat, or a twentieth, whichever is larger. A row is slower where the ratio exceeds one by more than
three times the noise of both rows together and by more than ``--at-least``. Times without repeats are compared too,
but only a factor of 1.5 says anything, and it is marked with a question mark.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Least noise that any timing has; how many times the noise a change must be; what a change without repeats must be.
LEAST_NOISE, TIMES_NOISE, WITHOUT_REPEATS = 0.05, 3.0, 1.5

#: Seconds below which a single time says nothing.
_TOO_SHORT_S = 1e-6


@dataclass(frozen=True)
class Change:
    """One time in two records.

    Attributes:
        name: row and clock.
        old, new: fastest repeat [s].
        noise: relative, of both; None where one of them has no repeats.
        verdict: "slower", "faster", "slower?", "faster?" or "".
    """

    name: str
    old: float
    new: float
    noise: float | None
    verdict: str

    @property
    def ratio(self) -> float:
        """New by old."""
        return self.new / self.old


def noise_of(repeats: list[float]) -> float:
    """How far the median lies above the fastest repeat, relative to it."""
    fastest = min(repeats)
    return max(statistics.median(repeats) / fastest - 1.0, LEAST_NOISE)


def judged(name: str, old: list[float], new: list[float], at_least: float = 0.1) -> Change:
    """Compare the repeats of one time."""
    before, after = min(old), min(new)
    if len(old) < 2 or len(new) < 2:
        ratio = after / before
        verdict = "slower?" if ratio > WITHOUT_REPEATS else "faster?" if ratio < 1.0 / WITHOUT_REPEATS else ""
        return Change(name, before, after, None, verdict)
    noise = (noise_of(old) ** 2 + noise_of(new) ** 2) ** 0.5
    limit = 1.0 + max(TIMES_NOISE * noise, at_least)
    verdict = "slower" if after > before * limit else "faster" if before > after * limit else ""
    return Change(name, before, after, noise, verdict)


def times(answer: Any, clock: str, path: str = "") -> Iterator[tuple[str, list[float]]]:
    """(name, repeats) of every time in an answer: under ``clock`` where both clocks were read, and others ending in _s.

    Entries of lists are named by their edge or number.
    """
    if isinstance(answer, dict):
        other = "processor_s" if clock == "wall_s" else "wall_s"
        for key, value in answer.items():
            name = f"{path} / {key}" if path else str(key)
            if key == other and answer.get(clock):
                continue
            if _is_time(key) and _numbers(value):
                kept = [float(v) for v in (value if isinstance(value, list) else [value]) if v > _TOO_SHORT_S]
                if kept:
                    yield name, kept
            else:
                yield from times(value, clock, name)
    elif isinstance(answer, list):
        for number, value in enumerate(answer):
            label = value.get("edge", number) if isinstance(value, dict) else number
            yield from times(value, clock, f"{path} / {label}")


def _is_time(key: str) -> bool:
    # what follows from repeats, or is a limit of the machine, is no time of its own
    derived = key in ("floor_s", "dispatch_s", "turn_s", "limit_s") or "_per_s" in key
    return not derived and (key.endswith(("_s", "_s_per_year")) or key == "s_per_year")


def _numbers(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def compared(old: dict[str, Any], new: dict[str, Any], at_least: float = 0.1) -> list[Change]:
    """Every time that both records have, in the order of the new one."""
    on_cpu = all(str(record["machine"]["devices"][0]).startswith("cpu") for record in (old, new))
    clock = "processor_s" if on_cpu else "wall_s"
    before = dict(times(old["answer"], clock))
    return [
        judged(name, before[name], repeats, at_least) for name, repeats in times(new["answer"], clock) if name in before
    ]


def warnings(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Differences between two machines that make times hard to compare."""
    found = []
    for key in ("processor", "cores", "devices", "driver", "python", "versions"):
        before, after = old["machine"].get(key), new["machine"].get(key)
        if before != after:
            found.append(f"{key}: {_short(before)} -> {_short(after)}")
    before, after = old.get("settings") or {}, new.get("settings") or {}
    for key in sorted(before.keys() & after.keys()):
        if before[key] != after[key]:
            found.append(f"asked for something else: {key} {before[key]} -> {after[key]}")
    if old["machine"].get("sources") and old["machine"]["sources"] == new["machine"].get("sources"):
        found.append("both records are of the same sources")
    for label, content in (("old", old), ("new", new)):
        load, cores = content["machine"].get("load"), content["machine"].get("cores") or 1
        if load and load[0] > cores:
            found.append(f"{label}: the machine was busy (load {load[0]:g} on {cores} cores)")
    return found


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return str(value)


def report(old: dict[str, Any], new: dict[str, Any], at_least: float = 0.1, everything: bool = False) -> str:
    """Some lines on two records: what changed, slowest first."""
    changes = compared(old, new, at_least)
    told = [change for change in changes if change.verdict or everything]
    lines = [f"{new['question']}: {len(changes)} times compared, {len(told)} told"]
    lines += [f"  ! {warning}" for warning in warnings(old, new)]
    for change in sorted(told, key=lambda change: -change.ratio):
        noise = "no repeats" if change.noise is None else f"noise {100 * change.noise:.0f} %"
        seconds = f"{change.old:.4g} s -> {change.new:.4g} s"
        lines.append(f"  {change.verdict or 'same':8s} x{change.ratio:6.2f}  {seconds}  ({noise})  {change.name}")
    if new.get("left_out"):
        lines.append(f"  left out for time: {', '.join(new['left_out'])}")
    return "\n".join(lines)


def pairs(old: Path, new: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Records to compare: two files, or files of one question and device (of as many cores) in two folders."""
    if old.is_file() and new.is_file():
        return [(_read(old), _read(new))]
    before = {_key(record): record for record in map(_read, sorted(old.glob("*.json")))}
    after = [_read(path) for path in sorted(new.glob("*.json"))]
    return [(before[_key(record)], record) for record in after if _key(record) in before]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _key(record: dict[str, Any]) -> tuple[str, str, int]:
    machine = record["machine"]
    device = str(machine["devices"][0])
    # The same processor with fewer cores is another machine; beside an accelerator they matter little.
    return record["question"], device, machine.get("cores", 0) if device.startswith("cpu") else 0


def main() -> int:
    """Compare and say; 1 where something became slower by more than noise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--at-least", type=float, default=0.1, help="changes below this share are not told (0.1)")
    parser.add_argument("--all", action="store_true", help="tell what did not change too")
    asked = parser.parse_args()
    found = pairs(asked.old, asked.new)
    if not found:
        print("no question is in both", file=sys.stderr)
        return 2
    slower = False
    for old, new in found:
        print(report(old, new, asked.at_least, asked.all))
        slower |= any(change.verdict == "slower" for change in compared(old, new, asked.at_least))
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
