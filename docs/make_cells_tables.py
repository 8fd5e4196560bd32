"""Writes the tables of docs/science-cells.md anew: ``python docs/make_cells_tables.py``; the text above is by hand."""

from __future__ import annotations

from pathlib import Path

from microct.signalling.tables import PARTS

PAGE = Path(__file__).parent / "science-cells.md"


def main() -> None:
    """Replace everything from the first table on."""
    text = PAGE.read_text(encoding="utf-8")
    first = f"### {next(iter(PARTS))}"
    head = text[: text.index(first)] if first in text else text
    parts = [f"### {title}\n\n" + "\n".join(lines()) + "\n" for title, lines in PARTS.items()]
    PAGE.write_text(head + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
