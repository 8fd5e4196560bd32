"""How things end: exit codes, and one exception for each kind of refusal.

A refusal is one line that names what was expected, what was given and the usual range. The command line
turns the exception into its exit code and prints that line; from Python the same exception is raised.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes, after BSD ``sysexits.h``; documented in docs/user-guide.md."""

    OK = 0
    USAGE = 64  # a wrong option, or a study file that does not say what it must
    BAD_INPUT = 65  # a scan or a run that cannot be read or makes no sense
    INTERNAL = 70  # a defect of microct, or the machine's memory ran out
    STORAGE = 74  # disk full, folder not writable, file in use
    PREEMPTED = 75  # stopped by a signal after a checkpoint; `microct resume` goes on


class MicroctError(Exception):
    """Base of every refusal; ``str(error)`` is the one line that the user reads."""

    exit_code = ExitCode.INTERNAL


class StudyError(MicroctError):
    """The study, or an argument, is not what it must be."""

    exit_code = ExitCode.USAGE


class InputError(MicroctError):
    """A file or an array that was handed in cannot be used."""

    exit_code = ExitCode.BAD_INPUT


class VoxelSizeError(InputError):
    """The voxel size is missing, zero, negative, not finite, or outside 0.1 um to 10 mm."""


class NoLoadError(InputError):
    """Bone that carries no load: none at all, none on a loaded face, or no piece from face to face."""


class UnsolvedError(InputError):
    """Micro-FE that did not come to its tolerance."""


class StorageError(MicroctError):
    """Writing failed: disk full, folder not writable, run in use by another process."""

    exit_code = ExitCode.STORAGE


class Preempted(MicroctError):
    """A signal asked the run to stop; everything up to the last step is in the checkpoint."""

    exit_code = ExitCode.PREEMPTED


class InternalError(MicroctError):
    """A defect, or memory that ran out; the last checkpoint is intact."""
