"""One refusal for every name that this room does not know: what was given, what was meant, what there is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from microct.status import StudyError


def refused(what: str, given: object, known: Sequence[str]) -> StudyError:
    """The error for an unknown name, with a guess at what was meant."""
    close = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return StudyError(f"unknown {what} {given!r}{hint} (known: {', '.join(known)})")
