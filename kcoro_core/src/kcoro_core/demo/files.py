# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which files are counted, in what batches, and how one is opened.

Rule 1: only regular files are opened; a pipe or a device in their place is reported, and nobody waits on it.
Rule 2: what cannot be counted is reported once, with a reason, and hurts nothing else.
Rule 3: the order depends on the names alone, so that two runs hand out the same batches.
"""

from __future__ import annotations

import json
import os
import stat
import sysconfig
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from attrs import frozen

__all__ = ["Skipped", "Source", "Unfit", "batches", "blocks", "discover", "library", "open_file"]

BLOCK_BYTES: Final = 1 << 18
BINARY_PROBE_BYTES: Final = 8192
FILES_PER_BATCH: Final = 256
PATHS_BYTES: Final = 128 * 1024
"""What the paths of one batch may take when written as JSON."""


@frozen
class Source:
    """A file to count, as it was when it was found: its size in bytes and the time of its last change."""

    path: str
    size: int
    mtime_ns: int = 0


@frozen
class Skipped:
    """A file that is not counted, and why."""

    path: str
    reason: str


class Unfit(Exception):
    """A file that is not counted, for a reason other than the system's."""


def library() -> str:
    """The folder of the standard library of this interpreter."""
    return sysconfig.get_path("stdlib")


def discover(paths: Iterable[str]) -> Iterator[Source | Skipped]:
    """Every file under ``paths``, each once: folders are walked, links to folders inside them are not followed.

    Without paths: the Python sources of the standard library, without the packages that were installed into it.
    """
    seen: set[str] = set()
    for item in _walk_all(list(paths)) or _library_sources():
        if isinstance(item, Skipped):
            yield item
        elif item not in seen:
            seen.add(item)
            yield _examine(item)


def _walk_all(paths: list[str]) -> Iterator[str | Skipped] | None:
    return (item for path in paths for item in _walk(os.path.abspath(path))) if paths else None


def _library_sources() -> Iterator[str | Skipped]:
    for item in _walk(library(), leave_out={"site-packages", "dist-packages", "__pycache__"}):
        if isinstance(item, Skipped) or item.endswith(".py"):
            yield item


def _walk(path: str, leave_out: Iterable[str] = ()) -> Iterator[str | Skipped]:
    if not os.path.isdir(path):
        yield path
        return
    troubles: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=troubles.append):
        folders[:] = sorted(set(folders).difference(leave_out))
        yield from (os.path.join(folder, name) for name in sorted(names))
        while troubles:
            trouble = troubles.pop()
            yield Skipped(str(trouble.filename), _reason(trouble))
    yield from (Skipped(str(trouble.filename), _reason(trouble)) for trouble in troubles)


def _examine(path: str) -> Source | Skipped:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        return Skipped(path, _reason(error))
    if not stat.S_ISREG(status.st_mode):
        return Skipped(path, "not a regular file")
    return Source(path, status.st_size, status.st_mtime_ns)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def batches(sources: Iterable[Source], limit_bytes: int) -> Iterator[tuple[Source, ...]]:
    """Neighbours together: at most ``limit_bytes`` of content (a larger file is a batch alone), and short to write."""
    batch: list[Source] = []
    content = written = 0
    for source in sources:
        name_bytes = len(json.dumps(source.path)) + 1
        if batch and (
            content + source.size > limit_bytes or written + name_bytes > PATHS_BYTES or len(batch) == FILES_PER_BATCH
        ):
            yield tuple(batch)
            batch, content, written = [], 0, 0
        batch.append(source)
        content += source.size
        written += name_bytes
    if batch:
        yield tuple(batch)


def open_file(path: str) -> BinaryIO:
    """Open a text file for reading, at its start.

    :raises Unfit: it is no regular file, or a NUL byte in its first 8 KiB says that it is no text.
    :raises OSError: the system refuses.
    """
    # Without O_NONBLOCK, opening a pipe that has taken the place of the file would wait for a writer.
    raw = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
            raise Unfit("not a regular file")
        if b"\0" in raw.read(BINARY_PROBE_BYTES):
            raise Unfit("binary: a NUL byte in its first 8 KiB")
        raw.seek(0)
    except BaseException:
        raw.close()
        raise
    return raw


def blocks(path: str) -> Iterator[bytes]:
    """The content of a text file in blocks of at most BLOCK_BYTES.

    :raises Unfit: as ``open_file``, or with the system's words when it refuses.
    """
    try:
        with open_file(path) as raw:
            while block := raw.read(BLOCK_BYTES):
                yield block
    except (OSError, ValueError) as error:
        raise Unfit(_reason(error)) from error
