"""Plots of docs/benchmarks.md, drawn from the records of benchmarks."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: One color for each machine, in the order in which they are met; distinct for color-blind readers (Okabe, Ito 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def plots(found: dict[str, list[dict[str, Any]]], folder: Path) -> list[str]:
    """Draw what there are records for; the names of the plots."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    style: dict[Any, Any] = {
        "svg.hashsalt": "microct", "svg.fonttype": "path", "font.size": 9.0, "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "legend.frameon": False,
    }  # fmt: skip
    drawn = []
    folder.mkdir(exist_ok=True)
    drawings: dict[str, tuple[str, Callable[[Any, list[dict[str, Any]]], None]]] = {
        "throughput": ("remodeling", _throughput), "year": ("remodeling", _year), "limits": ("limits", _limits),
        "morphometry": ("morphometry", _morphometry),
    }  # fmt: skip
    for name, (question, draw) in drawings.items():
        if question not in found:
            continue
        with mpl.rc_context(style):
            figure, axes = plt.subplots(figsize=(7.0, 4.0), layout="constrained")
            draw(axes, found[question])
            if axes.has_data():
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
                drawn.append(name)
            plt.close(figure)
    return drawn


def _by_edge(axes: Any, found: list[dict[str, Any]], key: str, label: str) -> None:
    edges: set[int] = set()
    for color, record in zip(COLORS, found, strict=False):
        for kind, line in (("fixed density", "-"), ("fixed births", "--")):
            points = sorted(
                (row["edge"], row[key])
                for name, row in record["answer"].items()
                if name.startswith(kind) and key in row
            )
            if points:
                edges |= {edge for edge, _ in points}
                axes.loglog(
                    *zip(*points, strict=True), line, marker="o", ms=4, color=color, label=f"{record['name']}, {kind}"
                )
    axes.set_xticks(sorted(edges), [f"{edge}³" for edge in sorted(edges)])
    axes.xaxis.minorticks_off()
    low, high = axes.get_ylim()  # whole decades, so that there is always a number to read
    axes.set_ylim(10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("voxels")
    axes.set_ylabel(label)
    if edges:
        axes.legend(fontsize=8)


def _throughput(axes: Any, found: list[dict[str, Any]]) -> None:
    _by_edge(axes, found, "million_voxel_updates_per_s", "million voxel updates a second")


def _year(axes: Any, found: list[dict[str, Any]]) -> None:
    _by_edge(axes, found, "s_per_year", "wall seconds a simulated year")


def _limits(axes: Any, found: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for record in found for name, row in record["answer"].items() if "of_copy" in row))
    names.reverse()
    apart = 0.6 / max(len(found), 1)
    for number, (color, record) in enumerate(zip(COLORS, found, strict=False)):
        answer = record["answer"]
        for key, face in (("of_copy", color), ("of_roofline", "none")):
            places = [place for place, name in enumerate(names) if key in answer.get(name, {})]
            shares = [100 * answer[names[place]][key] for place in places]
            size, label = (6 if face == "none" else 4), f"{record['name']}, {key.replace('_', ' ')}"
            lower = [place - apart * number for place in places]
            axes.plot(shares, lower, "o", color=color, mfc=face, ms=size, label=label)
    axes.axvline(60, color="0.4", ls=":", lw=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(names)), [name.replace("^3", "³") for name in names])
    axes.set_ylim(-1, len(names) - 0.5)
    axes.set_xlabel("% of the measured limit (dotted: target on a GPU)")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=2)


def _morphometry(axes: Any, found: list[dict[str, Any]]) -> None:
    rows = [
        (f"{way}: {question}", took["times_ours"])
        for record in found[:1]
        for question, several in record["answer"].items()
        if isinstance(several, dict) and question.endswith("256^3")
        for way, took in several.items()
        if isinstance(took, dict) and took.get("times_ours") and not way.startswith("microct")
    ]
    if not rows:
        return
    rows.reverse()
    labels, times = [label.replace("^3", "³") for label, _ in rows], [time for _, time in rows]
    bars = axes.barh(labels, [time - 1.0 for time in times], left=1.0, color=COLORS[0])
    axes.bar_label(bars, [f"{time:.3g}" for time in times], padding=2, fontsize=7)
    axes.set_xscale("log")
    axes.set_xlim(0.1, 2.0 * max(times))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1.0, color="0.3", lw=1)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("processor time, as a multiple of ours")
