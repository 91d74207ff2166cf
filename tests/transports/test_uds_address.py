# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where a socket may lie, what may be removed, and what others can do to it (row T2)."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcoro_core.errors import AccessDenied, AlreadyExists, NotFound, TransportError
from kcoro_transport_uds import address, plugin
from kcoro_transport_uds.listener import Listener


@pytest.fixture
def home() -> Iterator[Path]:
    """A short directory of our own; pytest's own may be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="kc-") as made:
        yield Path(made)


def listen(path: Path | str) -> Listener:
    return plugin.kcoro_listen(f"uds:{path}", {})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def leave_stale(path: Path) -> None:
    """A socket file whose server has died without removing it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


# -- modes


def test_directory_and_socket_are_for_their_owner_alone_whatever_the_umask(home: Path) -> None:
    before = os.umask(0)
    try:
        listener = listen(home / "new" / "a.sock")
        assert os.umask(0) == 0, "the umask was not put back"
    finally:
        os.umask(before)
    assert mode(home / "new") == 0o700
    assert mode(home / "new" / "a.sock") == 0o600
    listener.close()


def test_a_fresh_address_is_private_and_leaves_nothing_behind() -> None:
    listener = listen("")
    directory = Path(listener.place.path).parent
    assert mode(directory) == 0o700
    listener.close()
    assert not directory.exists()


@pytest.mark.parametrize(("bits", "euid", "allowed"), [
    (0o700, "ours", True),
    (0o755, "ours", True),
    (0o1777, "ours", True),
    (0o770, "ours", False),
    (0o702, "ours", False),
    (0o755, "another", False),
    (0o1777, "another", False),
])  # fmt: skip
def test_a_directory_in_which_others_could_replace_the_socket_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, bits: int, euid: str, allowed: bool
) -> None:
    """Ours and closed to others, or sticky; a stranger's never, except root's that nobody else can write to."""
    home.chmod(bits)
    if euid == "another":
        # As if this directory belonged to a third user: neither to us nor to root.
        monkeypatch.setattr(address.os, "geteuid", lambda: 4242)
        found = os.stat(home)
        fake = os.stat_result((found.st_mode, *found[1:4], 4343, *found[5:]))
        monkeypatch.setattr(address.os, "fstat", lambda fd: fake)
    if allowed:
        listen(home / "a.sock").close()
        return
    with pytest.raises(AccessDenied, match="could be replaced; use a directory of your own"):
        listen(home / "a.sock")
    assert list(home.iterdir()) == []


def test_roots_directory_is_good_enough_unless_others_can_write_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(bits: int) -> os.stat_result:
        return os.stat_result((stat.S_IFDIR | bits, 1, 1, 1, 0, 0, 0, 0, 0, 0))

    monkeypatch.setattr(address.os, "geteuid", lambda: 4242)
    address._check_safe("/run", found(0o755))
    with pytest.raises(AccessDenied, match="belongs to user 0 and others can write to it"):
        address._check_safe("/tmp", found(0o1777))


# -- what lies there already


def test_a_stale_socket_is_replaced(home: Path) -> None:
    path = home / "a.sock"
    leave_stale(path)
    listener = listen(path)
    conn = plugin.kcoro_connect(f"uds:{path}", {})
    accepted = listener.accept()
    assert accepted is not None
    accepted.abort()
    conn.abort()
    listener.close()


def test_a_live_socket_is_never_taken_away(home: Path) -> None:
    first = listen(home / "a.sock")
    with pytest.raises(AlreadyExists, match="another server is using this socket"):
        listen(home / "a.sock")
    assert first.place.inode == address._inode(first.place.path)
    first.close()


def test_a_server_too_busy_to_accept_is_not_taken_for_dead(home: Path) -> None:
    path = str(home / "a.sock")
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        callers = []
        while True:
            caller = socket.socket(socket.AF_UNIX)
            caller.setblocking(False)
            callers.append(caller)
            if caller.connect_ex(path) == errno.EAGAIN:
                break
        with pytest.raises(AlreadyExists):
            listen(path)
        for caller in callers:
            caller.close()
    assert Path(path).exists()


@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "symlink", "dangling symlink"])
def test_what_is_no_socket_is_left_alone(home: Path, kind: str) -> None:
    path = home / "a.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(home / ("there" if kind == "dangling symlink" else "."))
    before = os.lstat(path)
    with pytest.raises(AlreadyExists, match="is no socket lies there, and will not be removed"):
        listen(path)
    assert os.lstat(path) == before


def test_closing_leaves_a_socket_that_somebody_else_has_put_there(home: Path) -> None:
    path = home / "a.sock"
    listener = listen(path)
    path.unlink()
    leave_stale(path)
    listener.close()
    assert path.exists()


def test_closing_frees_the_path_before_it_stops_listening(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the other order, a server that starts in between would lose its new socket to us."""
    listener = listen(home / "a.sock")
    alive: list[bool] = []
    unlink = os.unlink

    def watched(path: str) -> None:
        with socket.socket(socket.AF_UNIX) as probe:
            alive.append(probe.connect_ex(path) == 0)
        unlink(path)

    monkeypatch.setattr(address.os, "unlink", watched)
    listener.close()
    assert alive == [True]


def test_of_many_servers_that_start_together_on_a_stale_socket_one_wins(home: Path) -> None:
    """The others are told, and none of them takes the winner's socket for the stale one."""
    path = home / "a.sock"
    leave_stale(path)
    source = textwrap.dedent("""
        import sys
        from kcoro_core.errors import AlreadyExists
        from kcoro_transport_uds import plugin
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            listener = plugin.kcoro_listen(sys.argv[1], {})
        except AlreadyExists:
            print("taken", flush=True)
        else:
            print("won", flush=True)
        sys.stdin.readline()
    """)
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", source, f"uds:{path}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    try:
        answers = [server.stdout.readline().strip() for server in servers if server.stdout]
        for server in servers:
            assert server.stdin
            server.stdin.write("go\n")
            server.stdin.flush()
        answers = [server.stdout.readline().strip() for server in servers if server.stdout]
        conn = plugin.kcoro_connect(f"uds:{path}", {})
        assert conn.end is None, "nobody listens at the path"
        conn.abort()
    finally:
        for server in servers:
            server.communicate("\n", timeout=20)
    assert sorted(answers) == ["taken"] * 5 + ["won"]


def test_a_directory_that_stays_locked_is_told_and_not_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "LOCK_SECONDS", 0.02)
    fd = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(AlreadyExists, match="busy binding a socket"):
            listen(home / "a.sock")
    finally:
        os.close(fd)


# -- addresses


def test_the_longest_path_works_and_one_byte_more_is_explained(home: Path) -> None:
    """The kernel has 108 bytes, one of them for the end; what counts is bytes, not characters."""
    room = address.MAX_PATH_BYTES - len(os.fsencode(home)) - 1
    listen(home / ("a" * room)).close()
    with pytest.raises(ValueError, match=r"has 108 bytes and at most 107 fit; use a shorter directory"):
        listen(home / ("a" * (room + 1)))
    with pytest.raises(ValueError, match="at most 107 fit"):
        listen(home / ("ä" * (room // 2 + 1)))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("uds:@abstract", "abstract sockets have neither owner nor mode"),
        ("uds:\0abstract", "abstract sockets have neither owner nor mode"),
        ("uds:relative.sock", "has to be absolute"),
        ("uds:/run/a#jobs", "neither NUL nor '#'"),
        ("uds:/run/a\0b", "neither NUL nor '#'"),
    ],
)
def test_an_address_that_can_never_be_right_is_refused_by_both_sides(uri: str, words: str) -> None:
    for call in (plugin.kcoro_connect, plugin.kcoro_listen):
        with pytest.raises(ValueError, match=words):
            call(uri, {})


def test_who_dials_has_to_say_where() -> None:
    with pytest.raises(ValueError, match="needs the path of a socket"):
        plugin.kcoro_connect("uds:", {})


def test_a_missing_parent_is_named(home: Path) -> None:
    with pytest.raises(NotFound, match="make the directory above it first"):
        listen(home / "no" / "such" / "a.sock")
    (home / "file").touch()
    with pytest.raises(NotFound):
        listen(home / "file" / "a.sock")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_place_that_is_closed_to_us_is_an_access_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def denied(path: str, mode: int = 0o777) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(address.os, "mkdir", denied)
    with pytest.raises(AccessDenied, match="use a directory of your own"):
        listen(home / "new" / "a.sock")


def test_a_listener_that_could_not_be_made_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def refuse(path: str) -> bool:
        raise OSError(errno.EIO, "disk on fire")

    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(home))
    monkeypatch.setattr(address, "_inode", refuse)
    gc.collect()  # what tests before this one have left must not be closed meanwhile
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="disk on fire"):
        listen("")
    assert len(os.listdir("/proc/self/fd")) == before
    assert list(home.iterdir()) == []


def test_who_dials_where_nobody_listens_is_asked_whether_the_server_runs(home: Path) -> None:
    leave_stale(home / "stale.sock")
    for name, why in (("missing.sock", "No such file"), ("stale.sock", "Connection refused")):
        conn = plugin.kcoro_connect(f"uds:{home / name}", {})
        with pytest.raises(TransportError, match=f"{why}.*is the server running"):
            conn.pump(0.0, 0)
        conn.abort()
