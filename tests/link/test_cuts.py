# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cuts anywhere: whatever byte the connection ends at, both ledgers agree (rows N6, CH6, X4, N5).

Acknowledged elements arrived, those that were not done did not, only those in doubt may have; nothing is doubled, and
nothing that the home gave out is lost without a report. The same is said of calls. The campaign has 1,000 cuts, 120 of
them between processes, each within the bytes that go that way without a cut, and each seen to have been made; a few of
each sort are made in every run of the tests. A seed that fails is replayed by the id of its test:
``pytest -m '' 'tests/link/test_cuts.py::NAME[SEED]'``, as pytest prints it.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from kcoro_core import UNLIMITED, Channel, channel, serve
from kcoro_core.testing.proxy import FaultProxy
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER, Direction
from kcoro_core.transports.mem import faults

from . import cut_server
from .ledgers import COMMAND, ELEMENTS, MODES, Books, Ledger, check, exchange
from .world import World, settle

ROOT = Path(__file__).resolve().parents[2]
DIRECTIONS: tuple[Direction, Direction] = (TO_LISTENER, TO_DIALER)
SHORT, CAMPAIGN = 60, 880
"""Cuts inside the process: in every run, and all of them."""
SPARE = 5
"""Between processes: runs in place of those that ended before their cut."""
Lengths = dict[Direction, int]
"""How many bytes went each way."""


def mode_of(seed: int) -> int:
    """In which of MODES a cut inside the process is made."""
    return seed // 2 % len(MODES)


class _Kept(list[Any]):
    """Connections of an address; those that have ended stay, to be looked at."""

    def remove(self, connection: Any) -> None:
        """It stays."""


_lengths: dict[tuple[int, int], Lengths] = {}
"""How much goes each way without a cut, by what decides about that: mode, and length of the label."""


def cut_once(world: World, seed: int) -> Ledger:
    """One cut in virtual time; ``seed`` decides direction, byte, mode and policy. Gives the ledger, which agreed.

    The byte is one of those that went that way when nothing was cut. The host decides by chance who goes on, which may
    save a frame or two; a run that ends before the byte has come was not cut, and another byte is drawn.
    """
    chance = random.Random(f"cut {seed}")
    direction = DIRECTIONS[seed % 2]
    kind = (mode_of(seed), len(str(seed)))
    if kind not in _lengths:
        _, _, _lengths[kind] = run_once(world, seed, None)
    length = _lengths[kind][direction]
    while True:
        ledger, was_cut, passed = run_once(world, seed, chance.randrange(length))
        if was_cut:
            return ledger
        assert passed[direction] < length, "all bytes went that way, and nothing was cut"
        length = passed[direction]


def run_once(world: World, seed: int, after_bytes: int | None) -> tuple[Ledger, bool, Lengths]:
    """Gives the ledger, which agreed; whether the medium was cut; how many bytes went each way."""
    mode, requeues = mode_of(seed), seed // 2 // len(MODES) % 2
    dialers = _Kept()
    reported: list[str] = []
    called: list[str] = []
    into: Channel[bytes] = channel(UNLIMITED)
    out = channel(UNLIMITED, on_undelivered=lambda value, why, of: reported.append(cut_server.name(value)))
    sent = [f"{seed} out {i}" for i in range(ELEMENTS)]
    policy = {f"out {seed}": "requeue" if requeues else "drop"}

    async def main() -> Ledger:
        for element in sent:
            out.try_send(element.encode())
        out.close()
        with faults("world") as line:
            line.connections = dialers
            if after_bytes is not None:
                line.cut(DIRECTIONS[seed % 2], after_bytes=after_bytes)
            export = {f"in {seed}": into, f"out {seed}": out}
            async with serve(world.uri, export, redelivery=policy, handlers={COMMAND: cut_server.keep(called)}):
                with trio.fail_after(20):
                    ledger = await exchange(world.uri, str(seed), mode)
                await settle()
        check(ledger, cut_server.books(str(seed), into, out, reported, called), sent)
        assert not (requeues and reported)
        return ledger

    ledgers: list[Ledger] = []

    async def keep() -> None:
        ledgers.append(await main())

    world.run(keep)
    [dialer] = dialers
    both = (dialer, dialer.pair.accepted)
    was_cut = any(str(end.end).startswith("the connection was cut") for end in both)
    passed = {end.tx.direction: end.tx.passed_bytes for end in both}
    if after_bytes is None:
        assert len(ledgers[0].done) == len(ledgers[0].received) == ELEMENTS
    return ledgers[0], was_cut, passed


@pytest.mark.parametrize("seed", range(SHORT))
def test_a_cut_inside_the_process_leaves_two_ledgers_that_agree(mem_world: World, seed: int) -> None:
    """Cuts at random bytes of a frame stream, in either direction, in virtual time. Rows: N6, T6, X4."""
    cut_once(mem_world, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SHORT, CAMPAIGN))
def test_the_campaign_of_cuts_leaves_two_ledgers_that_agree(mem_world: World, seed: int) -> None:
    """All other cuts inside the process. Row: X4."""
    cut_once(mem_world, seed)


def test_the_cuts_see_everything_that_may_happen(mem_world: World) -> None:
    """Done, not done, in doubt, reported behind its send, received, called: each is there in some cut. Rows: X4, N5."""
    ledgers = [cut_once(mem_world, seed) for seed in range(0, SHORT, 2)]
    for selects in (False, True):
        some = [ledger for seed, ledger in enumerate(ledgers) if MODES[mode_of(2 * seed)][0] is selects]
        for what in ("done", "in_doubt", "not_done", "lost", "received", "errors"):
            assert any(getattr(ledger, what) for ledger in some), f"no cut left anything {what}: nothing was seen"
    assert {how for ledger in ledgers for how in ledger.called.values()} == {"done", "in doubt", "not done"}


class TestBetweenProcesses:
    """The same over Unix sockets and a proxy that knows nothing of frames, with the home in another process."""

    @contextmanager
    def home(self, tmp_path: Path, labels: list[str]) -> Iterator[subprocess.Popen[str]]:
        """A serving process; its input is kept open until its ledger is wanted."""
        tmp_path.chmod(0o700)
        command = [sys.executable, "-m", "tests.link.cut_server", f"uds:{tmp_path}/home", str(ELEMENTS), *labels]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()
            child.communicate()

    def cut(self, tmp_path: Path, seed: int, cuts: int) -> list[Ledger]:
        """So many cuts at random bytes; first each mode without a cut, to know how many bytes there are.

        Who goes on first may save a few of those bytes: a run that ends before the byte has come was not cut, and a
        spare one takes its place.
        """
        chance = random.Random(f"cuts {seed}")
        labels = [str(10 + i) for i in range(len(MODES) + cuts + SPARE)]  # of one length, as the lengths are
        ledgers: dict[str, Ledger] = {}
        lengths: list[Lengths] = []
        cut: list[Ledger] = []
        with self.home(tmp_path, labels) as home:
            with FaultProxy(f"uds:{tmp_path}/home", tmp_path / "proxy") as proxy:

                def run(label: str, mode: int) -> Ledger:
                    async def main() -> None:
                        with trio.fail_after(20):
                            ledgers[label] = await exchange(proxy.uri, label, mode)

                    trio.run(main)
                    return ledgers[label]

                for mode, label in enumerate(labels[: len(MODES)]):
                    whole = run(label, mode)
                    assert len(whole.done) == len(whole.received) == ELEMENTS
                    lengths.append({one: proxy.passed_bytes(one) for one in DIRECTIONS})
                for number, label in enumerate(labels[len(MODES) :]):
                    if len(cut) == cuts:
                        break
                    mode, direction = number % len(MODES), chance.choice(DIRECTIONS)
                    after_bytes = chance.randrange(lengths[mode][direction])
                    proxy.cut(direction, after_bytes=after_bytes)
                    ledger = run(label, mode)
                    if proxy.passed_bytes(direction) == after_bytes:
                        cut.append(ledger)
            out, _ = home.communicate(timeout=20)
        assert len(cut) == cuts, f"{SPARE} runs more, and not all were cut"
        books = {label: Books(**one) for label, one in json.loads(out).items()}
        for label, ledger in ledgers.items():
            check(ledger, books[label], [f"{label} out {i}" for i in range(ELEMENTS)])
        return cut

    def test_cuts_at_random_bytes_leave_two_ledgers_that_agree(self, tmp_path: Path) -> None:
        """20 cuts between two processes. Rows: N6, CH6, X4."""
        cut = self.cut(tmp_path, 20, 20)
        assert sum(bool(ledger.errors) for ledger in cut) >= 5, "most cuts came when all was over"
        assert any(ledger.in_doubt or ledger.lost for ledger in cut), (
            "no cut left anything in doubt: the check has seen nothing"
        )

    @pytest.mark.long
    @pytest.mark.timeout(600)
    @pytest.mark.parametrize("seed", range(1, 5))
    def test_the_campaign_between_processes_leaves_two_ledgers_that_agree(self, tmp_path: Path, seed: int) -> None:
        """30 cuts for each seed. Row: X4."""
        cut = self.cut(tmp_path, seed, 30)
        assert any(ledger.in_doubt or ledger.lost for ledger in cut)
