# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One simulation on the script host: sides, links, a bad line; faults first, then it heals and all must finish.

Rule 1: with faults, for a number of steps; then no fault happens any more, and within FINISH virtual seconds every side
has a link that carries elements both ways, every task has ended, and every link and channel is closed.
Rule 2: the ledger adds up (``ledger.py``), no channel's counters lie, and nothing is left: no request, no element on
its way, no connection, no task.
Rule 3: the seed decides everything, so the hash of a simulation repeats; it covers the trace of the host and what every
operation was told.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from ...cancel import CancelToken
from ...channel import Channel, channel
from ...clauses import Recv, Triggered
from ...errors import ChannelClosed, LinkLost, WouldBlock
from ...hosts.port import Nursery
from ...hosts.script import Deadlock, ScriptHost, StepLimit
from ...link.bound import Redelivered
from ...link.link import Link
from ...link.report import Joined
from ...link.serve import Server, serve
from ...select import select
from ...semantics import Undelivered
from ...transports import sim
from ...transports.sim_network import Network
from ..explore.books import check_snapshot
from ..explore.explorer import raise_interrupt
from ..explore.programs import ChannelSpec
from .ledger import Claim, Ledger, Way
from .moves import Task
from .node import CALL, Node
from .scenario import LEAP, STEPS, Scenario, random_scenario

__all__ = ["FINISH", "SETTINGS", "Simulation"]

FINISH: Final = 60.0
"""How long a simulation may take to finish once its line is well again, in virtual seconds."""

SETTINGS: Final = {
    "keepalive": "1.0",
    "hello_timeout": "2.0",
    "cancel_grace": "0.5",
    "receive_budget": "65536",
    "max_message": "16384",
}
"""The settings that simulations are made for: short times, and bounds that are met."""

_LONGEST: Final = 300.0
_MAX_STEPS: Final = 200_000
_NAME: Final = "simulated"


log = logging.getLogger("kcoro")


class _Errors(logging.Handler):
    """Makes a finding of each error that is only logged."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found
        self.setFormatter(logging.Formatter("%(name)s logged: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text, with its traceback."""
        self._found.append(self.format(record))


class Simulation:
    """One simulation of a seed; after ``run``, ``found`` says what was wrong and ``counts`` what has happened."""

    def __init__(self, seed: int, steps: int = STEPS) -> None:
        self.scenario: Scenario = random_scenario(seed, steps)
        self.steps = steps
        self.rng = random.Random(f"simulation {seed}")
        self.host = ScriptHost(seed=seed, quantum=self.scenario.quantum, max_steps=steps + _MAX_STEPS)
        self.found: list[str] = []
        self.counts: Counter[str] = Counter()
        self.ledger = Ledger(requeues=frozenset(self.scenario.requeues))
        self.channels: list[Channel[bytes]] = []
        self.healed = False
        self.over = CancelToken()
        self.log: list[tuple[float, str]] = []
        self._numbers: dict[Link, int] = {}
        self._faulty = CancelToken()  # set when there were faults enough
        self._in_doubt = 0
        served, dialled = self.scenario.served, self.scenario.dialled
        self.server = Node(self, "s", served, tuple(f"d{i}" for i in range(len(dialled))))
        self.diallers = [
            Node(self, f"d{i}", dialled, tuple(f"s{i}" for i in range(len(served))))
            for i in range(self.scenario.diallers)
        ]

    # -- for its parts

    def count(self, what: str) -> None:
        """Something has happened, once more."""
        self.counts[what] += 1
        self.log.append((self.host.now(), what))

    def expect(self, holds: bool, otherwise: str) -> None:
        """Book a finding unless something holds."""
        if not holds:
            self.found.append(otherwise)

    def failed(self, who: str, error: Exception) -> None:
        """Something raised what it should not: book it, with no more faults from here on, and go on to the end."""
        self.found.append(f"{who}: " + "".join(traceback.format_exception(error)))
        self._faulty.trigger()

    def channel(self, spec: ChannelSpec, name: str) -> Channel[bytes]:
        """A channel whose undelivered elements go into the ledger."""
        made: Channel[bytes] = channel(spec.kind, spec.capacity, spec.overflow, self._undelivered, name)
        self.channels.append(made)
        return made

    def _undelivered(self, value: bytes, why: Undelivered, of: Channel[bytes] | None) -> None:
        self.ledger.report(self.number_in(value), why, isinstance(value, Redelivered))
        self._in_doubt += why is Undelivered.IN_DOUBT
        self.count(f"undelivered {why.value}")

    def number(self, link: Link) -> int:
        """The number of a link, given when it is first asked for."""
        return self._numbers.setdefault(link, len(self._numbers))

    def element(self, number: int) -> bytes:
        """The element of that number; now and then a large one."""
        return b"%d " % number + bytes(self.rng.choice((0, 0, 10, 10, 500, 10_000)))

    def number_in(self, value: bytes) -> int:
        """The number of an element."""
        return int(bytes(value).partition(b" ")[0])

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something outside any task after so many simulated seconds."""
        self.host.call_at(self.host.now() + seconds, act)

    def claim(self, way: Way, error: LinkLost) -> None:
        """An error of a link counts elements: to be compared at the end."""
        self.ledger.claims.append(Claim(way, error.acked, error.in_doubt, "LinkLost"))

    def open_options(self) -> dict[str, Any]:
        """How a handle is opened: a new option of ``open`` belongs here."""
        return {
            "lend": self.rng.random() < 0.5,
            "prefetch": self.rng.choice((0, 0, 1, 3)),
            "weight": self.rng.choice((1, 1, 4, 16)),
            "on_undelivered": self._undelivered_here,
        }

    def _undelivered_here(self, value: bytes, why: Undelivered, of: object) -> None:
        """What a handle had accepted against its slots was replaced there, or may not have reached its home."""
        number = self.number_in(value)
        if why is Undelivered.IN_DOUBT:
            self.ledger.tell(number, "doubt")
        else:
            self.ledger.reported[number].append(why)
            self.ledger.never_left.add(number)
        self.count(f"undelivered here {why.value}")

    # -- the run

    def run(self) -> Simulation:
        """Run it to its end; the settings of SETTINGS have to be in force."""
        before = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        logged = _Errors(self.found)
        log.addHandler(logged)
        try:
            self.host.run(self._main)
        except (Deadlock, StepLimit) as error:
            self.found.append("\n".join([str(error), *getattr(error, "__notes__", ())]))
        except BaseException as error:  # noqa: BLE001 - this is what is looked for
            raise_interrupt(error)
            self.found.append("".join(traceback.format_exception(error)))
        else:
            self._judge()
        finally:
            log.removeHandler(logged)
            sys.unraisablehook = before
        return self

    def trace_hash(self) -> str:
        """A short text that is equal for equal simulations."""
        told = [(number, offer.told) for number, offer in self.ledger.offers.items()]
        whole = repr((self.host.trace_hash(), self.log, told, sorted(self.ledger.received.items())))
        return hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()

    def _unraisable(self, record: Any) -> None:
        self.found.append("".join(traceback.format_exception(record.exc_value)))

    async def _main(self) -> None:
        self.host.at_step(self.steps, self._faulty.trigger)
        self.later(_LONGEST, self._faulty.trigger)
        for step, seconds in self.scenario.leaps:
            self.host.at_step(step, functools.partial(self._leap, seconds))
        with sim.network(_NAME) as network:
            network.impairments = self.scenario.impairments
            network.counts = self.counts
            offer: dict[str, Any] = {"export": self.server.exports(), "redelivery": self.server.redelivery()}
            async with serve(f"sim:{_NAME}", handlers={CALL: self.server.carry_out}, **offer) as server:
                self.server.server = server
                await self._live(network, server)
            self.expect(not network.pairs, f"{len(network.pairs)} connections are left")

    def _leap(self, seconds: float) -> None:
        self.host.leap(seconds)
        self.count(LEAP)

    async def _live(self, network: Network, server: Server) -> None:
        async with self.host.open_nursery() as sides:
            sides.start_soon(self._welcome, server, name="welcome")
            for node in self.diallers:
                sides.start_soon(node.keep_dialling, server.uri, name=f"dialler {node.name}")
            async with self.host.open_nursery() as tasks:
                for node in (self.server, *self.diallers):
                    for number in range(self.scenario.tasks):
                        task = Task(self, node, number)
                        tasks.start_soon(task.run, name=f"task {task.name}")
                await self._faulty.wait()
                # From here on the line is well, and everything has to come to its end.
                self.healed = True
                network.heal()
                watchdog = self.host.call_at(self.host.now() + FINISH, lambda: self._give_up(sides))
                async with self.host.open_nursery() as proofs:
                    for node in (self.server, *self.diallers):
                        proofs.start_soon(node.prove, name=f"proof of {node.name}")
                for made in self.channels:
                    made.close()
            self.over.trigger()
        watchdog.cancel()

    def _give_up(self, sides: Nursery) -> None:
        lines = "\n".join(self.host.lines())
        self.found.append(
            f"not finished {FINISH:.0f} s after the line was well again; what the tasks wait for:\n{lines}"
        )
        sides.cancel_scope.cancel()

    async def _welcome(self, server: Server) -> None:
        while True:
            won = await select(Recv(server.events), Triggered(self.over))
            if won.index == 1:
                return
            if isinstance(won.value, Joined):
                self.server.joined(won.value.link)
            else:
                self.count(f"link ended: {type(won.value.report.cause).__name__}")

    # -- judging

    def _judge(self) -> None:
        for number, made in enumerate(self.channels):
            self._drain(number, made)
            check_snapshot(number, made, self.found)
        for node in (self.server, *self.diallers):
            node.book_ends()
        in_doubt = 0
        for link, number in self._numbers.items():
            state = link.snapshot()
            left = state.requests_in_flight, state.waiting_here, state.tx_backlog_bytes
            self.expect(left == (0, 0, 0), f"link {number} leaves requests, waiters and bytes behind: {left}")
            self.counts["late replies"] += state.late_replies
            in_doubt += 0 if link.report is None else link.report.undelivered_in_doubt - link.report.requeued
        self.expect(
            in_doubt == self._in_doubt,
            f"the ends of links count {in_doubt} elements in doubt, and {self._in_doubt} were reported",
        )
        self.counts["requeued"] += self.ledger.requeued
        self.counts["received again"] += sum(len(who) > 1 for who in self.ledger.received.values())
        self.found += self.ledger.complaints()

    def _drain(self, number: int, made: Channel[bytes]) -> None:
        try:
            while True:
                value = made.try_recv()
                self.ledger.leave(self.number_in(value), isinstance(value, Redelivered))
        except ChannelClosed:
            return
        except WouldBlock as error:
            self.found.append(f"channel {number}: closed, and still {error}")
