"""What is asked of the device as a whole."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from microct.kernels import device


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="maps of memory are counted on Linux alone")
def test_programs_are_let_go_where_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    double = jax.jit(lambda x: 2 * x)
    assert double(jnp.arange(3)).tolist() == [0, 2, 4]
    monkeypatch.setattr(device, "_CROWDED", 1.0)
    assert not device.let_go_of_programs()
    assert double._cache_size() == 1
    monkeypatch.setattr(device, "_CROWDED", 0.0)
    assert device.let_go_of_programs()
    assert double._cache_size() == 0
    assert double(jnp.arange(3)).tolist() == [0, 2, 4]


def test_elsewhere_than_on_linux_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(device, "_CROWDED", 0.0)
    assert not device.let_go_of_programs()
