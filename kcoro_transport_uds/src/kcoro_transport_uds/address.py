# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Addresses ``uds:/path``: what a path may be, and how a socket comes to lie there safely.

Rule 1: nothing is removed but a socket that nobody listens at (the probe), or our own.
Rule 2: nobody else may be able to replace the socket: the directory is ours or root's, and not writable by others.
Rule 3: the socket is never open to others, not even between bind and a chmod, because the umask stands around bind.

Two servers that start together are ordered by a lock on the directory, so that neither takes the other's new socket for
a stale one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from kcoro_core.errors import AccessDenied, AlreadyExists, NotFound

__all__ = ["MAX_PATH_BYTES", "Place", "bind", "path_of", "release"]

MAX_PATH_BYTES: Final = 107
"""The longest path of a socket: sun_path has 108 bytes on Linux, one of them for the end."""

ATTEMPTS: Final = 5
LOCK_SECONDS: Final = 1.0
"""How long to wait for another server that is binding in the same directory; it needs microseconds."""


@frozen
class Place:
    """Where a listener's socket lies; ``inode`` tells whether it is still ours; a directory that it made goes too."""

    path: str
    inode: tuple[int, int]
    made_directory: str | None = None


def path_of(uri: str) -> str:
    """Return the path in ``uds:/path``, empty if there is none; ValueError when no socket can ever lie there."""
    path = uri.partition(":")[2]
    if path.startswith(("@", "\0")):
        raise ValueError(
            f"{uri!r}: abstract sockets have neither owner nor mode; use a path, as in uds:/run/me/jobs.sock"
        )
    if "\0" in path or "#" in path:
        raise ValueError(f"{uri!r}: a socket's path holds neither NUL nor '#'")
    if path and not path.startswith("/"):
        raise ValueError(f"{uri!r}: the path has to be absolute, as in uds:/run/me/jobs.sock")
    size = len(os.fsencode(path))
    if size > MAX_PATH_BYTES:
        raise ValueError(
            f"{uri!r}: the path has {size} bytes and at most {MAX_PATH_BYTES} fit; use a shorter directory"
        )
    return path


def bind(sock: socket.socket, path: str, backlog: int) -> Place:
    """Bind and listen at ``path``, or at a fresh private one if it is empty; a stale socket there is replaced.

    :raises NotFound: the directory goes away again and again while it is being made.
    """
    if not path:
        made = tempfile.mkdtemp(prefix="kcoro-")
        return _bind_in(sock, f"{made}/socket", backlog, made)
    for attempt in range(ATTEMPTS):
        made_directory = _make_directory(os.path.dirname(path))
        try:
            return _bind_in(sock, path, backlog, made_directory)
        except NotFound:
            # Another server has just ended, and has removed the directory, which was its own and empty.
            if attempt == ATTEMPTS - 1:
                raise
    raise NotFound(path)


def release(place: Place) -> None:
    """Remove our socket, unless somebody has put another in its place. To be called while it still listens.

    In the other order, a server that starts now would find the socket stale, and we would remove that server's new one.
    """
    with contextlib.suppress(OSError):
        if _inode(place.path) == place.inode:
            os.unlink(place.path)
    _remove_directory(place.made_directory)


def _bind_in(sock: socket.socket, path: str, backlog: int, made_directory: str | None) -> Place:
    try:
        path_of(f"uds:{path}")  # a fresh one may be too long, if the temporary directory is
        with _locked(os.path.dirname(path)):
            return Place(path, _listen(sock, path, backlog), made_directory)
    except BaseException:
        _remove_directory(made_directory)
        raise


def _listen(sock: socket.socket, path: str, backlog: int) -> tuple[int, int]:
    """Put the socket at ``path`` and listen; the inode that it got. Nothing is left there if that fails."""
    try:
        _bind_closed_to_others(sock, path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise _explained(error, path) from error
        _remove_stale(path)
        _bind_closed_to_others(sock, path)
    try:
        # Within the lock: a socket that is bound and does not listen yet looks stale to a probe.
        sock.listen(backlog)
        return _inode(path)
    except BaseException:
        os.unlink(path)
        raise


def _bind_closed_to_others(sock: socket.socket, path: str) -> None:
    # The umask belongs to the whole process. Files that another thread makes meanwhile come out stricter, never laxer.
    before = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(before)


def _remove_stale(path: str) -> None:
    """Remove the socket at ``path`` if nobody listens at it; AlreadyExists in every other case."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise AlreadyExists(
            f"uds:{path}: something that is no socket lies there, and will not be removed; take another path"
        )
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        answer = probe.connect_ex(path)
    if answer != errno.ECONNREFUSED:
        # Connected, or too busy to accept (EAGAIN), or not ours to ask (EACCES): in any case not known to be dead.
        raise AlreadyExists(f"uds:{path}: another server is using this socket; stop it or take another path")
    os.unlink(path)


# ---------------------------------------------------------------------------------------------------------------------
# Directories
# ---------------------------------------------------------------------------------------------------------------------


def _make_directory(directory: str) -> str | None:
    """Make the directory of a socket if it is missing, for its owner alone; its name if it was, and so is ours."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        return None
    except OSError as error:
        raise _explained(error, directory) from error
    return directory


def _remove_directory(made: str | None) -> None:
    """Remove a directory that we made, unless somebody else has put something into it."""
    if made is not None:
        with contextlib.suppress(OSError):
            os.rmdir(made)


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Hold the lock of a directory that has been found safe."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(error, directory) from error
    try:
        _check_safe(directory, os.fstat(fd))
        _lock(fd, directory)
        yield
    finally:
        os.close(fd)  # gives back the lock


def _check_safe(directory: str, found: os.stat_result) -> None:
    """Refuse a directory in which somebody else could replace our socket by another."""
    ours = found.st_uid == os.geteuid()
    open_to_others = bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    if not ours and (open_to_others or found.st_uid != 0):
        problem = f"belongs to user {found.st_uid}" + (" and others can write to it" if open_to_others else "")
    elif ours and open_to_others and not found.st_mode & stat.S_ISVTX:
        problem = "can be written to by others"
    else:
        return
    raise AccessDenied(
        f"{directory} {problem}, so that the socket could be replaced; "
        "use a directory of your own with mode 0700, such as one under $XDG_RUNTIME_DIR"
    )


def _lock(fd: int, directory: str) -> None:
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise AlreadyExists(f"another server is busy binding a socket in {directory}; try again") from None
            time.sleep(0.005)


def _inode(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _explained(error: OSError, path: str) -> Exception:
    """The error of the taxonomy for what the system said about a path."""
    text = f"{path}: {error.strerror}"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"{text}; make the directory above it first")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AccessDenied(f"{text}; use a directory of your own, such as one under $XDG_RUNTIME_DIR")
    return error
