"""What machine a benchmark ran on, and the record of its answer: numbers are compared only where they may be."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # a plain checkout: nothing is installed
    sys.path.insert(1, str(ROOT))

#: Versions that move results.
LIBRARIES = ("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "numpy", "h5py", "vtk", "pyvista",
             "scikit-image", "scipy")  # fmt: skip

#: What is asked of the NVIDIA driver, and the names that the answers get.
_ASKED = {
    "name": "name", "driver_version": "driver", "memory.total": "memory", "power.limit": "power_limit",
    "clocks.max.sm": "clock_max", "clocks.max.memory": "memory_clock_max",
}  # fmt: skip


def machine() -> dict[str, Any]:
    """Processor, memory, load, devices of jax, driver and versions, as plain values for JSON."""
    import jax

    import microct

    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "load": _load(),
        "devices": [f"{device.platform} {device.device_kind}" for device in jax.devices()],
        "driver": _driver(),
        "python": platform.python_version(),
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
        "microct": microct.__version__,
        "commit": _commit(),
        "sources": _sources(),
    }


class Record:
    """One benchmark's answer as JSON, written anew after every row: a run that is killed keeps what it has.

    Args:
        question: file name without ending, for instance "remodeling".
        folder: that of MICROCT_BENCH_OUT, or benchmarks/results, if left out.
        settings: what was asked for, for the reader.
    """

    def __init__(self, question: str, folder: Path | None = None, **settings: Any) -> None:
        about = machine()
        self.content: dict[str, Any] = {
            "question": question,
            "when": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
            "machine": about,
            "settings": settings,
            "answer": {},
        }
        self.path = _path(question, about, folder)
        self.path.parent.mkdir(parents=True, exist_ok=True)

    @property
    def answer(self) -> dict[str, Any]:
        """Rows by name."""
        return self.content["answer"]

    def add(self, name: str, row: Any) -> Any:
        """Add a row, write the file, and give the row back."""
        self.answer[name] = row
        self.write()
        return row

    def write(self) -> Path:
        """Write the file; whoever reads it meanwhile sees the one before or the one after."""
        self.content["load_at_end"] = _load()
        beside = self.path.with_suffix(".part")
        beside.write_text(json.dumps(self.content, indent=1, default=_plain) + "\n", encoding="utf-8")
        beside.replace(self.path)
        return self.path


def record(question: str, answer: Any, folder: Path | None = None) -> Path:
    """Write a whole answer at once.

    Returns:
        The file: one for each question, kind of device, number of cores and version of microct.
    """
    kept = Record(question, folder)
    kept.content["answer"] = answer
    return kept.write()


def _plain(value: Any) -> Any:
    """NumPy's and jax's numbers as JSON's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no value for a record")


def recorded_answer(question: str, folder: Path | None = None) -> dict[str, Any]:
    """The answer that this kind of machine recorded last; empty where there is none."""
    path = _path(question, machine(), folder)
    return json.loads(path.read_text(encoding="utf-8"))["answer"] if path.exists() else {}


def _path(question: str, about: dict[str, Any], folder: Path | None) -> Path:
    if folder is None:
        folder = Path(os.environ.get("MICROCT_BENCH_OUT") or Path(__file__).parent / "results")
    device = "-".join(about["devices"][0].lower().split())
    return folder / f"{question}-{device}-{about['cores']}cores-{about['microct']}.json"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _load() -> list[float] | None:
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _driver() -> list[dict[str, str]]:
    """What the NVIDIA driver says of its devices; empty where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    words = [program, f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in said.splitlines() if line.strip()]
    return [dict(zip(_ASKED.values(), row, strict=False)) for row in rows]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    """Short commit, with "+" where the tree has changes; MICROCT_COMMIT outside a repository, or ""."""
    try:
        asked = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 10, "check": True}
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], **asked).stdout.strip()  # type: ignore[call-overload]
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], **asked).stdout.strip()  # type: ignore[call-overload]
        return commit + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("MICROCT_COMMIT", "")


def _sources() -> str:
    """First digits of the SHA-256 of all sources of the package: what ran, also where there is no commit."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "microct").rglob("*.py"), *(ROOT / "kernels").glob("*.py")]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    print(json.dumps(machine(), indent=1))
