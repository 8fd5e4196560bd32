"""What other programs report, in their conventions: BoneJ, Scanco's IPL, Bruker's CTAn.

A preset changes which ball local thickness takes, what Tb.N means, and which rows are given. It does not imitate a
program's errors: anisotropy stays free of chance and surface stays unbiased, and the convention column says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from microct.status import StudyError
from microct.table import Row

_VOLUME = ("TV", "BV", "BV/TV", "BS", "BS/BV", "BS/TV")
_THICKNESS = ("Tb.Th", "Tb.Th.SD", "Tb.Th.Max", "Tb.Sp", "Tb.Sp.SD", "Tb.Sp.Max")
_TOPOLOGY = ("Euler", "Conn.D")


@dataclass(frozen=True)
class Preset:
    """One program's way.

    Attributes:
        convention: of local thickness.
        number: "direct" (mid-axes), or "ratio": (BV/TV) / Tb.Th.
        symbols: rows that are given, where measured.
    """

    convention: str
    number: str
    symbols: tuple[str, ...]


PRESETS = {
    # Doube et al. 2010, doi:10.1016/j.bone.2010.08.023; BoneJ reports no Tb.N.
    "bonej": Preset(
        "bonej", "direct", (*_VOLUME, *_THICKNESS, *_TOPOLOGY, "DA.BJ", "FD", "EF", "N.Br", "N.Jn", "Br.Le", "ITA3")
    ),
    # Scanco's trabecular evaluation, as in Bouxsein et al. 2010: direct and plate-model values side by side.
    "scanco": Preset(
        "ipl",
        "direct",
        (
            *_VOLUME, *_THICKNESS, "Tb.N", "Tb.1/N.SD", "Conn.D", "SMI", "DA", "H1", "H2", "H3",
            "Tb.Th.pl", "Tb.N.pl", "Tb.Sp.pl",
        ),
    ),
    # Bruker's method note "Morphometric parameters measured by Skyscan CT-analyser": Tb.N = (BV/TV) / Tb.Th.
    "ctan": Preset(
        "exact",
        "ratio",
        (*_VOLUME, "Po", *_THICKNESS, "Tb.N", *_TOPOLOGY, "SMI", "DA", "FD", "Tb.Th.pl", "Tb.N.pl", "Tb.Sp.pl"),
    ),
}  # fmt: skip


def preset(name: str) -> Preset:
    """The preset of this name; `StudyError` where there is none."""
    if name not in PRESETS:
        raise StudyError(f"preset must be one of {', '.join(PRESETS)}; got {name!r}")
    return PRESETS[name]


def rows_of(name: str, rows: list[Row]) -> list[Row]:
    """The preset's rows out of ``rows``, in its order, with Tb.N as it defines it."""
    chosen = preset(name)
    found = {row.symbol: row for row in rows}
    if chosen.number == "ratio" and "Tb.Th" in found:
        thickness, share = found["Tb.Th"].value, found["BV/TV"].value / 100.0
        note = found["Tb.Th"].note
        found["Tb.N"] = Row("Tb.N", share / thickness if thickness > 0 else float("nan"), convention="ratio", note=note)
    return [replace(found[symbol]) for symbol in chosen.symbols if symbol in found]
