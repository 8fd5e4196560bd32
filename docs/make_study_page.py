"""Makes docs/study-file.md from the settings themselves: ``make pages``, or ``python docs/make_study_page.py``."""

from __future__ import annotations

import sys
from pathlib import Path

from microct.signalling.drugs.pharmacy import REGIMENS
from microct.signalling.knock_outs import KNOCK_OUTS
from microct.simulation.config import Study

HEAD = """# The study file

Made from the code by `make pages`; do not edit.

A study is a TOML file of sections: which bone, how long, whose, how its BMUs live, where bone forms without resorption,
where the cortex is, what load is felt, and what is measured; and of one table for each drug. Every setting may be left
out; an unknown section or key is refused with the nearest known one, a wrong value with the range that was expected.
The run folder keeps the study as it was run.

```toml
[scan]
file = "vertebra.nrrd"    # beside this file
resample_um = 30

[time]
years = 10

[patient]
menopause = "surgical"

[[drug]]
name = "denosumab"
start_years = 5
stop_years = 8
```

From Python: `Study.from_toml("study.toml")`, `Study().with_values(time={"years": 5})`, `study.to_toml()`.
"(unverified)" marks a source that was not checked against the publication itself.
"""

SECTIONS = {
    "scan": "Which bone. Give `file` or `sample`, or neither where a `Volume` is handed to `microct.simulate`.",
    "time": "How long, in which steps, and how often something is kept. A run starts with healthy remodeling (the"
    " burn-in) at negative years; year 0 is the start of the study.",
    "patient": "Whose bone: estrogen and age.",
    "remodeling": "The life of a BMU. The last three settings replace what the cell model asks for.",
    "modeling": "Formation on quiescent surface, without resorption before it (docs/science-remodeling.md, section 8).",
    "compartments": "Trabecular, endocortical, intracortical and periosteal bone, each with its own births and depths"
    " (docs/science-remodeling.md, section 9). Left out, all bone is trabecular.",
    "load": "Load in the loop: micro-FE from time to time, and a bone that follows what it feels"
    " (docs/science-remodeling.md, section 7).",
    "osteocytes": "Osteocytes and microdamage: where they call BMUs (docs/science-tissue.md). Their number is always"
    " reported.",
    "report": "What is measured, and how it is called.",
    "drug": "A drug that is given: one table `[[drug]]` each, as many as wanted; a combination or a sequence."
    " Doses of one drug that is given twice add up; a drug that starts after the last year does nothing.",
}


def page() -> str:
    """The whole page as Markdown."""
    lines = [HEAD]
    for section, sentence in SECTIONS.items():
        lines += [
            f"## [[{section}]]" if section == "drug" else f"## [{section}]",
            "",
            sentence,
            "",
            "| key | default | allowed | usual | meaning | source |",
            "|---" * 6 + "|",
        ]
        for row in Study.describe():
            if row.section == section:
                default = f"`{row.default}`" if row.default else "left out"
                usual = f"{row.usual} {row.unit}".strip() if row.usual else ""
                lines.append(f"| `{row.key}` | {default} | {row.allowed} | {usual} | {row.meaning} | {row.source} |")
        lines.append("")
    lines += ["How the drugs are given where a study does not say otherwise:", ""]
    lines += ["| drug | dose | every | how | source |", "|---" * 5 + "|"]
    for name, usual in REGIMENS.items():
        lines.append(
            f"| {name} | {usual.dose:g} {usual.unit} | {usual.interval_d:g} days | {usual.route} | {usual.source} |"
        )
    lines.append("")
    lines.append("Pathways that `knock_out` knows: " + ", ".join(f"`{name}`" for name in KNOCK_OUTS) + ".")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        sys.stdout.write(page())
    else:
        (Path(__file__).parent / "study-file.md").write_text(page(), encoding="utf-8")
