"""What machine a benchmark ran on: part of every result, so that numbers are compared only where they may be."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

#: Versions that move results.
LIBRARIES = ("jax", "jaxlib", "numpy", "h5py", "vtk", "pyvista", "scikit-image", "scipy")


def machine() -> dict[str, Any]:
    """Processor, memory, load, devices of jax and versions, as plain values for JSON."""
    import jax

    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "devices": [f"{device.platform} {device.device_kind}" for device in jax.devices()],
        "python": platform.python_version(),
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
        "microct": _version("microct"),
        "commit": _commit(),
    }


def record(question: str, answer: Any, folder: Path | None = None) -> Path:
    """Write one benchmark's answer, with machine and time, as JSON.

    Args:
        question: file name without ending, for instance "cost_follows_events".
        answer: what was measured, units in the keys.
        folder: benchmarks/results if left out.

    Returns:
        The file: one for each question, kind of device, number of cores and version of microct.
    """
    about = machine()
    folder = Path(__file__).parent / "results" if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    device = "-".join(about["devices"][0].lower().split())
    path = folder / f"{question}-{device}-{about['cores']}cores-{about['microct']}.json"
    content = {
        "question": question,
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": about,
        "answer": answer,
    }
    path.write_text(json.dumps(content, indent=1, sort_keys=False) + "\n", encoding="utf-8")
    return path


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    """Short commit, with "+" where the tree has changes; "" outside a repository."""
    try:
        where = Path(__file__).parent
        asked = {"cwd": where, "capture_output": True, "text": True, "timeout": 10, "check": True}
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], **asked).stdout.strip()  # type: ignore[call-overload]
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], **asked).stdout.strip()  # type: ignore[call-overload]
        return commit + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


if __name__ == "__main__":
    print(json.dumps(machine(), indent=1))
