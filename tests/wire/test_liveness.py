# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Signs of life of whole connections on a fake clock: spread, in front of data, and missed in time. Row: N6."""

from __future__ import annotations

import heapq
import random
from collections import Counter

import pytest

from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection, Side
from kcoro_core.wire.events import ConnectionEnded
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.states import State

from .pair import NODES, Pair, deliver, established, only, opened, written

CONNECTIONS = 2000
KEEPALIVE = 30.0
LIMITS = Limits(keepalive_ms=int(KEEPALIVE * 1000), idle_ms=int(KEEPALIVE * 3000))


def idle_connections(seed: int) -> list[Pair]:
    """Connections that all shook hands in the same instant, with nonces that chance gives."""
    chance = random.Random(seed)
    pairs = []
    for _ in range(CONNECTIONS):
        pair = Pair()
        pair.a = Connection(Side.CONNECTING, NODES[0], chance.randbytes(8), LIMITS)
        pair.b = Connection(Side.ACCEPTING, NODES[1], chance.randbytes(8), LIMITS)
        pair.start()
        pairs.append(pair)
    return pairs


@pytest.mark.parametrize("seed", [1])
def test_two_thousand_idle_connections_do_not_tick_in_unison(seed: int) -> None:
    """No second has more than twice its share of the PINGs, and no instant more than a few."""
    pings: list[float] = []
    due = [(float(pair.a.next_deadline() or 0), i, pair) for i, pair in enumerate(idle_connections(seed))]
    heapq.heapify(due)
    while due[0][0] <= 75:
        now, i, pair = due[0]
        pair.now = now
        assert pair.a.handle_timeout(now) == []
        asked = written(pair.a)
        pings += [now for frame in asked if frame.command == Command.PING]
        deliver(pair.b, asked, now)
        deliver(pair.a, written(pair.b), now)
        heapq.heapreplace(due, (float(pair.a.next_deadline() or 0), i, pair))
    first = min(pings)
    assert first >= KEEPALIVE * 0.8
    assert len(pings) > 2 * CONNECTIONS - 100
    seconds = Counter(int(ping) for ping in pings if ping >= KEEPALIVE * 0.8)
    spread = CONNECTIONS / (0.4 * KEEPALIVE)  # in each second of the first round
    assert max(seconds.values()) < 2 * spread
    assert max(Counter(pings).values()) <= 5
    assert min(seconds[second] for second in range(26, 34)) > spread / 2, "some second is left out: this is no spread"


def test_a_half_open_peer_is_found_out_however_much_is_written_to_it() -> None:
    """Nothing comes back, while our own frames still fit the medium: dead after three keepalives, or idle_ms."""
    pair, channel = opened(LIMITS)
    now, ended = 0.0, []
    while not ended:
        now += 1.0
        pair.a.send(channel, b"into the void", 500)
        written(pair.a)
        ended = pair.a.handle_timeout(now)
        assert now < 3 * KEEPALIVE * 1.2 + 1, "it is never found out"
    assert now >= 3 * KEEPALIVE * 0.8
    report = only(ended, ConnectionEnded).report
    assert "silent" in str(report.cause)
    assert len(report.requests) == int(now)
    assert pair.a.state is State.DEAD


def test_a_peer_that_only_drips_bytes_is_alive() -> None:
    """Bytes of an unfinished frame are proof of life as frames are. Row: N6."""
    pair = established(LIMITS)
    for now in range(1000):
        pair.a.note_alive(float(now))
        assert pair.a.handle_timeout(float(now)) == []
    assert written(pair.a) == []


def test_a_sign_of_life_goes_in_front_of_all_data() -> None:
    """However much is queued, PING is the next frame but the one under way, and so is PONG. Row: N6."""
    pair, channel = opened(LIMITS)
    for _ in range(500):
        pair.a.send(channel, bytes(10_000))
        pair.a.call(0, 64, bytes(10_000))
    assert pair.a.handle_timeout(KEEPALIVE * 1.2) == []
    frame = pair.a.poll_transmit()
    assert frame is not None
    assert frame.command == Command.PING
    pair.a.mark_written()

    for _ in range(100):
        pair.b.call(0, 64, bytes(10_000))
    deliver(pair.b, [frame], KEEPALIVE)
    answer = pair.b.poll_transmit()
    assert answer is not None
    assert (answer.command, answer.payload) == (Command.PONG, frame.payload)
