"""A folder of slices: which files they are, in natural order, and the voxel size that SkyScan's log beside them states.

TIFF and pictures share this room; how a slice is decoded is theirs. Of names: slice_10 comes after slice_9, a number
left out is a slice that is missing, and NAME_spr is SkyScan's preview.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from microct.io.source import inside, opened, refusal, shown
from microct.io.spacing import Spacing, stated
from microct.status import InputError

#: Kinds of slices, and how their names end.
KINDS = {"TIFF": (".tif", ".tiff"), "PNG": (".png",), "BMP": (".bmp",), "JPEG": (".jpg", ".jpeg")}
_ENDINGS = tuple(ending for endings in KINDS.values() for ending in endings)
MAX_SLICES = 1 << 17
#: So many slices of one kind are the scan where another kind has a single file, such as a screenshot.
MANY = 10
_MAX_LOG_BYTES = 1 << 20
_PIXEL_LINE = re.compile(
    rb"^[ \t]*((?:Image )?Pixel Size) ?[(\[](um|\xb5m|\xc2\xb5m|mm)[)\]][ \t]*=[ \t]*([0-9.eE+-]{1,30})[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Slices:
    """The slices of a folder.

    Attributes:
        folder: where they are.
        kind: one of `KINDS`.
        paths: the files, in natural order; never a link that leads out of the folder.
        left_out: names of files that are no slices: previews, a single file of another kind.
        step: by how much the numbers in the names grow; 1 where names have no common form.
    """

    folder: Path
    kind: str
    paths: list[Path]
    left_out: list[str]
    step: int

    @property
    def header(self) -> dict[str, object]:
        """What the folder itself says, for the scan's header."""
        first, last = self.paths[0].name, self.paths[-1].name
        return {"slices": f"{len(self.paths)}, {first} to {last}", "left out": ", ".join(self.left_out)}

    def spacing(self, otherwise: Spacing) -> Spacing:
        """The voxel size in SkyScan's log, or else what the slices state; none where slices were left out evenly."""
        names = sorted(name for name in os.listdir(self.folder) if _is(name, (".log",)))
        found = log_spacing(inside(self.folder, name, self.folder.name, "log") for name in names) or otherwise
        if self.step > 1 and found.mm is not None:
            note = f"the slices' numbers go in steps of {self.step}, so their distance is not the pixel size"
            return Spacing(None, note)
        return found


def slices_of(folder: Path) -> Slices:
    """The slices in ``folder``, which must be of one kind and without gaps in their numbers.

    Two kinds in one folder are refused: nothing says which of them is the scan. Previews do not count. A kind that has
    a single file beside `MANY` or more of another, such as a screenshot, is left out and named in the header; not where
    its name has the form of the slices' names, for then it may be one of them.
    """
    try:
        names = sorted((name for name in os.listdir(folder) if _is(name, _ENDINGS)), key=_natural)
    except OSError as error:
        raise InputError(f"{folder.name}: the folder cannot be read ({error.strerror})") from error
    left_out = [name for name in names if _is_preview(name)]
    names = [name for name in names if not _is_preview(name)]
    by_kind = [(kind, [name for name in names if _is(name, endings)]) for kind, endings in KINDS.items()]
    by_kind = sorted((pair for pair in by_kind if pair[1]), key=lambda pair: -len(pair[1]))
    if not by_kind:
        raise InputError(f"{folder.name}: expected a folder of slices ({' '.join(_ENDINGS)}, or DICOM), found none")
    (kind, slices), *others = by_kind
    if len(slices) > MAX_SLICES:
        raise refusal(folder.name, "slices", f"at most {MAX_SLICES}", len(slices))
    forms = {_form(name) for name in slices}
    for other, (lone, *more) in others:
        if more or len(slices) < MANY or _form(lone) in forms:
            files = f"{len(slices)} {kind} and {1 + len(more)} {other}, such as {shown(slices[0])} and {shown(lone)}"
            raise InputError(f"{folder.name}: files of two kinds ({files}); keep one here and move the other elsewhere")
        left_out.append(lone)
    paths = [inside(folder, name, folder.name, "slice") for name in slices]
    return Slices(folder, kind, paths, left_out, _numbering_step(paths))


def _is(name: str, endings: tuple[str, ...]) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in endings


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _is_preview(name: str) -> bool:
    return _stem(name).lower().endswith("_spr")


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key: numbers by value, so that slice_10 comes after slice_9."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.lower())
    return [(0, int(part), part) if part[0] in "0123456789" and len(part) < 4000 else (1, 0, part) for part in parts]


_NUMBERED = re.compile(r"(.*?)([0-9]{1,15})(\D*)")


def _form(name: str) -> tuple[str, str] | None:
    """What stands before and after the last number of a name, its ending apart; None where there is no number."""
    match = _NUMBERED.fullmatch(_stem(name))
    return (match[1], match[3]) if match else None


def _numbering_step(paths: list[Path]) -> int:
    """By how much the slices' numbers grow (1 where names have no common form); a gap or a number twice is refused."""
    matches = [_NUMBERED.fullmatch(path.stem) for path in paths]
    if len(paths) < 3 or len({_form(path.name) for path in paths}) != 1 or None in matches:
        return 1
    numbers = [int(match[2]) for match in matches if match]
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    if len(set(steps)) > 1 or 0 in steps:
        at = steps.index(0) if 0 in steps else next(i for i, step in enumerate(steps) if step != min(steps))
        pair = f"{shown(paths[at].name)} and {shown(paths[at + 1].name)}"
        wrong = f"{pair} have the same number" if 0 in steps else f"slices are missing between {pair}"
        raise InputError(f"{paths[0].parent.name}: {wrong}")
    return steps[0]


def log_spacing(logs: Iterable[Path]) -> Spacing | None:
    """The pixel size in SkyScan (Bruker) logs: None where no log has one, no size where they contradict each other."""
    found: dict[float, str] = {}
    for path in logs:
        with opened(path) as stream:
            content = stream.read(_MAX_LOG_BYTES)
        for _, unit, number in _PIXEL_LINE.findall(content):
            try:
                size = float(number) * (1.0 if unit.lower() == b"mm" else 1e-3)
            except ValueError:
                return Spacing(None, f"{shown(path.name)} gives a pixel size that is no number")
            found[float(f"{size:.9g}")] = path.name
    if not found:
        return None
    if max(found) > 1.001 * min(found):
        text = " and ".join(f"{1000 * size:g} um" for size in sorted(found))
        return Spacing(None, f"{', '.join(sorted(set(found.values())))} gives pixel sizes of {text}")
    size, source = next(iter(found.items()))
    return stated((size, size, size), "mm", f"'Pixel Size' in {shown(source)}")
