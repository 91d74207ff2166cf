# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The simulated lines, ``sim:`` and ``sim-datagram:``, driven by hand on a clock of the test (rows N7, T6, L2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing

from kcoro_core import BUFFERED, LinkLost, channel, dial, plugins, run, serve, sleep
from kcoro_core.config import reload
from kcoro_core.errors import MessageTooLong, NotSupported, TransportError
from kcoro_core.hosts.script import ScriptHost
from kcoro_core.testing.transport_kit.bench import HEADER_BYTES, LIMIT, header, numbered
from kcoro_core.transport import PollSpec, RawFrame
from kcoro_core.transports import sim, sim_datagram
from kcoro_core.transports.impairments import CHANCES, KINDS, impairments_of
from kcoro_core.transports.sim import TO_DIALER, TO_LISTENER

NAME = "tested"


class Line:
    """A connection whose two ends are pumped when they have announced it, on a clock that jumps."""

    def __init__(self, scheme: str = "sim", query: str = "") -> None:
        self.vtable = plugins.transport(scheme)
        self.now = 0.0
        self.listener = self.vtable.listen(f"{scheme}:{NAME}{query}", {})
        self.near: Any = self.vtable.connect(f"{scheme}:{NAME}", {})
        self.far: Any = None
        self.got: dict[str, list[tuple[float, RawFrame]]] = {"near": [], "far": []}
        self.run()
        self.began = self.now

    def close(self) -> None:
        for end in (self.near, self.far):
            if end is not None:
                self.vtable.abort(end)
        self.vtable.close(self.listener)

    def ends(self) -> Iterator[tuple[str, Any]]:
        if self.far is None:
            self.far = self.vtable.accept(self.listener)
        yield "near", self.near
        if self.far is not None:
            yield "far", self.far

    def turn(self) -> float | None:
        """Pump both ends once and take what is there; None if something is left to be done now, else when."""
        deadlines: list[float] = []
        busy = False
        for name, end in self.ends():
            try:
                self.vtable.pump(end, self.now, 0)
                while (frame := self.vtable.recv_frame(end, LIMIT)) is not None:
                    self.got[name].append((self.now, frame))
            except TransportError:
                pass
        for _, end in self.ends():
            spec = self.vtable.poll_handle(end)
            busy = busy or spec.ready_now
            deadlines += [] if spec.deadline is None else [spec.deadline]
        return None if busy else min(deadlines, default=float("inf"))

    def run(self, until: float = float("inf")) -> None:
        """Go on until nothing is announced any more, or time is up."""
        for _ in range(100_000):
            due = self.turn()
            if due is None:
                continue
            if due > until or due == float("inf"):
                self.now = self.now if until == float("inf") else until
                return
            self.now = due
        raise AssertionError("it never comes to rest")

    def send(self, end: Any, frames: list[RawFrame]) -> None:
        for frame in frames:
            while not self.vtable.send_frame(end, frame.header, [frame.payload], 0):
                due = self.turn()
                assert due != float("inf"), "no room, and nothing announces it"
                self.now = self.now if due is None else due

    def seen(self, name: str = "far") -> list[RawFrame]:
        return [frame for _, frame in self.got[name]]

    def times(self, name: str = "far") -> list[float]:
        return [round(at - self.began, 9) for at, _ in self.got[name]]


def send_slowly(line: Line, frames: list[RawFrame]) -> None:
    """One frame each millisecond."""
    for frame in frames:
        line.send(line.near, [frame])
        line.run(until=line.now + 0.001)


@pytest.fixture
def lines() -> Iterator[Any]:
    made: list[Line] = []

    def make(scheme: str = "sim", query: str = "") -> Line:
        made.append(Line(scheme, query))
        return made[-1]

    yield make
    for line in made:
        line.close()


ALL = (
    "?seed=3&latency=20ms&jitter=5ms&bandwidth=1MB&loss=0.1&duplicate=0.1&reorder=0.1&reorder_by=30ms"
    "&partition=0.01&partition_for=2s&short_reads=0.3&short_writes=0.3"
)


# ---------------------------------------------------------------------------------------------------------------------
# The stream
# ---------------------------------------------------------------------------------------------------------------------


def test_a_stream_delivers_every_frame_once_and_in_order_whatever_happens_by_chance(lines: Any) -> None:
    """Every fault that a stream survives has happened, in both directions. Rows: N7, T6."""
    line = lines(query=ALL)
    frames = numbered(300, 700)
    line.send(line.near, frames)
    line.send(line.far, frames)
    line.run()
    assert line.seen("far") == frames
    assert line.seen("near") == frames
    counts = line.near.pair.network.counts
    assert [kind for kind in KINDS if not counts[kind]] == ["half_open", "cut"]


def test_equal_seeds_give_equal_times_and_other_seeds_others(lines: Any) -> None:
    """Row: N7."""
    times = []
    for seed in ("seed=3", "seed=3", "seed=4"):
        line = lines(query=ALL.replace("seed=3", seed))
        line.send(line.near, numbered(100, 700))
        line.run()
        times.append(line.times())
        line.close()
    assert times[0] == times[1] != times[2]


@pytest.mark.parametrize("added", ["duplicate=0.5", "loss=0.2", "reorder=0.2", "short_writes=0.5", "short_reads=0.5"])
def test_one_more_kind_of_fault_changes_no_draw_of_another(lines: Any, added: str) -> None:
    """The packets that are late by jitter stay the same ones, by as much. Row: N7."""
    drawn = []
    for more in ("", f"&{added}"):
        line = lines(query=f"?seed=5&jitter=5ms{more}")
        line.send(line.near, numbered(100, 700))
        line.run()
        draws = line.near.tx.draws
        assert (draws.counts[added.partition("=")[0]] > 0) is bool(more)
        drawn.append([draws.share("jitter") for _ in range(5)])
        line.close()
    assert drawn[0] == drawn[1]


def test_latency_is_exact(lines: Any) -> None:
    line = lines(query="?latency=20ms")
    assert line.began == pytest.approx(0.02), "the request for the connection takes as long"
    line.send(line.near, numbered(3, 10))
    line.run()
    assert line.times() == [0.02] * 3


def test_bandwidth_is_exact_and_what_waits_is_the_backlog(lines: Any) -> None:
    """Frames of 1,000 bytes over 1 MB/s come every millisecond."""
    line = lines(query="?bandwidth=1MB&latency=5ms")
    line.send(line.near, numbered(10, 1000 - HEADER_BYTES))
    line.turn()
    assert line.vtable.tx_backlog(line.near) == 9000
    line.run()
    assert line.times() == pytest.approx([0.006 + i * 0.001 for i in range(10)])
    assert line.vtable.tx_backlog(line.near) == 0


def test_loss_is_a_delay_that_holds_up_what_comes_behind(lines: Any) -> None:
    """As on a real stream: nothing overtakes what is sent again."""
    line = lines(query="?loss=0.1&retransmit=200ms&seed=1")
    line.send(line.near, numbered(50, 10))
    line.run()
    times = line.times()
    assert times == sorted(times)
    late = {round(time, 6) for time in times}
    assert len(late) > 1
    assert all(time % 0.2 == pytest.approx(0, abs=1e-6) or time % 0.2 == pytest.approx(0.2) for time in late)


def test_torn_frames_arrive_whole(lines: Any) -> None:
    """A frame of 60 KiB over short writes and reads of any size down to one byte."""
    line = lines(query="?short_writes=0.9&short_reads=0.9&packet=4KiB")
    frames = numbered(3, 60_000)
    line.send(line.near, frames)
    line.run()
    assert line.seen() == frames
    counts = line.near.pair.network.counts
    assert counts["short_writes"] > 30
    assert counts["short_reads"] > 30


def test_a_partition_holds_everything_back_until_it_is_over(lines: Any) -> None:
    line = lines(query="?latency=1ms")
    network = sim.network(NAME)
    line.send(line.near, numbered(2, 10))
    network.partition(TO_LISTENER)
    line.run(until=50.0)
    assert line.seen() == []
    assert line.vtable.poll_handle(line.near) == PollSpec(), "nothing is announced, and nobody spins"
    line.send(line.far, numbered(1, 10))
    line.run(until=60.0)
    assert line.seen("near") == numbered(1, 10), "the other direction goes on"
    network.heal()
    line.run()
    assert line.seen() == numbered(2, 10)


def test_a_partition_by_chance_ends_by_itself(lines: Any) -> None:
    line = lines(query="?partition=0.05&partition_for=3s&seed=2")
    line.send(line.near, numbered(100, 10))
    line.run()
    assert line.seen() == numbered(100, 10)
    assert 0.1 < max(line.times()) < 30


def test_a_half_open_connection_says_nothing_to_either_end(lines: Any) -> None:
    line = lines()
    line.send(line.near, numbered(1, 10))
    line.run()
    sim.network(NAME).half_open()
    line.send(line.near, numbered(1, 10))
    line.vtable.abort(line.far)
    line.run()
    assert len(line.seen()) == 1
    assert line.near.end is None
    assert line.vtable.poll_handle(line.near) == PollSpec()


def test_a_half_open_connection_fills_its_buffer(lines: Any) -> None:
    line = lines(query="?buffer=1kB&half_open=1")
    taken = 0
    while line.vtable.send_frame(line.near, header(80), [bytes(80)], 0):
        taken += 1
        line.run()
    assert taken == 1 + 10, "the first one left, into nowhere"


def test_a_cut_delivers_a_beginning_of_what_was_sent_and_tells_both_ends(lines: Any) -> None:
    """In the middle of a frame too: then the frame never was. Row: T6."""
    for seed in range(20):
        line = lines(query=f"?latency=5ms&cut=0.05&short_writes=0.3&packet=1kB&seed={seed}")
        frames = numbered(40, 2500)
        with pytest.raises(TransportError, match="cut"):
            send_slowly(line, frames * 10)
        line.run()
        seen = line.seen()
        assert seen == (frames * 10)[: len(seen)]
        with pytest.raises(TransportError, match="cut"):
            line.vtable.recv_frame(line.far, LIMIT)
        line.close()


def test_an_abort_is_heard_behind_what_was_sent(lines: Any) -> None:
    line = lines(query="?latency=5ms")
    line.send(line.near, numbered(3, 10))
    line.turn()
    line.vtable.abort(line.near)
    line.run()
    assert line.seen() == numbered(3, 10)
    with pytest.raises(TransportError, match="gave the connection up"):
        line.vtable.recv_frame(line.far, LIMIT)


def test_who_dials_where_nobody_listens_hears_of_it_after_the_latency(lines: Any) -> None:
    vtable = plugins.transport("sim")
    conn = vtable.connect("sim:nobody?latency=10ms", {})
    vtable.pump(conn, 0.0, 0)
    assert vtable.poll_handle(conn).deadline == 0.01
    vtable.pump(conn, 0.01, 0)
    assert vtable.poll_handle(conn).deadline == 0.02
    with pytest.raises(TransportError, match="nobody listens at sim:nobody"):
        vtable.pump(conn, 0.02, 0)


def test_a_network_can_refuse(lines: Any) -> None:
    line = lines()
    sim.network(NAME).refuse = True
    conn = line.vtable.connect(f"sim:{NAME}", {})
    with pytest.raises(TransportError, match="refused"):
        line.vtable.pump(conn, 0.0, 0)


def test_a_clock_that_goes_back_or_leaps_does_no_harm(lines: Any) -> None:
    """Time is the latest that an end was told; a leap only makes everything late at once. Row: N7."""
    line = lines(query="?latency=10ms")
    line.send(line.near, numbered(2, 10))
    line.turn()
    line.vtable.pump(line.far, -5.0, 0)
    assert line.vtable.recv_frame(line.far, LIMIT) is None
    line.now += 3600.0
    line.run()
    assert line.seen() == numbered(2, 10)


def test_a_closed_connection_leaves_nothing_behind(lines: Any) -> None:
    line = lines(query="?latency=10ms")
    network = sim.network(NAME)
    assert len(network.pairs) == 1
    line.vtable.close(line.near)
    line.run()
    line.vtable.close(line.far)
    line.run()
    assert network.pairs == []
    given_up = line.vtable.connect(f"sim:{NAME}", {})
    line.vtable.pump(given_up, line.now, 0)
    line.vtable.abort(given_up)
    assert network.pairs == []


# ---------------------------------------------------------------------------------------------------------------------
# Datagrams
# ---------------------------------------------------------------------------------------------------------------------


def marks(frames: list[RawFrame]) -> list[int]:
    return [int.from_bytes(frame.header[-4:], "big") for frame in frames]


def test_datagrams_are_lost_doubled_and_mixed_up(lines: Any) -> None:
    """Each fault alone shows as itself. Row: N7."""
    outcomes = {}
    for fault in ("loss=0.2", "duplicate=0.2", "reorder=0.2", "jitter=5ms"):
        line = lines("sim-datagram", f"?{fault}&seed=1")
        send_slowly(line, numbered(200, 10))
        line.run()
        outcomes[fault] = marks(line.seen())
        line.close()
    assert len(outcomes["loss=0.2"]) == len(set(outcomes["loss=0.2"])) < 190
    assert outcomes["loss=0.2"] == sorted(outcomes["loss=0.2"])
    assert len(outcomes["duplicate=0.2"]) > 210
    assert set(outcomes["duplicate=0.2"]) == set(range(200))
    for mixed in (outcomes["reorder=0.2"], outcomes["jitter=5ms"]):
        assert sorted(mixed) == list(range(200)) != mixed


def test_datagrams_above_the_window_are_lost(lines: Any) -> None:
    line = lines("sim-datagram", "?window=1kB&latency=1ms")
    line.send(line.near, numbered(20, 80))
    line.vtable.pump(line.near, line.now, 0)
    line.vtable.pump(line.near, line.now + 1, 0)
    line.run()
    assert marks(line.seen()) == list(range(10))
    assert line.near.pair.network.counts["overflow"] == 10


def test_datagrams_vanish_in_a_partition(lines: Any) -> None:
    line = lines("sim-datagram")
    network = sim_datagram.network(NAME)
    network.partition(TO_DIALER)
    line.send(line.far, numbered(5, 10))
    line.run()
    network.heal()
    line.send(line.far, numbered(6, 10)[5:])
    line.run()
    assert marks(line.seen("near")) == [5]


def test_a_frame_too_large_for_a_datagram_is_refused_by_name(lines: Any) -> None:
    line = lines("sim-datagram")
    most = line.vtable.info.max_frame
    assert most is not None
    with pytest.raises(MessageTooLong, match="65507"):
        line.vtable.send_frame(line.near, header(most), [bytes(most)], 0)


# ---------------------------------------------------------------------------------------------------------------------
# Addresses
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("rain=1", "no impairment 'rain'; there are: seed, latency"),
        ("loss=2", "loss is a probability from 0 to 1"),
        ("loss=10%", "loss='10%' is no number"),
        ("latency=20parsec", "with a unit of us, ms, s, min"),
        ("latency=-1", "is no number"),
        ("window=0", "window must be at least 1"),
        ("seed=", "seed='' is no number"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_with_what_would(query: str, words: str) -> None:
    vtable = plugins.transport("sim")
    with pytest.raises(ValueError, match=words):
        vtable.listen(f"sim:x?{query}", {})
    with pytest.raises(ValueError, match=words):
        vtable.connect(f"sim:x?{query}", {})


def test_units_are_read() -> None:
    asked = impairments_of("latency=1.5ms&partition_for=2min&bandwidth=10MB&window=2KiB&buffer=100&seed=9&loss=.5", "x")
    assert (asked.latency, asked.partition_for, asked.bandwidth) == (0.0015, 120.0, 10_000_000)
    assert (asked.window, asked.buffer, asked.seed, asked.loss) == (2048, 100, 9, 0.5)


def test_who_dials_another_line_than_the_one_that_is_served_is_told(lines: Any) -> None:
    line = lines(query="?latency=1ms")
    with pytest.raises(ValueError, match="is served as sim:tested"):
        line.vtable.connect(f"sim:{NAME}?latency=2ms", {})
    assert line.vtable.local_uri(line.listener) == f"sim:{NAME}?latency=1ms"


def test_a_network_of_a_test_is_there_before_and_behind_its_listener(lines: Any) -> None:
    with sim.network(NAME, latency=0.5) as network:
        line = lines()
        assert line.began == 0.5
        network.change(loss=0.5)
        calm = network.impairments.calm()
        assert (calm.latency, [getattr(calm, kind) for kind in CHANCES]) == (0.5, [0.0] * len(CHANCES))
    line.close()
    assert sim.network(NAME).impairments.latency == 0
    with sim.network(NAME):
        pass


# ---------------------------------------------------------------------------------------------------------------------
# Links over it, on two hosts
# ---------------------------------------------------------------------------------------------------------------------


async def echo(uri: str, count: int) -> tuple[list[bytes], float]:
    jobs = channel(BUFFERED, capacity=4)
    host_now = trio.current_time if trio.lowlevel.in_trio_run() else _script_now
    async with serve(uri, export={"jobs": jobs}) as server, dial(server.uri) as link:
        remote = await link.open("jobs")
        began = host_now()
        got = []
        for i in range(count):
            await remote.send(b"%d" % i)
            got.append(await remote.recv())
        return got, host_now() - began


def _script_now() -> float:
    from kcoro_core.hosts.port import current_host

    return current_host().now()


def test_a_link_over_it_runs_in_virtual_time_on_the_script_host_and_on_trio() -> None:
    """Two round trips of 40 ms for each element, to the microsecond. Rows: N7, T6."""
    for start in (
        lambda: ScriptHost(seed=1).run(echo, "sim:?latency=20ms", 10),
        lambda: run(echo, "sim:?latency=20ms", 10, clock=trio.testing.MockClock(autojump_threshold=0)),
    ):
        got, seconds = start()
        assert got == [b"%d" % i for i in range(10)]
        assert seconds == pytest.approx(10 * 2 * 0.04)


def test_a_link_over_a_bad_line_loses_nothing_and_repeats_exactly() -> None:
    """Row: N7."""
    hashes = []
    for seed in (1, 1, 2):
        host = ScriptHost(seed=seed)
        got, _ = host.run(echo, "sim:" + ALL, 20)
        assert got == [b"%d" % i for i in range(20)]
        hashes.append(host.trace_hash())
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_half_open_link_is_found_out_by_its_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides are told, in virtual time, and nobody waits for ever. Row: N7."""
    monkeypatch.setenv("KCORO_KEEPALIVE", "1")
    reload()

    async def main() -> None:
        jobs = channel(BUFFERED, capacity=1)
        with sim.network(NAME) as network:
            async with serve(f"sim:{NAME}", export={"jobs": jobs}) as server, dial(server.uri) as link:
                remote = await link.open("jobs")
                network.half_open()
                with pytest.raises(LinkLost):
                    await remote.recv()
                await sleep(60)
                assert server.links == ()

    try:
        ScriptHost(seed=1).run(main)
    finally:
        monkeypatch.undo()
        reload()


def test_links_refuse_datagrams_by_name() -> None:
    """Neither side starts anything: a link needs order and delivery. Row: N3b."""

    async def main() -> None:
        with pytest.raises(NotSupported, match=r"sim-datagram: .* does not promise ORDERED, RELIABLE"):
            async with serve("sim-datagram:taken"):
                pass
        with pytest.raises(NotSupported, match=r"sim-datagram: .* does not promise ORDERED, RELIABLE"):
            async with dial("sim-datagram:taken"):
                pass

    ScriptHost().run(main)
    assert sim_datagram.network("taken").connections == 0
    with sim_datagram.network("taken"):
        pass
