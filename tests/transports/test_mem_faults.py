# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The in-process transport and the faults that it can be asked for (row T6)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kcoro_core import plugins
from kcoro_core.errors import AlreadyExists, TransportError, WrongLoop
from kcoro_core.testing.transport_kit.bench import LIMIT, Bench, numbered
from kcoro_core.transport import COMMIT_BYTES, RawFrame
from kcoro_core.transports import mem
from kcoro_core.transports.mem import TO_DIALER, TO_LISTENER, Faults

ADDRESS = "mem:faulty"
FRAMES = numbered(5, 30)
SIZE = 50  # each of them, header included


@pytest.fixture
def faults() -> Iterator[Faults]:
    with mem.faults("faulty") as faults:
        yield faults


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench(plugins.transport("mem"), ADDRESS, {}) as bench:
        yield bench


def received(bench: Bench, conn: Any) -> list[RawFrame]:
    """Everything that can be received, until there is no more or the connection has ended."""
    frames = []
    try:
        while (frame := bench.vtable.recv_frame(conn, LIMIT)) is not None:
            frames.append(frame)
    except TransportError:
        pass
    return frames


def sent(bench: Bench, conn: Any, frames: list[RawFrame]) -> int:
    """How many of them were accepted before the connection ended."""
    for count, frame in enumerate(frames):
        try:
            assert bench.send(conn, frame)
        except TransportError:
            return count
    return len(frames)


@pytest.mark.parametrize("direction", [TO_LISTENER, TO_DIALER])
@pytest.mark.parametrize("offset", range(0, SIZE * 5, 7))
def test_a_cut_delivers_the_frames_before_it_and_nothing_behind_it(
    bench: Bench, faults: Faults, direction: Any, offset: int
) -> None:
    """At whatever byte: the sender knows no more than that the frame was accepted. Row: T6."""
    faults.cut(direction, after_bytes=offset)
    near, far = bench.pair()
    sender, receiver = (near, far) if direction == TO_LISTENER else (far, near)
    assert sent(bench, sender, FRAMES) == offset // SIZE + 1
    assert received(bench, receiver) == FRAMES[: offset // SIZE]
    for conn in (sender, receiver):
        with pytest.raises(TransportError, match="cut"):
            bench.vtable.recv_frame(conn, LIMIT)


def test_who_stopped_at_the_bound_is_woken_below_it(bench: Bench, faults: Faults) -> None:
    """Nothing was refused; still the sender is told, once, when less than COMMIT_BYTES are left. Rows: N3, T6."""
    faults.buffer_bytes = 1 << 20
    near, far = bench.pair()
    [frame] = numbered(1, 20_000)
    told: list[int] = []
    bench.vtable.set_waker(near, lambda: told.append(bench.vtable.tx_backlog(near)))
    while bench.vtable.tx_backlog(near) < 2 * COMMIT_BYTES:
        assert bench.send(near, frame)
    assert not bench.vtable.poll_handle(near).ready_now

    while bench.vtable.recv_frame(far, LIMIT) is not None:
        pass
    assert len(told) == 1
    assert COMMIT_BYTES - 20_020 <= told[0] < COMMIT_BYTES
    assert bench.vtable.poll_handle(near).ready_now


def test_a_cut_at_the_border_of_a_frame_comes_behind_it(bench: Bench, faults: Faults) -> None:
    faults.cut(TO_LISTENER, after_bytes=2 * SIZE)
    near, far = bench.pair()
    assert sent(bench, near, FRAMES) == 2
    assert received(bench, far) == FRAMES[:2]


def test_a_cut_may_be_counted_in_frames(bench: Bench, faults: Faults) -> None:
    faults.cut(TO_LISTENER, after_frames=3)
    near, far = bench.pair()
    assert sent(bench, near, FRAMES) == 3
    assert received(bench, far) == FRAMES[:3]


def test_a_cut_is_for_one_connection(bench: Bench, faults: Faults) -> None:
    faults.cut(TO_LISTENER, after_bytes=0)
    listener = bench.listen()
    first = bench.dial(ADDRESS)
    bench.accept(listener)
    assert bench.send(first, FRAMES[0])
    assert bench.vtable.poll_handle(first).ready_now
    second = bench.dial(ADDRESS)
    bench.accept(listener)
    assert sent(bench, second, FRAMES) == 5


def test_a_cut_on_request_ends_every_connection_of_the_address(bench: Bench, faults: Faults) -> None:
    near, far = bench.pair()
    bench.send(near, FRAMES[0])
    faults.cut_now()
    assert received(bench, far) == FRAMES[:1]
    with pytest.raises(TransportError, match="cut on request"):
        bench.send(near, FRAMES[1])


def test_a_stall_holds_frames_back_until_it_is_over(bench: Bench, faults: Faults) -> None:
    """Nothing arrives, nothing is lost, and the receiver is told at the end. Row: T6."""
    near, far = bench.pair()
    called: list[bool] = []
    bench.vtable.set_waker(far, lambda: called.append(True))
    faults.stall(TO_LISTENER)
    assert sent(bench, near, FRAMES) == 5
    assert not called
    assert received(bench, far) == []
    assert not bench.vtable.poll_handle(far).ready_now
    assert bench.vtable.tx_backlog(near) == 5 * SIZE
    faults.resume(TO_LISTENER)
    assert called
    assert received(bench, far) == FRAMES
    assert bench.vtable.tx_backlog(near) == 0


def test_a_stall_leaves_the_other_direction_alone(bench: Bench, faults: Faults) -> None:
    near, far = bench.pair()
    faults.stall(TO_LISTENER)
    assert sent(bench, far, FRAMES) == 5
    assert received(bench, near) == FRAMES


def test_a_stalled_buffer_fills_up(bench: Bench, faults: Faults) -> None:
    """So that send_frame answers False, and announces the room that resume makes. Row: T6."""
    faults.buffer_bytes = 3 * SIZE
    near, far = bench.pair()
    faults.stall(TO_LISTENER)
    assert [bench.send(near, frame) for frame in FRAMES] == [True, True, True, False, False]
    faults.resume(TO_LISTENER)
    assert received(bench, far) == FRAMES[:3]
    assert bench.vtable.poll_handle(near).ready_now
    assert bench.send(near, FRAMES[3])


def test_a_small_buffer_takes_one_frame_of_any_size(bench: Bench, faults: Faults) -> None:
    faults.buffer_bytes = 10
    near, far = bench.pair()
    assert [bench.send(near, frame) for frame in FRAMES[:2]] == [True, False]
    assert received(bench, far) == FRAMES[:1]


def test_room_is_announced_once_and_not_for_ever(bench: Bench, faults: Faults) -> None:
    """Somebody who does not want to send any more must not be woken again and again."""
    faults.buffer_bytes = 10
    near, far = bench.pair()
    assert [bench.send(near, frame) for frame in FRAMES[:2]] == [True, False]
    received(bench, far)
    assert bench.vtable.poll_handle(near).ready_now
    bench.vtable.pump(near, 0.0, 0)
    assert not bench.vtable.poll_handle(near).ready_now


def test_what_a_stall_holds_back_survives_a_close_and_not_an_abort(bench: Bench, faults: Faults) -> None:
    for end, arrives in ((bench.vtable.close, True), (bench.vtable.abort, False)):
        near, far = bench.pair()
        faults.stall(TO_LISTENER)
        bench.send(near, FRAMES[0])
        end(near)
        faults.resume(TO_LISTENER)
        assert received(bench, far) == (FRAMES[:1] if arrives else [])
        bench.__exit__()


def test_what_a_stall_holds_back_is_lost_with_a_cut(bench: Bench, faults: Faults) -> None:
    near, far = bench.pair()
    faults.stall(TO_LISTENER)
    bench.send(near, FRAMES[0])
    pair = near.pair
    faults.cut_now()
    pair.release(TO_LISTENER)
    assert received(bench, far) == []


def test_a_refusal_looks_like_nobody_listening(bench: Bench, faults: Faults) -> None:
    bench.listen()
    faults.refuse = True
    conn = bench.dial(ADDRESS)
    assert bench.vtable.poll_handle(conn).ready_now
    with pytest.raises(TransportError, match="refused"):
        bench.vtable.pump(conn, 0.0, 0)
    assert bench.vtable.peer(conn).kind == "none"


def test_faults_end_with_their_block_and_belong_to_one_address(bench: Bench) -> None:
    with mem.faults("faulty") as faults:
        faults.refuse = True
        assert mem.faults("faulty") is faults
        assert not mem.faults("another").refuse
    assert not mem.faults("faulty").refuse
    for name in ("faulty", "another"):
        with mem.faults(name):
            pass  # forgets it


def test_a_full_backlog_refuses(bench: Bench) -> None:
    listener = bench.vtable.listen(ADDRESS, {"backlog": 2})
    conns = [bench.dial(ADDRESS) for _ in range(3)]
    assert [bench.vtable.poll_handle(conn).ready_now for conn in conns] == [False, False, True]
    with pytest.raises(TransportError, match="refused"):
        bench.vtable.pump(conns[2], 0.0, 0)
    bench.vtable.close(listener)


def test_both_ends_live_in_one_thread(bench: Bench) -> None:
    bench.listen()
    errors: list[BaseException] = []

    def dial() -> None:
        try:
            bench.dial(ADDRESS)
        except WrongLoop as error:
            errors.append(error)

    thread = threading.Thread(target=dial)
    thread.start()
    thread.join()
    assert "another thread" in str(errors[0])


@pytest.mark.parametrize("uri", ["mem:", "mem:a/b", "mem:a#b"])
def test_an_address_that_can_never_be_right_is_refused_at_once(bench: Bench, uri: str) -> None:
    with pytest.raises(ValueError, match="mem:"):
        bench.dial(uri)


def test_a_name_in_use_says_what_to_do(bench: Bench) -> None:
    bench.listen()
    with pytest.raises(AlreadyExists, match="close that server or take another name"):
        bench.listen()


def test_there_is_neither_a_descriptor_nor_a_deadline(bench: Bench) -> None:
    """So that it runs under virtual time, where no descriptor is ever ready. Row: T6."""
    near, far = bench.pair()
    bench.send(near, FRAMES[0])
    for conn in (near, far):
        spec = bench.vtable.poll_handle(conn)
        assert (spec.fd, spec.deadline) == (None, None)
