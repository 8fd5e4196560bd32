"""The floors of docs/architecture.md hold: imports run downstairs, no cycles, every guest library in its room.

The plan is read from the page itself, so that page and code cannot drift apart.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Which rooms a guest library may enter; a library that is not listed enters no room.
GUESTS = {
    "numpy": None,
    "jax": {
        "kernels",
        "state",
        "imaging",
        "signalling",
        "remodeling",
        "mechanics",
        "tissue",
        "morphometry",
        "simulation",
        "render",
        "workflow",
    },
    "h5py": {"io"},
    "tifffile": {"io"},
    "pandas": {"io"},
    "pyarrow": {"io"},
    "pyvista": {"render"},
    "vtk": {"render"},
    "vtkmodules": {"render"},
    "matplotlib": {"render"},
    "PIL": {"io", "render"},
    "imageio": {"render"},
    "imageio_ffmpeg": {"render"},
    "skimage": {"imaging", "morphometry"},
    "scipy": {"imaging"},
    "SALib": {"simulation"},
    "cyclopts": {"cli"},
    "rich": {"cli"},
}

#: What `import microct` and `microct --help` must not load.
LAZY = ("jax", "pyvista", "vtkmodules", "skimage", "scipy", "matplotlib", "h5py", "tifffile", "pandas")

#: The front door re-exports, and __main__ only starts it: they stand above every floor.
FRONT_DOOR = {"", "__main__"}


@dataclass(frozen=True)
class Import:
    """One import statement: who, whom (dotted name), on which line, and whether only for type checkers."""

    importer: str
    target: str
    line: int
    typing_only: bool


@dataclass(frozen=True)
class Plan:
    """The floors, bottom first; each is its rooms, in order, and what stands between one room and the next."""

    floors: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    @classmethod
    def of_page(cls, page: str) -> Plan:
        """Read the block under "## The floors"; rooms are separated by ``|``, ``,`` or ``->``."""
        block = re.search(r"## The floors\n.*?```\n(.*?)```", page, re.DOTALL)
        assert block, 'docs/architecture.md has no block under "## The floors"'
        floors = []
        for line in block.group(1).splitlines():
            name, _, rest = line.partition(" ")
            listed = re.match(r"[\w ]*(?:(?:\||,|->)[\w ]+)+", rest.strip())
            single = rest.split("(")[0].split()
            if listed:
                parts = re.split(r"(\||,|->)", listed.group(0))
                floors.append((tuple(part.strip() for part in parts[::2]), tuple(parts[1::2])))
            else:
                floors.append(((single[0] if len(single) == 1 else name,), ()))
        return cls(tuple(reversed(floors)))

    @property
    def rooms(self) -> dict[str, int]:
        """The floor of every room, 0 at the bottom."""
        return {room: level for level, (rooms, _) in enumerate(self.floors) for room in rooms}

    def allows(self, importer: str, target: str) -> bool:
        """Whether one room may import the other: its own, one beneath, or a neighbor that the plan joins to it."""
        if importer == target:
            return True
        levels = self.rooms
        if levels[importer] != levels[target]:
            return levels[importer] > levels[target]
        rooms, between = self.floors[levels[importer]]
        left, right = sorted((rooms.index(importer), rooms.index(target)))
        separators = set(between[left:right])
        return separators == {","} or (separators == {"->"} and rooms.index(importer) == left)


def modules_of(root: Path) -> dict[str, Path]:
    """Every module below ``root``/microct and ``root``/kernels, by dotted name."""
    found = {}
    for top, prefix in ((root / "microct", "microct"), (root / "kernels", "microct.kernels")):
        for path in sorted(top.rglob("*.py")):
            parts = path.relative_to(top).with_suffix("").parts
            if prefix == "microct" and parts[0] in ("kernels", "samples"):
                continue  # links: kernels is read from its own folder, samples is data
            found[".".join((prefix, *parts)).removesuffix(".__init__")] = path
    return found


def imports_of(name: str, path: Path, modules: dict[str, Path]) -> list[Import]:
    """Every import of one module, those inside functions included."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: list[Import] = []

    def visit(node: ast.AST, typing_only: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, True)
            for child in node.orelse:
                visit(child, typing_only)
            return
        if isinstance(node, ast.Import):
            found.extend(Import(name, alias.name, node.lineno, typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join((*above, base)) if base else ".".join(above)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.append(Import(name, full if full in modules else base, node.lineno, typing_only))
                if base == "microct" and full not in modules and alias.name != "__version__":
                    found.append(Import(name, "microct.*", node.lineno, typing_only))
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("import_module")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.append(Import(name, str(node.args[0].value), node.lineno, typing_only))
        for child in ast.iter_child_nodes(node):
            visit(child, typing_only)

    visit(ast.parse(path.read_text(encoding="utf-8")), False)
    return found


def room_of(name: str) -> str:
    """ "microct.io.reader" stands in room "io", "microct" itself in ""."""
    return name.split(".")[1] if "." in name else ""


def complaints_about(root: Path, plan: Plan) -> list[str]:
    """Everything in ``root`` that breaks the plan, one line each."""
    modules = modules_of(root)
    problems = []
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        room = room_of(name)
        if room not in plan.rooms and room not in FRONT_DOOR:
            problems.append(f"{name}: its room is not on the plan")
            continue
        for item in imports_of(name, path, modules):
            where = f"{name}:{item.line}"
            guest = item.target.split(".")[0]
            if guest == "microct":
                target = room_of(item.target)
                if target == "*":
                    problems.append(f"{where}: imports from the front door; import the module itself")
                elif target in plan.rooms and room in plan.rooms and not plan.allows(room, target):
                    problems.append(f"{where}: {room} may not import {target}")
                if not item.typing_only and item.target in modules and item.target != name:
                    graph[name].add(item.target)
            elif guest not in sys.stdlib_module_names and guest != "__future__":
                rooms = GUESTS.get(guest, set())
                if rooms is not None and room not in rooms:
                    problems.append(f"{where}: {guest} is no guest of {room or 'the front door'}")
                if room == "kernels" and guest not in ("jax", "numpy"):
                    problems.append(f"{where}: kernels import jax and numpy only, not {guest}")
    return problems + cycles_in(graph)


#: Rooms that a run passes through: their random numbers are those of `microct.kernels.random`.
LOOP = {"kernels", "remodeling", "mechanics", "tissue", "simulation"}
#: Modules that draw by a state of their own.
DRAWING = {"random", "numpy.random", "jax.random"}


def foreign_draws(root: Path) -> list[str]:
    """Where a module of the loop reaches for random numbers that are not its own, one line each."""
    problems = []
    for name, path in modules_of(root).items():
        if room_of(name) not in LOOP:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                named = {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Attribute):
                named = {ast.unparse(node).replace("np.", "numpy.", 1)}
            else:
                continue
            problems += [f"{name}:{node.lineno}: draws from {module}" for module in sorted(named & DRAWING)]
    return problems


def cycles_in(graph: dict[str, set[str]]) -> list[str]:
    """One line for each import cycle met in a depth-first walk."""
    problems: list[str] = []
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            problems.append("cycle: " + " -> ".join((*trail[trail.index(name) :], name)))
        elif name not in done:
            for target in sorted(graph[name]):
                walk(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        walk(name, ())
    return problems


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan.of_page((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


def test_plan_is_read_from_the_page(plan: Plan) -> None:
    levels = plan.rooms
    assert levels["kernels"] == 0
    assert levels["kernels"] < levels["volume"] < levels["imaging"] < levels["simulation"] < levels["io"]
    assert levels["io"] < levels["workflow"] == levels["cli"]
    assert plan.allows("cli", "workflow")
    assert not plan.allows("workflow", "cli")
    assert plan.allows("table", "quantities")
    assert not plan.allows("io", "render")
    assert not plan.allows("imaging", "morphometry")


def test_house_follows_the_plan(plan: Plan) -> None:
    assert complaints_about(ROOT, plan) == []


BAD_TREE = {
    "microct/__init__.py": "",
    "microct/volume.py": "from microct.io import reader\n",
    "microct/io/__init__.py": "",
    "microct/io/reader.py": "import h5py\nfrom microct import volume\nfrom microct import segment\n",
    "microct/imaging/filters.py": "def f():\n    from ..morphometry import report\n    import pyvista.core\n",
    "microct/morphometry/report.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import microct.cli\n",
    "microct/cli.py": "import requests\nfrom importlib import import_module\nimport_module('microct.workflow')\n",
    "microct/workflow.py": "import microct.cli\n",
    "microct/attic/box.py": "",
    "kernels/stencil.py": "import scipy\nfrom microct.volume import Volume\n",
}


def test_checker_sees_a_bad_house(plan: Plan, tmp_path: Path) -> None:
    for name, content in BAD_TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    found = complaints_about(tmp_path, plan)
    expected = [
        "microct.volume:1: volume may not import io",
        "microct.io.reader:3: imports from the front door; import the module itself",
        "microct.imaging.filters:2: imaging may not import morphometry",
        "microct.imaging.filters:3: pyvista is no guest of imaging",
        "microct.morphometry.report:3: morphometry may not import cli",
        "microct.cli:1: requests is no guest of cli",
        "microct.workflow:1: workflow may not import cli",
        "microct.attic.box: its room is not on the plan",
        "microct.kernels.stencil:1: scipy is no guest of kernels",
        "microct.kernels.stencil:1: kernels import jax and numpy only, not scipy",
        "microct.kernels.stencil:2: kernels may not import volume",
        "cycle: microct.cli -> microct.workflow -> microct.cli",
        "cycle: microct.io.reader -> microct.volume -> microct.io.reader",
    ]
    assert sorted(found) == sorted(expected)


def test_a_run_draws_its_own_random_numbers(tmp_path: Path) -> None:
    assert foreign_draws(ROOT) == []
    for name, content in {
        "kernels/births.py": "import numpy as np\nfrom microct.kernels import random\nrandom.words(np.random.rand())\n",
        "microct/tissue/wear.py": "def f():\n    from jax import random\n    import numpy.random\n",
        "microct/imaging/noise.py": "import numpy as np\nnp.random.default_rng(1)\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert sorted(foreign_draws(tmp_path)) == [
        "microct.kernels.births:3: draws from numpy.random",
        "microct.tissue.wear:2: draws from jax.random",
        "microct.tissue.wear:3: draws from numpy.random",
    ]


@pytest.mark.parametrize("statement", ["import microct", "import microct.cli", "import microct.simulation.config"])
def test_guests_are_loaded_when_first_used(statement: str) -> None:
    code = f"import sys; {statement}; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(LAZY) & set(answer.stdout.split())


def test_kernels_need_only_jax_and_numpy() -> None:
    barred = sorted(guest for guest in GUESTS if guest not in ("jax", "numpy", "scipy"))  # jax itself loads scipy
    names = sorted(name for name in modules_of(ROOT) if name.startswith("microct.kernels"))
    code = (
        f"import sys, importlib; sys.modules.update(dict.fromkeys({barred!r})); "
        f"[importlib.import_module(name) for name in {names!r}]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
