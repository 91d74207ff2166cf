# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Channels through a real ``ssh``: two processes, of which one is reached by logging in. Row: T8.

The transport is that of the tutorial, unchanged; a page about deployment says that this works.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import THIRD_PARTY, build_and_install, environment
from .ssh import Sshd, serving

FOLDER = THIRD_PARTY / "kcoro_transport_stdio"
RELAY = FOLDER / "src" / "kcoro_transport_stdio" / "relay.py"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the plugin is installed."""
    into = tmp_path_factory.mktemp("site")
    build_and_install([FOLDER], into, tmp_path_factory.mktemp("wheels"))
    return into


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A host that one can log in to."""
    with serving(tmp_path_factory.mktemp("sshd")) as host:
        yield host


def address(far: Sshd, sock: Path) -> str:
    """What is dialled: a command on that host, which leads to the socket there."""
    return f"stdio:{far.command} {shlex.quote(sys.executable)} -I -S {RELAY} {sock}"


SERVER = """
import sys
from kcoro_core import BUFFERED, channel, run, serve

async def main(uri):
    orders, dishes = channel(BUFFERED, capacity=4), channel(BUFFERED, capacity=4)
    # A Unix socket tells who comes, and without a rule only this user is let in.
    rule = None if uri.startswith("uds:") else lambda *_: True
    async with serve(uri, {"orders": orders.sender(), "dishes": dishes.receiver()}, rule):
        print("ready", flush=True)
        async for order in orders:
            await dishes.send(order[::-1])

run(main, sys.argv[1])
"""

CLIENT = """
import sys
from kcoro_core import dial, run

async def main(uri):
    async with dial(uri, authorize=lambda *_: True, patience={patience}) as link:
        orders, dishes = await link.open("orders"), await link.open("dishes")
        for size in (1, 1000, 1_000_000):
            await orders.send(bytes(size) + b"!")
            dish = await dishes.recv()
            assert dish == b"!" + bytes(size)
            print(len(dish), flush=True)
        {then}

run(main, sys.argv[1])
"""


@contextmanager
def cooking(installed: Path, uri: str) -> Iterator[subprocess.Popen[str]]:
    """The server, in a process of its own."""
    command = [sys.executable, "-c", SERVER, uri]
    with subprocess.Popen(command, env=environment(installed), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def dine(installed: Path, uri: str, then: str = "pass", patience: float = 0.0) -> subprocess.CompletedProcess[str]:
    """The client, in another."""
    command = [sys.executable, "-c", CLIENT.format(then=then, patience=patience), uri]
    return subprocess.run(command, env=environment(installed), capture_output=True, text=True, timeout=50)


def test_two_processes_talk_through_a_login(installed: Path, far: Sshd, tmp_path: Path) -> None:
    """Both ways, in small and large messages, and they part in good order. Row: T8."""
    with cooking(installed, f"stdio:{tmp_path}/kitchen/sock"):
        done = dine(installed, address(far, tmp_path / "kitchen" / "sock"))
    assert (done.stdout.split(), done.returncode) == (["2", "1001", "1000001"], 0), done.stderr


def test_a_server_that_is_killed_behind_a_login_is_a_lost_link(installed: Path, far: Sshd, tmp_path: Path) -> None:
    """Row: T8."""
    with cooking(installed, f"stdio:{tmp_path}/kitchen/sock") as server:
        then = f"import os; os.kill({server.pid}, 9); await dishes.recv()"
        done = dine(installed, address(far, tmp_path / "kitchen" / "sock"), then)
    assert "LinkLost" in done.stderr
    # Reading or writing meets the end first, by chance; each says so in its own words.
    assert re.search("the other side (closed the connection|takes no more frames)", done.stderr), done.stderr


def test_where_nobody_listens_behind_a_login_the_error_says_so(installed: Path, far: Sshd, tmp_path: Path) -> None:
    """The relay's own words come through, as those of any command do. Row: T8."""
    done = dine(installed, address(far, tmp_path / "nobody"))
    assert "TransportError" in done.stderr
    assert "kcoro relay: nobody listens at" in done.stderr


def test_a_host_that_nobody_knows_is_not_talked_to(
    installed: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """That is a matter of ``ssh``, which says why; no link comes to be. Row: T8."""
    with serving(tmp_path_factory.mktemp("sshd")) as stranger:
        stranger.forget_host()
        with cooking(installed, f"stdio:{tmp_path}/kitchen/sock"):
            done = dine(installed, address(stranger, tmp_path / "kitchen" / "sock"))
    assert "Host key verification failed" in done.stderr
    assert "TransportError" in done.stderr
    assert done.stdout == ""


def test_a_forwarded_socket_shows_the_user_who_has_logged_in(far: Sshd, tmp_path: Path) -> None:
    """With ``ssh -L`` and no transport but that of Unix sockets: the default rule lets this user in. Row: T8."""
    pytest.importorskip("kcoro_transport_uds")
    site = Path(os.devnull)
    theirs, ours = tmp_path / "kitchen" / "sock", tmp_path / "forwarded"
    with cooking(site, f"uds:{theirs}"):
        words = far.command.split()
        forward = [*words[:-1], "-N", "-L", f"{ours}:{theirs}", words[-1]]
        with subprocess.Popen(forward) as ssh:
            try:
                done = dine(site, f"uds:{ours}", patience=30.0)
            finally:
                ssh.terminate()
    assert (done.stdout.split(), done.returncode) == (["2", "1001", "1000001"], 0), done.stderr


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_kit_holds_through_a_login(installed: Path, far: Sshd, tmp_path: Path) -> None:
    """A listener at this address is dialled through one, each time. Rows: T3, T8."""
    command = [sys.executable, "-m", "kcoro_core", "conformance", address(far, tmp_path / "kit" / "sock"), "--json"]
    done = subprocess.run(command, env=environment(installed), capture_output=True, text=True, timeout=1100)
    results = json.loads(done.stdout)
    assert [result for result in results if result["state"] == "failed"] == []
    assert len([result for result in results if result["state"] == "passed"]) >= 125
