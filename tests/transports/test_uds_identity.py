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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from kcoro_core import BUFFERED, channel, dial, serve
from kcoro_core.errors import AccessDenied
from kcoro_core.transport import Identity
from kcoro_transport_uds import link, plugin

NOBODY = 65534

AsNobody = Callable[..., "subprocess.Popen[str]"]

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of a second user")


BECOME_NOBODY = f"""
    import json, os, sys
    import trio
    import kcoro_core
    from kcoro_core import plugins
    from kcoro_core.errors import KcoroError
    from kcoro_transport_uds import plugin
    plugins.reports()
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that other users may enter, and only we may write to."""
    with tempfile.TemporaryDirectory(prefix="kc-") as made:
        path = Path(made)
        path.chmod(0o755)
        yield path


@pytest.fixture
def as_nobody() -> Iterator[AsNobody]:
    """Run programs as another user; they import what they need while they still may read our files."""
    children: list[subprocess.Popen[str]] = []

    def start(source: str, *args: str) -> subprocess.Popen[str]:
        program = textwrap.dedent(BECOME_NOBODY) + textwrap.dedent(source)
        command = [sys.executable, "-c", program, *args]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield start
    for child in children:
        child.communicate(timeout=20)  # its input ends, and so does it
        assert child.returncode == 0


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
def test_a_client_of_another_user_is_named_as_that_user_and_sees_who_we_are(as_nobody: AsNobody, shared: Path) -> None:
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
    conn.abort()
    listener.close()


@as_root
def test_a_server_of_another_user_is_named_as_that_user(as_nobody: AsNobody, shared: Path) -> None:
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
    conn.abort()


@as_root
def test_by_default_another_user_cannot_even_knock(as_nobody: AsNobody, shared: Path) -> None:
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
    assert listener.accept() is None
    listener.close()


@as_root
def test_another_user_cannot_listen_where_he_could_be_replaced_or_replace_us(as_nobody: AsNobody, shared: Path) -> None:
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


# -- what a link makes of it


DIAL = """
from kcoro_core import dial

async def main():
    try:
        async with dial(sys.argv[1], authorize=lambda *_: True) as link:
            ch = await link.open("jobs")
            told = ["", (await ch.recv()).decode()]
    except KcoroError as error:
        told = [type(error).__name__, str(error)]
    print(json.dumps(told), flush=True)

trio.run(main)
"""


@as_root
@pytest.mark.parametrize(
    ("authorize", "expected"),
    [
        (None, ["AccessDenied", "it talks to processes of its own user only [KC-ACCESS]"]),
        (lambda *_: True, ["", "a job"]),
    ],
    ids=["default", "told otherwise"],
)
def test_a_server_talks_to_its_own_user_unless_it_is_told_otherwise(
    as_nobody: AsNobody, shared: Path, authorize: Any, expected: list[str]
) -> None:
    """Row: X18, the default. The socket was opened to everybody, and still a second user gets nothing."""
    jobs = channel(BUFFERED, capacity=1)

    async def main() -> object:
        async with serve(f"uds:{shared}/a.sock", export={"jobs": jobs.receiver()}, authorize=authorize):
            os.chmod(shared / "a.sock", 0o666)
            await jobs.send(b"a job")
            child = as_nobody(DIAL, f"uds:{shared}/a.sock")
            return await trio.to_thread.run_sync(answer, child)

    assert trio.run(main) == expected


@as_root
def test_a_client_talks_to_no_server_of_another_user(as_nobody: AsNobody, shared: Path) -> None:
    """Somebody who took our server's place is not told a thing. Row: X18, the default."""
    os.chown(shared, NOBODY, NOBODY)
    child = as_nobody(
        """
        from kcoro_core import serve

        async def main():
            async with serve(sys.argv[1], authorize=lambda *_: True):
                os.chmod(sys.argv[1].partition(":")[2], 0o666)
                print(json.dumps("listening"), flush=True)
                await trio.to_thread.run_sync(sys.stdin.readline)

        trio.run(main)
        """,
        f"uds:{shared}/a.sock",
    )
    assert answer(child) == "listening"

    async def main() -> None:
        async with dial(f"uds:{shared}/a.sock"):
            pytest.fail("a server of another user was talked to")

    with pytest.raises(AccessDenied):
        trio.run(main)
