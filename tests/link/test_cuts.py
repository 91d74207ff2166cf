# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cuts anywhere: whatever byte the connection ends at, both ledgers agree (rows N6, CH6).

Acknowledged elements arrived, those that were not done did not, only those in doubt may have; nothing is doubled, and
nothing that the home gave out is lost without a report.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from kcoro_core import UNLIMITED, Channel, channel, serve
from kcoro_core.testing.proxy import FaultProxy
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER, Direction
from kcoro_core.transports.mem import faults

from . import cut_server
from .ledgers import ELEMENTS, Ledger, check, exchange
from .world import World, settle

DIRECTIONS: tuple[Direction, Direction] = (TO_LISTENER, TO_DIALER)


@pytest.mark.parametrize("seed", range(60))
def test_a_cut_inside_the_process_leaves_two_ledgers_that_agree(mem_world: World, seed: int) -> None:
    """60 cuts at random bytes of a frame stream, in either direction, in virtual time. Rows: N6, T6, X4."""
    chance = random.Random(seed)
    reported: list[str] = []
    into: Channel[bytes] = channel(UNLIMITED)
    out = channel(UNLIMITED, on_undelivered=lambda value, why, of: reported.append(cut_server.name(value)))
    sent = [f"{seed} out {i}" for i in range(ELEMENTS)]

    async def main() -> None:
        for element in sent:
            out.try_send(element.encode())
        out.close()
        with faults("world") as line:
            line.cut(DIRECTIONS[seed % 2], after_bytes=chance.randrange(4000))
            async with serve(mem_world.uri, {f"in {seed}": into, f"out {seed}": out}):
                with trio.fail_after(20):
                    ledger = await exchange(mem_world.uri, str(seed))
                await settle()
        books = cut_server.ledger(into, out, reported)
        check(ledger, books["arrived"], sent, books["left"], books["reported"])

    mem_world.run(main)


class TestBetweenProcesses:
    """The same over Unix sockets and a proxy that knows nothing of frames, with the home in another process."""

    CUTS = 20
    LABELS = tuple(str(i) for i in range(CUTS + 1))

    @pytest.fixture
    def home(self, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
        """A serving process; its input is kept open until its ledger is wanted."""
        tmp_path.chmod(0o700)
        command = [sys.executable, "-m", "cut_server", f"uds:{tmp_path}/home", str(ELEMENTS), *self.LABELS]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
        )
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()
            child.communicate()

    def test_cuts_at_random_bytes_leave_two_ledgers_that_agree(
        self, home: subprocess.Popen[str], tmp_path: Path
    ) -> None:
        """20 cuts at random bytes between two processes; first one without a cut, to know how many bytes there are.

        Rows: N6, CH6.
        """
        chance = random.Random(20)
        ledgers: dict[str, Ledger] = {}
        with FaultProxy(f"uds:{tmp_path}/home", tmp_path / "proxy") as proxy:

            def run(label: str) -> Ledger:
                async def main() -> Ledger:
                    with trio.fail_after(20):
                        return await exchange(proxy.uri, label)

                return trio.run(main)

            ledgers["0"] = run("0")
            lengths = {direction: proxy.passed_bytes(direction) for direction in DIRECTIONS}
            for label in self.LABELS[1:]:
                direction = DIRECTIONS[int(label) % 2]
                proxy.cut(direction, after_bytes=chance.randrange(lengths[direction]))
                ledgers[label] = run(label)
        out, _ = home.communicate(timeout=20)
        books = json.loads(out)
        assert len(ledgers["0"].done) == len(ledgers["0"].received) == ELEMENTS
        for label, ledger in ledgers.items():
            sent = [f"{label} out {i}" for i in range(ELEMENTS)]
            check(ledger, books[label]["arrived"], sent, books[label]["left"], books[label]["reported"])
        cut = [ledgers[label] for label in self.LABELS[1:]]
        assert sum(bool(ledger.errors) for ledger in cut) > self.CUTS / 2, "most cuts came when all was over"
        assert any(ledger.in_doubt for ledger in cut), "no cut left anything in doubt: the check has seen nothing"
