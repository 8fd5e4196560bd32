"""Files that are there whole or not at all: temporary file, fsync, rename, fsync of the folder.

HDF5 is not built for storage that fails: a full disk under ``libhdf5`` ends the process with a segmentation
fault. `SafeFile` stands between the two. It remembers the first failure, tells the library that all is well,
and the failure is raised as `StorageError` where Python can deal with it.

Every call to the operating system goes through `DISK`, so that tests can record each write and let any of
them fail.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from microct.status import InputError, StorageError

#: Ending of files that are being written; found afterwards they are litter of a killed process.
TEMPORARY = ".tmp"


class Disk:
    """The calls to the operating system that change or read storage, nothing more."""

    def create(self, path: Path) -> int:
        """Open a new file for reading and writing; fails where the name is taken (a link, for instance)."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)

    def open(self, path: Path) -> int:
        """Open for reading; does not wait on a named pipe."""
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))

    def close(self, fd: int) -> None:
        os.close(fd)

    def write_at(self, fd: int, data: memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        return os.pread(fd, count, offset)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def rename(self, old: Path, new: Path) -> None:
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        os.unlink(path)

    def make_folder(self, path: Path) -> None:
        os.mkdir(path)

    def remove_folder(self, path: Path) -> None:
        os.rmdir(path)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable, not only the bytes behind them."""
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self, path: Path) -> int:
        """Bytes an ordinary user may still write on the disk of ``path``."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize


DISK = Disk()


def storage_error(path: Path, error: OSError) -> StorageError:
    """One line on what storage refused and what to do about it."""
    reason = error.strerror or str(error)
    advice = {
        errno.ENOSPC: "free some space and resume",
        errno.EDQUOT: "your quota is used up; free some space and resume",
        errno.EACCES: "the folder must be writable",
        errno.EPERM: "the folder must be writable",
        errno.EROFS: "choose a folder on a writable disk",
        errno.EIO: "the disk reports a fault; what was saved before is untouched",
    }.get(error.errno or 0, "what was saved before is untouched")
    return StorageError(f"{path}: writing failed: {reason}; {advice}")


class SafeFile:
    """A file for ``h5py.File(SafeFile(...))`` under which the library never sees a failure.

    After the first failure writes go to an overlay in memory, so that the library reads back what it wrote
    and closes in peace; `check` then raises. Writers call `check` between blocks, so the overlay stays small.

    Args:
        path: the name, for messages.
        fd: file descriptor, open for reading, and for writing where the file is written.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.failure: BaseException | None = None
        self._fd = fd
        self._position = 0
        self._size = os.fstat(fd).st_size
        self._overlay: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise the first failure: `StorageError` for the disk, anything else (Ctrl-C) as it came."""
        if isinstance(self.failure, OSError):
            raise storage_error(self.path, self.failure) from self.failure
        if self.failure is not None:
            raise self.failure

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def write(self, data: object) -> int:
        """Write all of ``data`` at the position; a failure is remembered, never raised."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        start, count = self._position, len(view)
        if self.failure is None:
            try:
                done = 0
                while done < count:
                    written = DISK.write_at(self._fd, view[done:], start + done)
                    if written <= 0:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    done += written
            except BaseException as error:  # also Ctrl-C: nothing may travel through the library
                self.failure = error
        if self.failure is not None:
            self._overlay.append((start, bytes(view)))
        self._position = start + count
        self._size = max(self._size, self._position)
        return count

    def readinto(self, buffer: object) -> int:
        """Fill ``buffer`` from the position; what cannot be read is zero, and the failure is remembered."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        start, count = self._position, len(view)
        done = 0
        try:
            while done < count:
                piece = DISK.read_at(self._fd, count - done, start + done)
                if not piece:
                    break
                view[done : done + len(piece)] = piece
                done += len(piece)
        except BaseException as error:
            self.failure = self.failure or error
        view[done:] = bytes(count - done)
        for offset, data in self._overlay:
            low, high = max(start, offset), min(start + count, offset + len(data))
            if low < high:
                view[low - start : high - start] = data[low - offset : high - offset]
        self._position = start + count
        return count

    def read(self, count: int = -1) -> bytes:
        """``count`` bytes from the position, or all up to the end."""
        available = max(0, self._size - self._position)
        buffer = bytearray(available if count < 0 else min(count, available))
        self.readinto(buffer)
        return bytes(buffer)

    def truncate(self, size: int | None = None) -> int:
        size = self._position if size is None else size
        if self.failure is None:
            try:
                DISK.truncate(self._fd, size)
            except BaseException as error:
                self.failure = error
        self._size = size
        return size

    def flush(self) -> None:
        """Nothing to do: every write goes to the operating system at once, and `sync` makes it durable."""

    def sync(self) -> None:
        """Wait until all bytes are on the medium; raises what went wrong, now or before."""
        if self.failure is None:
            try:
                DISK.sync(self._fd)
            except OSError as error:
                self.failure = error
        self.check()


@contextmanager
def replacing(path: Path) -> Iterator[SafeFile]:
    """What is written in the block replaces ``path`` as one, durably, when the block ends; else nothing changes.

    Raises:
        StorageError: the disk is full, faulty or not writable. The old file is as it was; no litter stays.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with suppress(FileNotFoundError):
            DISK.remove(temporary)
        fd = DISK.create(temporary)
    except OSError as error:
        raise storage_error(path, error) from error
    renamed = False
    try:
        file = SafeFile(path, fd)
        try:
            try:
                yield file
            except Exception:
                file.check()  # a failure of the disk is the cause of whatever followed from it
                raise
            file.sync()
        finally:
            DISK.close(fd)
        DISK.rename(temporary, path)
        renamed = True
        DISK.sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if not renamed:
            with suppress(OSError):
                DISK.remove(temporary)


def write_whole(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``, at once and durably; `StorageError` where that fails."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def reading(path: Path) -> Iterator[SafeFile]:
    """A regular file, open for reading; `InputError` where there is none or it cannot be read."""
    try:
        fd = DISK.open(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InputError(f"{path}: expected a file, found something else")
        yield SafeFile(path, fd)
    finally:
        DISK.close(fd)


def read_whole(path: Path, at_most: int) -> bytes:
    """All bytes of a regular file; `InputError` where it cannot be read or is longer than ``at_most`` bytes."""
    with reading(path) as file:
        size = file.seek(0, os.SEEK_END)
        if size > at_most:
            raise InputError(f"{path}: {size} bytes, expected at most {at_most}")
        file.seek(0)
        data = file.read()
        if file.failure is not None:
            raise InputError(f"{path}: cannot be read: {file.failure}") from file.failure
        return data


def require_space(folder: Path, needed: int, what: str) -> None:
    """Refuse early where the disk cannot hold ``needed`` bytes more; an estimate, so never the only guard."""
    try:
        free = DISK.free_bytes(folder)
    except OSError:
        return
    if free < needed:
        raise StorageError(
            f"{folder}: {what} needs about {needed / 1e6:.1f} MB and the disk has {free / 1e6:.1f} MB left; "
            "free some space and resume"
        )


def ensure_folder(path: Path) -> None:
    """Make one folder, durably, where it is missing; `StorageError` where that fails."""
    try:
        if not path.is_dir():
            DISK.make_folder(path)
            DISK.sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error


def sweep(folder: Path) -> None:
    """Remove what a killed process left half-written. Only the holder of the run's lock may do this."""
    for path in folder.glob(f"*{TEMPORARY}"):
        with suppress(OSError):
            DISK.remove(path)
