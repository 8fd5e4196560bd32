"""How things are timed: repeats, so that noise is known; peaks of memory; joules where the machine tells."""

from __future__ import annotations

import argparse
import ctypes
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import machine  # noqa: F401 - finds microct in a plain checkout

#: A repeat lasts at least this long: calls that are shorter are made several times [s].
LEAST_S = 0.05


class Budget:
    """Seconds that a benchmark may take; rows that would not fit are left out and named."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.began = seconds, time.perf_counter()
        self.left_out: list[str] = []

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.seconds - (time.perf_counter() - self.began)

    def allows(self, what: str, expected_s: float = 0.0) -> bool:
        """Whether there is time for ``what``; it is remembered as left out where there is not."""
        fits = self.left > expected_s
        if not fits:
            self.left_out.append(what)
        return fits


def options(sentence: str | None, budget_s: float) -> argparse.ArgumentParser:
    """A parser with what every benchmark knows: where the record goes, and how long it may take."""
    parser = argparse.ArgumentParser(description=(sentence or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder of the record (benchmarks/results)")
    parser.add_argument("--budget-seconds", type=float, default=budget_s, help="rows that do not fit are left out")
    parser.add_argument("--quick", action="store_true", help="smallest sizes: does it run at all?")
    return parser


def timed(do: Callable[[], Any], repeats: int = 5, budget_s: float = 20.0, warm: bool = True) -> dict[str, Any]:
    """Seconds of one call, several times over.

    Work on a device is awaited. The first call, which compiles, is apart.

    Args:
        do: called without arguments.
        repeats: at most; fewer (two at least, if ``warm``) where the budget ends.
        budget_s: for all repeats.
        warm: make a first call that is not counted.

    Returns:
        ``wall_s`` and ``processor_s`` (all cores together), a list each with one number a call; ``first_s``.
    """
    row: dict[str, Any] = {"wall_s": [], "processor_s": []}
    began, calls = time.perf_counter(), 1
    if warm:
        finished(do())
        row["first_s"] = time.perf_counter() - began
        again = time.perf_counter()
        finished(do())
        once = max(time.perf_counter() - again, 1e-7)
        calls = max(1, min(int(LEAST_S / once), 10_000))
    began = time.perf_counter()
    for number in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(calls):
            answer = do()
        finished(answer)
        row["wall_s"].append((time.perf_counter() - wall) / calls)
        row["processor_s"].append((time.process_time() - processor) / calls)
        del answer
        if number and time.perf_counter() - began > budget_s:
            break
    return row


def finished(answer: Any) -> Any:
    """The answer, when the device has it."""
    if "jax" in sys.modules:
        import jax

        return jax.block_until_ready(answer)
    return answer


def median(row: dict[str, Any], clock: str = "wall_s") -> float:
    """Median of a row's repeats [s]."""
    return statistics.median(row[clock])


class Peak:
    """Largest resident memory of this process while it runs, looked at every 5 ms [byte]."""

    def __enter__(self) -> Peak:
        self.start = self.most = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.most = max(self.most, self._now())

    @property
    def grown(self) -> int:
        """By how much the memory grew."""
        return max(self.most - self.start, 0)

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now() -> int:
        try:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            return pages * resource.getpagesize()
        except OSError:  # not Linux: the peak of the whole life is all there is
            return peak_process()


def peak_process() -> int:
    """Most memory that this process ever held [byte]."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def device_memory() -> dict[str, int]:
    """Bytes in use, most ever in use, and to be had on the first device; empty where it does not tell (a CPU)."""
    import jax

    told = jax.devices()[0].memory_stats() or {}
    names = {"bytes_in_use": "in_use", "peak_bytes_in_use": "peak", "bytes_limit": "limit"}
    return {ours: int(told[theirs]) for theirs, ours in names.items() if theirs in told}


class _Energy:
    """Counters of energy that can be read without rights: NVML for the first GPU, RAPL for the processor."""

    def __init__(self) -> None:
        self.gpu: Callable[[], float] | None = None
        self.processor: Callable[[], float] | None = None
        with suppress(OSError, AttributeError):
            self.gpu = self._nvml()
        with suppress(OSError, ValueError):
            packages = sorted(Path("/sys/class/powercap").glob("intel-rapl:[0-9]*/energy_uj"))
            packages = [path for path in packages if path.parent.name.count(":") == 1]
            if packages:
                float(packages[0].read_text(encoding="ascii"))
                self.processor = lambda: sum(float(path.read_text(encoding="ascii")) for path in packages) * 1e-6

    @staticmethod
    def _nvml() -> Callable[[], float] | None:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        handle, millijoule = ctypes.c_void_p(), ctypes.c_ulonglong()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)):
            return None
        if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoule)):
            return None

        def read() -> float:
            library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoule))
            return millijoule.value * 1e-3

        return read


_ENERGY: list[_Energy] = []


@contextmanager
def energy() -> Iterator[dict[str, float]]:
    """Joules that pass inside: ``gpu_j``, ``processor_j``, each only where the machine tells.

    The whole device and the whole processor are counted, idle watts and other programs included.
    """
    if not _ENERGY:
        _ENERGY.append(_Energy())
    meter = _ENERGY[0]
    answer: dict[str, float] = {}
    before = {name: read() for name in ("gpu", "processor") if (read := getattr(meter, name)) is not None}
    yield answer
    for name, start in before.items():
        spent = getattr(meter, name)() - start
        if spent >= 0:  # RAPL begins again from zero now and then
            answer[f"{name}_j"] = round(spent, 3)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as text in columns; numbers to four digits."""
    if not rows:
        return "(nothing was measured)"
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_shown(row.get(name)) for name in names] for row in rows)]
    wide = [max(len(line[k]) for line in cells) for k in range(len(names))]
    lines = []
    for first, *others in cells:
        parts = [first.ljust(wide[0]), *(cell.rjust(w) for cell, w in zip(others, wide[1:], strict=True))]
        lines.append("  ".join(parts))
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
