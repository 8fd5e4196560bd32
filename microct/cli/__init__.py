"""The command line: arguments in, workflow called, one line for each refusal, exit code out."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence

from microct.status import ExitCode, MicroctError

#: What the operating system says when the disk is at fault, and not the name of the file.
STORAGE_TROUBLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG,
}  # fmt: skip

INTERRUPTED = 130  # 128 + SIGINT: stopped from the keyboard where there was nothing to keep


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``microct`` with ``arguments`` (those of the process where None) and return the exit code.

    A refusal is one line on stderr, without a traceback; ``--debug`` shows the traceback beneath it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter shows its number instead
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if words == ["--version"]:  # answered without loading the commands
        from microct import __version__

        print(f"microct {__version__}")
        return ExitCode.OK
    try:
        from microct.cli.commands import dispatch

        dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:  # `microct info scan.tif | head`: the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("microct: stopped", file=sys.stderr)
        return INTERRUPTED
    except Exception as problem:
        code, sentence = verdict(problem)
        print(f"microct: {sentence}", file=sys.stderr)
        if debug:
            traceback.print_exception(problem)
        elif code == ExitCode.INTERNAL and not isinstance(problem, MicroctError):
            print("microct: --debug shows where", file=sys.stderr)
        return int(code)
    return ExitCode.OK


def verdict(problem: BaseException) -> tuple[ExitCode, str]:
    """The exit code and the one line for anything that was raised."""
    text = " ".join(str(problem).split())
    if isinstance(problem, MicroctError):
        return problem.exit_code, text
    if isinstance(problem, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return ExitCode.INTERNAL, (
            f"memory ran out ({text[:120] or 'MemoryError'}); crop the scan (crop in [scan]), work at larger voxels "
            "(resample_um), or take a machine with more memory; the last checkpoint is intact"
        )
    if isinstance(problem, OSError):
        reason = problem.strerror or text or type(problem).__name__
        named = f"{problem.filename}: {reason}" if problem.filename else reason
        if problem.errno in STORAGE_TROUBLE:
            return ExitCode.STORAGE, f"{named}; give --out a folder that is writable and has room"
        if isinstance(problem, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            return ExitCode.BAD_INPUT, named
        return ExitCode.STORAGE, named
    if isinstance(problem, ImportError) and problem.name:
        return ExitCode.INTERNAL, f"{text}; `microct doctor` says what is missing and how to get it"
    return ExitCode.INTERNAL, f"internal error, a defect of microct: {type(problem).__name__}: {text[:300]}"
