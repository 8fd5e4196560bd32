"""Writes docs/benchmarks.md and its plots from the records in benchmarks/results.

python docs/make_benchmarks_page.py [--results FOLDER]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark_plots import plots

HERE = Path(__file__).resolve().parent
HEAD = """# How fast, how large, how far from the limit

Made by `python docs/make_benchmarks_page.py` from [the records](../benchmarks/results). How to make your own, how they
are to be read, and what was predicted before what came: [benchmarks/README.md](../benchmarks/README.md).
On a CPU times are of the processor, all cores together, unless a column says wall; on a GPU they are wall time. Medians
of repeats; shares of limits are of the fastest, as the limits themselves are.
"""


def records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Records by question, each with the short name of its machine."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if not record["question"].endswith("-quick"):
            question = record["question"]
            question = "microfe" if question.startswith("microfe_") else question  # the first records named their size
            found.setdefault(question, []).append(record | {"name": machine_name(record["machine"])})
    return found


def machine_name(about: dict[str, Any]) -> str:
    """The GPU, or the processor and its cores."""
    device = str(about["devices"][0])
    if device.startswith("cpu"):
        return f"{about['processor']}, {about['cores']} cores"
    return device.partition(" ")[2]


def clock(record: dict[str, Any]) -> str:
    """Which time is compared on this machine."""
    return "processor_s" if str(record["machine"]["devices"][0]).startswith("cpu") else "wall_s"


def middle(row: dict[str, Any], key: str) -> float | None:
    """Median of repeats, or the single number; None where it is missing."""
    value = row.get(key)
    if isinstance(value, list):
        return statistics.median(value) if value else None
    return value


def table(head: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(_shown(cell) for cell in row) + " |" for row in rows])


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def machines(found: dict[str, list[dict[str, Any]]]) -> str:
    """What ran where, and when."""
    rows: dict[tuple[Any, ...], list[str]] = {}
    for question, several in found.items():
        for record in several:
            about = record["machine"]
            driver = ", ".join(device.get("driver", "") for device in about.get("driver") or [])
            jax = about["versions"].get("jax", "")
            key = (record["name"], about["system"], driver, jax, about["microct"])
            busy = "*" if (about.get("load") or [0])[0] > about["cores"] else ""
            rows.setdefault(key, []).append(
                f"{question}{busy} ({record['when'][:10]}, {about['commit'] or about['sources']})"
            )
    listed = [[*key, "; ".join(asked)] for key, asked in rows.items()]
    text = table(["machine", "system", "driver", "jax", "microct", "questions (date, commit)"], listed)
    return f"{text}\n\n\\* the machine had more to do than it has cores when the question began."


def limits(found: list[dict[str, Any]]) -> str:
    """Shares of the roofline."""
    text = []
    for record in found:
        of = record["answer"].get("the device", {})
        if of:
            giga = {name: f"{of[name] / 1e9:.0f}" for name in ("copy", "float32", "float64")}
            text.append(
                f"**{record['name']}**: copy {giga['copy']} GB/s, float32 {giga['float32']} and float64 "
                f"{giga['float64']} Gop/s, random bytes {of['gathered'] / 1e6:.0f} M/s read and "
                f"{of['scattered'] / 1e6:.0f} M/s written, an empty call {of['dispatch_s'] * 1e6:.1f} us, "
                f"a turn of a loop on the device {of['turn_s'] * 1e6:.1f} us."
            )
        rows = [
            [name, 1e3 * min(row["wall_s"]), row["ns_per_unit"], row["bytes"] / row["units"],
             row["operations"] / row["units"], f"{100 * row['of_copy']:.0f} %", f"{100 * row['of_roofline']:.0f} %",
             row["bound"]]
            for name, row in record["answer"].items() if "of_copy" in row
        ]  # fmt: skip
        text.append(table(["kernel", "wall ms", "ns a unit", "bytes a unit", "operations a unit", "of copy bandwidth",
                           "of the roofline", "floor set by"], rows))  # fmt: skip
        rows = [
            [name, 1e3 * min(row["wall_s"]), row["births"], row["voxels_changed"], row["us_per_birth"],
             row["times_floor"], row["fronts_alone"]["times_floor"]]
            for name, row in record["answer"].items() if "times_floor" in row
        ]  # fmt: skip
        if rows:
            text.append(table(["kernel", "wall ms", "births", "voxels changed", "us a birth", "times its floor",
                               "fronts alone, times theirs"], rows))  # fmt: skip
    return "\n\n".join(text)


def remodeling(found: list[dict[str, Any]]) -> str:
    """Throughput and memory by edge, and the main job."""
    rows, jobs = [], []
    for record in found:
        for name, row in record["answer"].items():
            if "s_per_year" in row:
                memory, spent = row["bytes_per_voxel"], middle(row, "processor_s") or 0.0
                peak = row["device_bytes"].get("peak")
                rows.append([
                    record["name"], name, row["million_voxel_updates_per_s"], row["bmus_per_s"], row["s_per_year"],
                    1e3 * spent * len(row["wall_s"]) / max(row["births"], 1), row["compile_s"],
                    memory["fields"] + memory["bmus"], peak / row["edge"] ** 3 if peak else None,
                    row["peak_process_bytes"] / 2**30, (row["checkpoint"].get("save_s") or [None])[0],
                ])  # fmt: skip
            elif "steps_wall_s" in row:
                jobs.append([record["name"], name, row["years"], row["steps_wall_s"], row.get("stock_s"), row["births"],
                             row["processor_ms_per_birth"], row["million_voxel_updates_per_s"]])  # fmt: skip
    text = [table(["machine", "bone", "million voxel updates a second", "BMUs a second", "wall s a year",
                   "processor ms a BMU", "compile s", "byte a voxel", "device peak, byte a voxel", "process GiB",
                   "checkpoint s"], rows)] if rows else []  # fmt: skip
    if jobs:
        head = ["machine", "job", "years", "steps, wall s", "stock, wall s", "births", "processor ms a birth",
                "million voxel updates a second"]  # fmt: skip
        text.append(table(head, jobs))
    return "\n\n".join(text)


def microfe(found: list[dict[str, Any]]) -> str:
    """Seconds, steps, bytes and joules for each degree of freedom."""
    rows = []
    for record in found:
        for name, row in record["answer"].items():
            own = row.get("ours") if isinstance(row, dict) else None
            if not own:
                continue
            joules = own.get("joule_per_million_dof") or {}
            rows.append([
                record["name"], name, own["degrees_of_freedom"] / 1e6, own["us_per_dof"],
                own.get("wall_s_per_million_dof"), own["iterations"], own["peak_process_bytes_per_dof"],
                own.get("array_bytes_per_dof"), own.get("peak_device_bytes_per_dof"),
                sum(joules.values()) if joules else None,
                row.get("parosol", {}).get("us_per_dof"), row.get("times_faster"),
            ])  # fmt: skip
    return table(["machine", "bone", "million dof", "processor us a dof", "wall s a million dof", "steps",
                  "process byte a dof", "arrays, byte a dof", "device byte a dof", "joule a million dof",
                  "ParOSol, us a dof", "ParOSol by ours"], rows)  # fmt: skip


def steps(found: list[dict[str, Any]]) -> str:
    """Steps to 1e-7 on every volume."""
    rows = [
        [name, row["Mdof"], row["bone_share"], row.get("frictionless"), row.get("clamped")]
        for record in found
        for name, row in record["answer"].items()
    ]
    return table(["bone", "million dof", "share of bone", "steps, frictionless", "steps, clamped"], rows)


def gpu_plan(found: list[dict[str, Any]]) -> str:
    """What a GPU would be asked to do."""
    rows = [
        [record["settings"]["planned_for"], name, row.get("array_bytes_per_dof"), row.get("bytes_per_voxel"),
         row["kernels_per_step"], row["GB_per_step"], 1e3 * row["model_s_per_step"], row["compile_processor_s"]]
        for record in found
        for name, row in record["answer"].items()
    ]  # fmt: skip
    head = ["planned for", "job", "byte a dof", "byte a voxel", "kernels a step", "GB a step", "model, ms a step",
            "compilation, processor s"]  # fmt: skip
    return (
        "The compiler's plan for a GPU that was not at hand: a step of conjugate gradients, or of ten days of "
        "remodeling. Memory is its own account; milliseconds are a model (bytes at 3.6 TB/s, launches, turns of "
        "loops), never measured.\n\n" + table(head, rows)
    )


def ways(found: list[dict[str, Any]]) -> str:
    """Morphometry, way beside way."""
    rows = [
        [record["name"], question, way, middle(took, clock(record)), took.get("byte_per_voxel"), took.get("times_ours")]
        for record in found
        for question, several in record["answer"].items()
        if isinstance(several, dict)
        for way, took in several.items()
        if isinstance(took, dict) and "byte_per_voxel" in took
    ]
    return table(["machine", "question", "way", "s", "byte a voxel", "times ours"], rows)


def device_kernels(found: list[dict[str, Any]]) -> str:
    """Kernels of morphometry beside a copy."""
    rows = [
        [record["name"], f"{name}, {volume}", 1e3 * min(took["wall_s"]), took.get("million_voxels_per_s"),
         took.get("of_copy"), took.get("byte_per_voxel_at_most")]
        for record in found
        for volume, several in record["answer"].items()
        for name, took in several.items()
        if "wall_s" in took
    ]  # fmt: skip
    return table(["machine", "kernel", "wall ms", "million voxels a second", "of a copy", "byte a voxel at most"], rows)


def cells(found: list[dict[str, Any]]) -> str:
    """One woman, many, and the peers."""
    rows = [
        [record["name"], name, row.get("us_per_woman_year"), row.get("women_per_s"), row.get("missing")]
        for record in found
        for name, row in record["answer"].items()
    ]
    return table(["machine", "who", "processor us a woman and year", "women a second (30 years)", "missing"], rows)


def checkpoints(found: list[dict[str, Any]]) -> str:
    """Seconds and bytes."""
    rows = [
        [
            record["name"],
            name,
            middle(row, "save_s"),
            middle(row, "load_s"),
            row["mb_per_s"],
            row["bytes_written_per_voxel"],
        ]
        for record in found
        for name, row in record["answer"].items()
    ]
    return table(["machine", "bone", "save, wall s", "load, wall s", "MB/s", "byte a voxel on disk"], rows)


def startup(found: list[dict[str, Any]]) -> str:
    """Milliseconds of a command."""
    rows = [
        [record["name"], f"`{name}`", 1e3 * (middle(row, "wall_s") or 0.0), 1e3 * (middle(row, "processor_s") or 0.0)]
        for record in found
        for name, row in record["answer"].items()
        if "wall_s" in row
    ]
    return table(["machine", "command", "wall ms", "processor ms"], rows)


def demo(found: list[dict[str, Any]]) -> str:
    """The demo, installing apart and counted in."""
    rows = [
        [record["name"], name, middle(row, "wall_s"), row.get("set_up_s"), row.get("bytes_on_disk", 0) / 1e6]
        for record in found
        for name, row in record["answer"].items()
        if "wall_s" in row
    ]
    return table(["machine", "job", "wall s", "set up s", "MB on disk"], rows)


def reference(found: list[dict[str, Any]]) -> str:
    """Kernels beside the plain definitions."""
    rows = [
        [
            record["name"],
            name,
            row["unit"],
            row["definition"]["us_per_unit"],
            row["kernel"]["us_per_unit"],
            row["times_faster"],
        ]
        for record in found
        for name, row in record["answer"].items()
    ]
    return table(["machine", "question", "unit", "definition, us", "kernel, us", "times faster"], rows)


#: Sections in order: question, heading, text; plots that go with it.
SECTIONS: tuple[tuple[str, str, Callable[[list[dict[str, Any]]], str], tuple[str, ...]], ...] = (
    ("remodeling", "Remodeling", remodeling, ("throughput", "year")),
    ("limits", "How far from the limit", limits, ("limits",)),
    ("microfe", "Micro-FE", microfe, ()),
    ("steps_microfe", "Micro-FE, steps to 1e-7", steps, ()),
    ("gpu_plan", "Planned for a GPU", gpu_plan, ()),
    ("morphometry", "Morphometry", ways, ("morphometry",)),
    ("device_morphometry", "Morphometry on the device", device_kernels, ()),
    ("cells", "Cells", cells, ()),
    ("reference", "Beside the plain definitions", reference, ()),
    ("checkpoint", "Checkpoints", checkpoints, ()),
    ("startup", "Start-up", startup, ()),
    ("demo", "The demo", demo, ()),
)

ALT = {
    "throughput": "Million voxel updates a second against the edge of the volume, at fixed density and at fixed births",
    "year": "Seconds for a simulated year against the edge of the volume",
    "limits": "Share of the measured copy bandwidth that each kernel reaches",
    "morphometry": "Processor time of the peers, as a multiple of ours",
}


def page(found: dict[str, list[dict[str, Any]]], drawn: list[str]) -> str:
    """The whole page."""
    parts = [HEAD, "## Machines\n\n" + machines(found)]
    for question, heading, text, figures in SECTIONS:
        if question in found:
            shown = [f"![{ALT[name]}](benchmarks/{name}.svg)" for name in figures if name in drawn]
            parts.append("\n\n".join([f"## {heading}", *shown, text(found[question])]))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page and its plots."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE.parent / "benchmarks" / "results")
    asked = parser.parse_args()
    found = records(asked.results)
    drawn = plots(found, HERE / "benchmarks")
    (HERE / "benchmarks.md").write_text(page(found, drawn), encoding="utf-8")
    print(f"docs/benchmarks.md: {', '.join(found)}; plots: {', '.join(drawn) or 'none'}")


if __name__ == "__main__":
    main()
