"""Disks for tests: one that records every call so that any crash can be replayed, one that fails on demand."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microct.io.safe_file import Disk


@dataclass(frozen=True)
class Call:
    """One change of storage. `kind` is create, write, truncate, sync, rename, remove, mkdir, rmdir, syncdir or ack."""

    kind: str
    inode: int = -1
    path: Path = Path()
    target: Path = Path()
    offset: int = 0
    data: bytes = b""


class RecordingDisk(Disk):
    """Does everything and keeps a record of it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._of_fd: dict[int, int] = {}
        self._of_path: dict[Path, int] = {}
        self._count = 0

    def acknowledge(self, step: int) -> None:
        """Mark that the caller was told: step is safe."""
        self.calls.append(Call("ack", offset=step))

    def create(self, path: Path) -> int:
        fd = super().create(path)
        self._count += 1
        self._of_fd[fd] = self._of_path[path] = self._count
        self.calls.append(Call("create", self._count, path))
        return fd

    def overwrite(self, path: Path) -> int:
        """Open an existing file and empty it: what no part of microct does, for the negative control."""
        if not path.exists():
            return self.create(path)
        fd = os.open(path, os.O_RDWR | os.O_TRUNC)
        self._of_fd[fd] = self._of_path[path]
        self.calls.append(Call("truncate", self._of_fd[fd]))
        return fd

    def write_at(self, fd: int, data: memoryview, offset: int) -> int:
        count = super().write_at(fd, data, offset)
        self.calls.append(Call("write", self._of_fd[fd], offset=offset, data=bytes(data[:count])))
        return count

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        self.calls.append(Call("truncate", self._of_fd[fd], offset=size))

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.calls.append(Call("sync", self._of_fd[fd]))

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        inode = self._of_path[new] = self._of_path.pop(old)
        self.calls.append(Call("rename", inode, old, new))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.calls.append(Call("remove", path=path))

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self.calls.append(Call("mkdir", path=path))

    def remove_folder(self, path: Path) -> None:
        super().remove_folder(path)
        self.calls.append(Call("rmdir", path=path))

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self.calls.append(Call("syncdir", path=path))


def torn(calls: list[Call], random: np.random.Generator) -> list[Call]:
    """The same calls, the last write cut somewhere inside."""
    last = calls[-1]
    cut = int(random.integers(0, len(last.data)))
    return [*calls[:-1], Call("write", last.inode, offset=last.offset, data=last.data[:cut])]


def after_power_loss(calls: list[Call], random: np.random.Generator) -> list[Call]:
    """Calls that reached the medium: all that a sync covered, and any half of the others."""
    synced: set[int] = set()  # what a later sync covers, walking backwards
    folders: set[Path] = set()
    kept = []
    for call in reversed(calls):
        if call.kind == "sync":
            synced.add(call.inode)
        elif call.kind == "syncdir":
            folders.add(call.path)
        elif call.kind in ("write", "truncate"):
            if call.inode not in synced and random.random() < 0.5:
                continue
        elif call.path.parent not in folders and call.kind != "ack" and random.random() < 0.5:
            continue
        kept.append(call)
    return kept[::-1]


def replay(calls: list[Call], before: Path, root: Path, into: Path) -> None:
    """Make in ``into`` the folder that ``calls`` on ``root`` leave, begun from the copy ``before``."""
    if into.exists():
        shutil.rmtree(into)
    shutil.copytree(before, into)
    content: dict[int, bytearray] = {}
    names: dict[Path, int] = {}
    for call in calls:
        place = into / call.path.relative_to(root) if call.path != Path() else into
        if call.kind == "write":
            data = content.setdefault(call.inode, bytearray())
            if len(data) < call.offset + len(call.data):
                data.extend(bytes(call.offset + len(call.data) - len(data)))
            data[call.offset : call.offset + len(call.data)] = call.data
        elif call.kind == "truncate":
            data = content.setdefault(call.inode, bytearray())
            del data[call.offset :]
            data.extend(bytes(call.offset - len(data)))
        elif call.kind == "create":
            names[place] = call.inode
        elif call.kind == "rename":
            names.pop(place, None)
            names[into / call.target.relative_to(root)] = call.inode
        elif call.kind == "remove":
            names.pop(place, None)
            place.unlink(missing_ok=True)
        elif call.kind == "mkdir" and place.parent.is_dir():
            place.mkdir(exist_ok=True)
        elif call.kind == "rmdir" and place.is_dir() and not any(name.parent == place for name in names):
            shutil.rmtree(place)
    for name, inode in names.items():
        if name.parent.is_dir():
            name.write_bytes(content.get(inode, b""))


def acknowledged(calls: list[Call]) -> int:
    """The last step of which the caller was told, -1 where none."""
    return max((call.offset for call in calls if call.kind == "ack"), default=-1)


class FailingDisk(Disk):
    """Fails at one call, counted over the given kinds, and from then on too where `forever`."""

    def __init__(self, at: int, kinds: tuple[str, ...], error: int = errno.ENOSPC, forever: bool = True) -> None:
        self.at, self.kinds, self.error, self.forever = at, kinds, error, forever
        self.count = 0

    @property
    def failed(self) -> bool:
        return self.count > self.at

    def _may_fail(self, kind: str) -> None:
        if kind in self.kinds:
            self.count += 1
            if self.count == self.at + 1 or (self.forever and self.failed):
                raise OSError(self.error, os.strerror(self.error))

    def create(self, path: Path) -> int:
        self._may_fail("create")
        return super().create(path)

    def write_at(self, fd: int, data: memoryview, offset: int) -> int:
        self._may_fail("write")
        return super().write_at(fd, data, offset)

    def truncate(self, fd: int, size: int) -> None:
        self._may_fail("truncate")
        super().truncate(fd, size)

    def sync(self, fd: int) -> None:
        self._may_fail("sync")
        super().sync(fd)

    def rename(self, old: Path, new: Path) -> None:
        self._may_fail("rename")
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._may_fail("remove")
        super().remove(path)

    def make_folder(self, path: Path) -> None:
        self._may_fail("mkdir")
        super().make_folder(path)

    def sync_folder(self, path: Path) -> None:
        self._may_fail("syncdir")
        super().sync_folder(path)

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        self._may_fail("read")
        return super().read_at(fd, count, offset)


class ShortDisk(Disk):
    """Writes and reads at most 100 bytes at once, as a disk may."""

    def write_at(self, fd: int, data: memoryview, offset: int) -> int:
        return super().write_at(fd, data[:100], offset)

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        return super().read_at(fd, min(count, 100), offset)
