"""Which device jax computes on; the one place that asks."""

from __future__ import annotations

import jax


def has_accelerator() -> bool:
    """Whether jax computes on another device than the host, a GPU say."""
    return jax.default_backend() != "cpu"
