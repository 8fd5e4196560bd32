"""What every test shares: the real scans, a compilation cache, settings of hypothesis, a time budget."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# Compiled kernels are kept between runs (and handed to subprocesses); set before anything imports jax.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("MPLBACKEND", "agg")

# Compilation makes the first example slow, and a busy machine any of them: no deadline. Same examples every time.
settings.register_profile(
    "microct", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("microct")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--time-budget",
        type=float,
        default=None,
        metavar="SECONDS",
        help="skip the tests that would start after this time",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STARTED] = time.monotonic()


STARTED = pytest.StashKey[float]()
STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave with pytest's own verdict where OpenGL was used.

    With many libraries in one process the graphics driver has crashed while the interpreter was taken down, after all
    tests had passed and been reported. The commands of microct, which load fewer, have not been seen to. A worker's end
    is no verdict.
    """
    if "vtkmodules" in sys.modules and STATUS in config.stash and not hasattr(config, "workerinput"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "jax" in sys.modules:  # a worker that has run hundreds of tests holds more programs than Linux has maps for
        from microct.kernels.device import let_go_of_programs

        let_go_of_programs()
    budget = item.config.getoption("--time-budget")
    if budget is not None and time.monotonic() - item.config.stash[STARTED] > budget:
        pytest.skip(f"the time budget of {budget:g} s is spent")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real scans, beside the repository; tests that need one are skipped where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real scans (../shared/data) are not here")
    return folder
