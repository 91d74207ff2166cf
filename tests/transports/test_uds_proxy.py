# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The proxy that breaks connections, and what a transport makes of it: whole frames before the cut, and an end.

Rows: T6, N6.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kcoro_core import plugins
from kcoro_core.errors import KcoroError
from kcoro_core.testing.proxy import TO_DIALER, TO_LISTENER, FaultProxy
from kcoro_core.testing.transport_kit.bench import LIMIT, Bench, numbered
from kcoro_core.transport import READ

FRAMES = numbered(8, 100)
SIZE = 120


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kc-") as made:
        yield Path(made)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench(plugins.transport("uds"), "uds", {}) as bench:
        yield bench


@pytest.fixture
def proxied(bench: Bench, home: Path) -> Iterator[tuple[FaultProxy, Any]]:
    """A proxy in front of a listener."""
    listener = bench.listen()
    with FaultProxy(bench.vtable.local_uri(listener), home / "proxy.sock") as proxy:
        yield proxy, listener


def joined(bench: Bench, proxy: FaultProxy, listener: Any) -> tuple[Any, Any]:
    near = bench.dial(proxy.uri)
    return near, bench.accept(listener, near)


def frames_until_the_end(bench: Bench, conn: Any) -> int:
    count = 0

    def ended() -> bool:
        nonlocal count
        try:
            while bench.vtable.recv_frame(conn, LIMIT) is not None:
                count += 1
        except KcoroError:
            return True
        return False

    bench.until(ended, conn, what="the end of a connection that was cut")
    return count


def test_without_a_fault_everything_passes_in_both_directions(bench: Bench, proxied: Any) -> None:
    near, far = joined(bench, *proxied)
    for sender, receiver in ((near, far), (far, near)):
        bench.send_all(sender, FRAMES, receiver)
        assert bench.receive(receiver, 8, sender) == FRAMES
    assert proxied[0].passed_bytes(TO_LISTENER) == 8 * SIZE


@pytest.mark.parametrize("direction", [TO_LISTENER, TO_DIALER])
@pytest.mark.parametrize("offset", [0, 1, 19, 20, 21, SIZE - 1, SIZE, SIZE + 1, 500, 7 * SIZE + 119])
def test_a_cut_comes_after_exactly_so_many_bytes(bench: Bench, proxied: Any, direction: Any, offset: int) -> None:
    """Every frame that had passed whole arrives, and no other; both sides learn of the end."""
    proxy, listener = proxied
    proxy.cut(direction, after_bytes=offset)
    near, far = joined(bench, proxy, listener)
    sender, receiver = (near, far) if direction == TO_LISTENER else (far, near)
    try:
        for frame in FRAMES:
            bench.send(sender, frame)
        bench.flush(sender)
    except KcoroError:
        pass  # the cut may be quicker
    assert frames_until_the_end(bench, receiver) == offset // SIZE
    assert frames_until_the_end(bench, sender) == 0
    assert proxy.passed_bytes(direction) == offset


def test_a_cut_is_for_one_connection(bench: Bench, proxied: Any) -> None:
    proxy, listener = proxied
    proxy.cut(TO_LISTENER, after_bytes=0)
    first, _ = joined(bench, proxy, listener)
    assert frames_until_the_end(bench, first) == 0
    near, far = joined(bench, proxy, listener)
    bench.send_all(near, FRAMES, far)
    assert bench.receive(far, 8, near) == FRAMES


def test_a_cut_on_request_ends_both_sides(bench: Bench, proxied: Any) -> None:
    proxy, listener = proxied
    near, far = joined(bench, proxy, listener)
    bench.send_all(near, FRAMES, far)
    bench.receive(far, 8, near)
    proxy.cut_now()
    assert (frames_until_the_end(bench, near), frames_until_the_end(bench, far)) == (0, 0)


def test_a_stalled_direction_goes_on_where_it_stopped(bench: Bench, proxied: Any) -> None:
    """The other direction passes meanwhile, and nothing is lost."""
    proxy, listener = proxied
    near, far = joined(bench, proxy, listener)
    proxy.stall(TO_LISTENER)
    bench.send_all(near, FRAMES, far)
    bench.send_all(far, FRAMES, near)
    assert bench.receive(near, 8, far) == FRAMES
    bench.vtable.pump(far, 0.0, READ)
    assert bench.vtable.recv_frame(far, LIMIT) is None
    assert proxy.passed_bytes(TO_LISTENER) == 0
    proxy.resume(TO_LISTENER)
    assert bench.receive(far, 8, near) == FRAMES


def test_a_proxy_leaves_no_thread_and_no_socket(bench: Bench, home: Path) -> None:
    before = threading.active_count()
    listener = bench.listen()
    with FaultProxy(bench.vtable.local_uri(listener), home / "proxy.sock") as proxy:
        near, far = joined(bench, proxy, listener)
        for sender, receiver in ((near, far), (far, near)):
            bench.send_all(sender, FRAMES, receiver)
            bench.receive(receiver, 8, sender)
        assert threading.active_count() <= before + 3
    assert threading.active_count() <= before
    assert list(home.iterdir()) == []
