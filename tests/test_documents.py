"""What the documents say can be done: links lead somewhere, Python runs, studies are studies."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from microct.imaging.embedded import load_sample
from microct.simulation.config import Study

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_examples_are_studies_of_bones_that_exist(example: Path) -> None:
    scan = Study.from_toml(example).scan
    if scan.sample:
        assert load_sample(scan.sample).values.any()
    elif not Path(str(scan.file)).exists():
        pytest.skip(f"{scan.file} is not at hand")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_studies_in_pages_are_studies(page: Path) -> None:
    for block in blocks(page, "toml"):
        Study.from_toml(block)


@pytest.mark.slow
def test_python_in_the_readme_runs(tmp_path: Path) -> None:
    code = "\n".join(blocks(ROOT / "README.md", "python"))
    assert "microct.simulate" in code
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "Tb.Th = " in answer.stdout
