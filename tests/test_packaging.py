"""The wheel holds the whole house and nothing else, also where the checkout has lost its links."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def built_from(tree: Path, folder: Path) -> zipfile.ZipFile:
    """The wheel of ``tree``, built the way that pip builds it."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(tree)],
        check=True,
    )
    (wheel,) = folder.glob("microct-*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout without what building or testing left there, and without its links."""
    copy = tmp_path_factory.mktemp("checkout") / "micro ct"
    left_out = shutil.ignore_patterns(
        ".git", ".venv*", ".*cache*", "__pycache__", "build", "dist", "*.egg-info", "runs"
    )
    shutil.copytree(ROOT, copy, symlinks=True, ignore=left_out)
    for link in ("kernels", "samples"):
        (copy / "microct" / link).unlink()
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return built_from(tree, tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
def test_wheel_holds_every_module_and_sample(wheel: zipfile.ZipFile) -> None:
    packed = set(wheel.namelist())
    for folder, name in (("microct", "microct"), ("kernels", "microct/kernels"), ("data/samples", "microct/samples")):
        for path in (ROOT / folder).rglob("*"):
            place = path.relative_to(ROOT / folder)
            if folder == "microct" and place.parts[0] in ("kernels", "samples"):
                continue
            if path.suffix in (".py", ".npz", ".toml", ".json", ".md", ".typed") and "__pycache__" not in place.parts:
                assert f"{name}/{place.as_posix()}" in packed


@pytest.mark.slow
def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"microct"}
    assert sum(item.file_size for item in wheel.infolist()) < 20e6


@pytest.mark.slow
def test_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "microct = microct.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()
    assert b"Apache License" in wheel.read(f"{folder}/licenses/LICENSE")
    assert "License-Expression: Apache-2.0" in wheel.read(f"{folder}/METADATA").decode()


def test_one_version_everywhere() -> None:
    import microct

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == microct.__version__
    assert f"version: {microct.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_every_package_folder_is_listed() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {"microct", "microct.kernels", "microct.samples"}
    folders = (path.parent.relative_to(ROOT) for path in (ROOT / "microct").rglob("__init__.py"))
    found |= {".".join(folder.parts) for folder in folders}
    assert set(setup["packages"]) == found


def test_constraints_name_every_library_that_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["table"], *extras["movie"], *extras["dev"]]
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {name.split(">=")[0] for name in wanted if not name.startswith("microct[")} <= pinned


def test_no_host_of_a_registry_is_named() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    barred = ["pypi" + ".org", "pythonhosted" + ".org", "--index" + "-url", "--find" + "-links"]
    for name in tracked.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix in ("", ".md", ".toml", ".txt", ".sh", ".py", ".cff"):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [word for word in barred if word in text], name
