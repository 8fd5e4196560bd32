"""The device on which jax computes: whether it is another than the host, and programs that it need not keep."""

from __future__ import annotations

from pathlib import Path

import jax

#: Share of the memory maps that Linux grants a process from which on programs are let go.
_CROWDED = 0.3


def has_accelerator() -> bool:
    """Whether jax computes on another device than the host, a GPU say."""
    return jax.default_backend() != "cpu"


def let_go_of_programs() -> bool:
    """Forget compiled programs where they are too many for the operating system; returns whether it did.

    jax keeps every program that it has compiled. On a CPU each takes maps of memory, a run of remodeling over a
    thousand, and Linux aborts a process that asks for more than some 65 000 of them: after fifty runs on bones of
    different shapes. What is needed again is compiled again, or read from jax's cache on disk.
    """
    try:
        most = int(Path("/proc/sys/vm/max_map_count").read_text(encoding="ascii"))
        with Path("/proc/self/maps").open("rb") as lines:
            crowded = sum(1 for _ in lines) > _CROWDED * most
    except (OSError, ValueError):  # not Linux
        return False
    if crowded:
        jax.clear_caches()
    return crowded
