"""Programs compiled for a GPU that is not at hand, and what its compiler plans: memory, kernels, loops, bytes.

jax can compile for a GPU without one where its CUDA plugin is installed (`pip install "jax[cuda12]"`). What is read
here from the compiled text is a plan, not a measurement: memory is the compiler's own account, and the time is a model,
the bytes that each kernel touches at a bandwidth, the launch of each kernel, and the turns of loops.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

#: Copies on an H200 reach some four fifths of its 4.8 TB/s [byte/s]; a kernel starts, a loop with known turns goes on,
#: and the host learns whether a loop with unknown turns goes on, in about these [s]. Assumed, not measured.
BANDWIDTH, LAUNCH, TURN, ASKED = 3.6e12, 2.5e-6, 3e-6, 12e-6

_H200 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000 l2_cache_size: 52428800 device_memory_size: 150000000000
  cuda_compute_capability { major: 9 } registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
runtime_version { major: 12 minor: 9 patch: 0 }
device_description_str: "NVIDIA H200"
"""

_BYTES = {"f64": 8, "s64": 8, "u64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "s16": 2, "u16": 2,
          "s8": 1, "u8": 1, "pred": 1}  # fmt: skip
_ARRAY = re.compile(r"\b(" + "|".join(_BYTES) + r")\[([\d,]*)\]")
_INSTRUCTION = re.compile(r"^(ROOT )?%?([\w.\-]+) = (.*?) ([a-z][a-z\-]*)\((.*)$")
_FREE = {"parameter", "get-tuple-element", "tuple", "constant", "bitcast", "after-all", "opt-barrier", "fusion-done"}


def h200() -> Any:
    """A device to compile for; RuntimeError where jax's CUDA plugin is missing. Call it before jax is used."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    # kernels cannot be tried out
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_autotune_level=0"
    import jax
    from jax.experimental import topologies

    jax.devices()  # plugins are found now
    try:
        return topologies.get_topology_desc(platform="cuda", target_config=_H200, topology="1x1x1").devices[0]
    except (RuntimeError, NotImplementedError) as error:
        raise RuntimeError(f'jax has no CUDA plugin here (pip install "jax[cuda12]"): {error}') from None


def shaped(tree: Any, device: Any) -> Any:
    """The arrays of a tree as shapes that lie on a device."""
    import jax

    where = jax.sharding.SingleDeviceSharding(device)
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=where), tree)


def compiled(function: Any, *shapes: Any, with_kernels: bool = False, **static: Any) -> Any:
    """A jitted function, compiled for the device of the shapes; say so where it calls kernels of Pallas."""
    with _instead_of_the_host() if with_kernels else nullcontext():
        return function.trace(*shapes, **static).lower(lowering_platforms=("cuda",)).compile()


def _instead_of_the_host() -> Any:
    """Kernels of Pallas ask jax which device they are made for: since jax 0.11 it names the host where not told."""
    import jax

    if not hasattr(jax.sharding, "AbstractDevice"):
        return nullcontext()
    device = jax.sharding.AbstractDevice(device_kind="NVIDIA H200", num_cores=132, platform="gpu")
    one = (jax.sharding.AxisType.Explicit,)
    return jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((1,), ("x",), one, abstract_device=device))


@dataclass
class Cost:
    """Of a computation: seconds by the model, kernels, bytes touched, turns of loops, and seconds by kind of kernel."""

    seconds: float = 0.0
    kernels: float = 0.0
    bytes: float = 0.0
    turns: float = 0.0
    by_name: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, other: Cost, times: float = 1.0) -> None:
        """Add another, so many times."""
        self.seconds += times * other.seconds
        self.kernels += times * other.kernels
        self.bytes += times * other.bytes
        self.turns += times * other.turns
        for name, seconds in other.by_name.items():
            self.by_name[name] += times * seconds


@dataclass(frozen=True)
class _Instruction:
    root: bool
    name: str
    type: str
    op: str
    operands: list[str]
    line: str


class Plan:
    """A compiled text, as computations of instructions."""

    def __init__(self, text: str) -> None:
        self.computations: dict[str, list[_Instruction]] = {}
        self.entry = ""
        here: list[_Instruction] | None = None
        for line in text.splitlines():
            line = line.strip()
            if begins := re.match(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$", line):
                here = self.computations.setdefault(begins[2], [])
                self.entry = begins[2] if begins[1] else self.entry
            elif line.startswith("}"):
                here = None
            elif here is not None and (found := _INSTRUCTION.match(line)):
                here.append(_Instruction(bool(found[1]), found[2], found[3], found[4], _names(found[5]), line))

    def cost(self, turns: Callable[[int], float], name: str | None = None, inside: int = 0) -> Cost:
        """What a computation costs.

        Args:
            turns: of loops that hold loops and whose number the compiler does not know, by how many such are around;
                loops of that kind that hold none take one turn.
            name: of the computation; the entry by default.
            inside: how many such loops are around.
        """
        total, types = Cost(), {}
        for each in self.computations[name or self.entry]:
            types[each.name] = each.type
            if each.op == "while":
                body = _called(each.line, "body")
                known = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', each.line)
                holds = not known and any(i.op == "while" for i in self.computations[body])
                count = float(known[1]) if known else turns(inside) if holds else 1.0
                total.add(self.cost(turns, body, inside + holds), count)
                total.turns += count
                total.seconds += count * (TURN if known else ASKED)
            elif each.op == "call":
                total.add(self.cost(turns, _called(each.line, "to_apply"), inside))
            elif each.op == "conditional":
                branches = re.findall(r"%([\w.\-]+)", each.line.split("branch_computations=")[-1].split("}")[0])
                total.add(max((self.cost(turns, b, inside) for b in branches), key=lambda c: c.seconds, default=Cost()))
            elif each.op not in _FREE:
                touched = self._touched(each, types)
                seconds = max(LAUNCH, touched / BANDWIDTH + 1e-6)
                total.add(Cost(seconds, 1, touched, 0, {each.name.rstrip(".0123456789"): seconds}))
        return total

    def _touched(self, each: _Instruction, types: dict[str, str]) -> float:
        """Bytes that a kernel reads and writes; of what it picks from or changes in place, those alone."""
        if each.op in ("fusion", "fusion-start"):
            return self._of_fusion(_called(each.line, "calls"))
        if each.op in ("gather", "dynamic-slice"):
            return 2 * _size(each.type)
        return _size(each.type) + sum(_size(types.get(o, "")) for o in each.operands)

    def _of_fusion(self, name: str) -> float:
        body = {i.name: i for i in self.computations[name]}
        users: dict[str, list[tuple[_Instruction, int]]] = defaultdict(list)
        for i in body.values():
            for place, operand in enumerate(i.operands):
                users[operand].append((i, place))

        def uses(name: str) -> list[tuple[_Instruction, int]]:
            found = []
            for user, place in users[name]:
                found += uses(user.name) if user.op in ("bitcast", "reshape") else [(user, place)]
            return found

        def read(parameter: _Instruction) -> float:
            whole, total = _size(parameter.type), 0.0
            for user, place in uses(parameter.name):
                if user.op in ("gather", "dynamic-slice", "slice") and place == 0:
                    total += _size(user.type)
                elif not (user.op in ("dynamic-update-slice", "scatter") and place == 0):
                    return whole
            return min(total, whole)

        def written(i: _Instruction) -> float:
            if i.op == "dynamic-update-slice":
                return _size(body[i.operands[1]].type)
            if i.op == "scatter":  # read, changed, written
                return 2 * _size(body[i.operands[-1]].type)
            if i.op in ("bitcast", "tuple"):
                return sum(written(body[o]) for o in i.operands)
            return _size(i.type)

        roots = [i for i in body.values() if i.root]
        return sum(read(i) for i in body.values() if i.op == "parameter") + sum(map(written, roots))


def _called(line: str, what: str) -> str:
    found = re.search(rf"{what}=%?([\w.\-]+)", line)
    assert found is not None
    return found[1]


def _names(rest: str) -> list[str]:
    """Names between the parenthesis that is open and its end."""
    depth = 0
    for end, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return re.findall(r"%([\w.\-]+)", rest[:end])
    return []


def _size(type_text: str) -> float:
    """Bytes of all arrays that a type names."""
    total = 0.0
    for kind, lengths in _ARRAY.findall(type_text):
        count = 1
        for length in filter(None, lengths.split(",")):
            count *= int(length)
        total += count * _BYTES[kind]
    return total
