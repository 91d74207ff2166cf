# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Who is at the other end: the kernel says it, on both sides, with a real second user (row T2)."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kcoro_core.transport import Identity
from kcoro_transport_uds import link, plugin

NOBODY = 65534

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of a second user")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that other users may enter, and only we may write to."""
    with tempfile.TemporaryDirectory(prefix="kc-") as made:
        path = Path(made)
        path.chmod(0o755)
        yield path


def as_nobody(source: str, *args: str) -> subprocess.Popen[str]:
    """Run a program as another user. It imports what it needs while it still may read our files."""
    prelude = f"""
        import json, os, sys
        from kcoro_core.errors import KcoroError
        from kcoro_core.transport import READ, WRITE
        from kcoro_transport_uds import plugin
        os.setgroups([])
        os.setgid({NOBODY})
        os.setuid({NOBODY})
    """
    program = textwrap.dedent(prelude) + textwrap.dedent(source)
    return subprocess.Popen(
        [sys.executable, "-c", program, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def answer(child: subprocess.Popen[str]) -> Any:
    assert child.stdout
    return json.loads(child.stdout.readline())


def test_both_ends_know_the_user_group_and_process_of_the_other() -> None:
    listener = plugin.kcoro_listen("uds:", {})
    near = plugin.kcoro_connect(f"uds:{listener.place.path}", {})
    far = listener.accept()
    assert far is not None
    expected = Identity("uid", verified=True, uid=os.getuid(), gid=os.getgid(), pid=os.getpid())
    assert (plugin.kcoro_peer(near), plugin.kcoro_peer(far)) == (expected, expected)
    for end in (near, far, listener):
        end.close()


@as_root
def test_a_client_of_another_user_is_named_as_that_user_and_sees_who_we_are(shared: Path) -> None:
    """By a real process of that user, not by a claim."""
    listener = plugin.kcoro_listen(f"uds:{shared}/a.sock", {})
    os.chmod(shared / "a.sock", 0o666)
    child = as_nobody(
        """
        conn = plugin.kcoro_connect(sys.argv[1], {})
        print(json.dumps([os.getpid(), plugin.kcoro_peer(conn).uid, plugin.kcoro_peer(conn).pid]), flush=True)
        sys.stdin.readline()
        """,
        f"uds:{shared}/a.sock",
    )
    pid, their_view_uid, their_view_pid = answer(child)
    conn = listener.accept()
    assert conn is not None
    assert plugin.kcoro_peer(conn) == Identity("uid", verified=True, uid=NOBODY, gid=NOBODY, pid=pid)
    assert (their_view_uid, their_view_pid) == (0, os.getpid())
    child.communicate("\n", timeout=20)
    conn.abort()
    listener.close()


@as_root
def test_a_server_of_another_user_is_named_as_that_user(shared: Path) -> None:
    """Somebody who listens in our place is found out by who he is."""
    os.chown(shared, NOBODY, NOBODY)
    child = as_nobody(
        """
        listener = plugin.kcoro_listen(sys.argv[1], {})
        print(json.dumps(os.getpid()), flush=True)
        sys.stdin.readline()
        listener.close()
        """,
        f"uds:{shared}/a.sock",
    )
    pid = answer(child)
    conn = plugin.kcoro_connect(f"uds:{shared}/a.sock", {})
    assert plugin.kcoro_peer(conn) == Identity("uid", verified=True, uid=NOBODY, gid=NOBODY, pid=pid)
    child.communicate("\n", timeout=20)
    conn.abort()


@as_root
def test_by_default_another_user_cannot_even_knock(shared: Path) -> None:
    """The socket is ours alone, also in a directory that everybody may enter."""
    listener = plugin.kcoro_listen(f"uds:{shared}/a.sock", {})
    child = as_nobody(
        """
        conn = plugin.kcoro_connect(sys.argv[1], {})
        try:
            plugin.kcoro_pump(conn, 0.0, 0)
        except KcoroError as error:
            print(json.dumps(str(error)))
        """,
        f"uds:{shared}/a.sock",
    )
    assert "Permission denied" in answer(child)
    child.communicate(timeout=20)
    assert listener.accept() is None
    listener.close()


@as_root
def test_another_user_cannot_listen_where_he_could_be_replaced_or_replace_us(shared: Path) -> None:
    """Root's sticky directory for everybody is no place for a user's socket."""
    shared.chmod(0o1777)
    child = as_nobody(
        """
        try:
            plugin.kcoro_listen(sys.argv[1], {})
        except KcoroError as error:
            print(json.dumps([type(error).__name__, str(error)]))
        """,
        f"uds:{shared}/a.sock",
    )
    kind, text = answer(child)
    assert kind == "AccessDenied"
    assert "belongs to user 0 and others can write to it" in text
    child.communicate(timeout=20)


class Mute:
    """A socket whose kernel does not tell who is there, or tells the word for "unknown"."""

    def __init__(self, told: bytes | None) -> None:
        self.told = told

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_PEERCRED)
        if self.told is None:
            raise OSError("not supported")
        return self.told


@pytest.mark.parametrize("told", [None, b"", struct.pack("iII", 1, 0xFFFFFFFF, 0xFFFFFFFF)])
def test_a_peer_whom_the_kernel_does_not_name_is_nobody(told: bytes | None) -> None:
    """Never a default user, and never verified."""
    assert link.identity_of(Mute(told)) == Identity("none")  # type: ignore[arg-type]
