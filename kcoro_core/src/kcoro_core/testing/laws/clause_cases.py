# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The clauses of core, and one that a stranger wrote, under the law kit (rows SE1, X20)."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from ...cancel import CancelToken
from ...channel import channel
from ...clauses import After, Done, Readable, Recv, Send, Signal, Triggered, Writable
from ...hosts.port import current_host
from ...scope import open_scope
from ...select import select
from ...semantics import BUFFERED
from .clause_kit import CHECKS, ClauseCase, Ready, Subject, clause_laws
from .harness import Harness
from .registry import NO_CHANNEL, SELECT_ASKS, Group, law
from .shapes import shape

Made = AsyncIterator[tuple[Any, Ready]]


@asynccontextmanager
async def recv(h: Harness) -> Made:
    """An element comes."""
    ch = await h.channel(shape(BUFFERED, capacity=1))
    yield Recv(ch), lambda: h.put(ch, "v")


@asynccontextmanager
async def send(h: Harness) -> Made:
    """A slot becomes free."""
    ch = await h.channel(shape(BUFFERED, capacity=1))
    h.put(ch, "filler")
    yield Send(ch, "v"), lambda: h.take(ch)


@asynccontextmanager
async def after(h: Harness) -> Made:
    """Time passes."""
    yield After(4 * h.tick), None


@asynccontextmanager
async def triggered(h: Harness) -> Made:
    """A token is set."""
    token = CancelToken()
    yield Triggered(token), token.trigger


@asynccontextmanager
async def done(h: Harness) -> Made:
    """A task ends."""
    stop = CancelToken()
    async with open_scope() as scope:
        yield Done(scope.launch(stop.wait)), stop.trigger
        stop.trigger()


@asynccontextmanager
async def readable(h: Harness) -> Made:
    """Bytes arrive at a descriptor; where descriptors are scripted, somebody says so."""
    host: Any = current_host()
    if hasattr(host, "set_readable"):
        yield Readable(7), lambda: host.set_readable(7)
        return
    a, b = socket.socketpair()
    with a, b:
        yield Readable(a), lambda: b.send(b"x")


@asynccontextmanager
async def writable(h: Harness) -> Made:
    """A full descriptor has room again."""
    host: Any = current_host()
    if hasattr(host, "set_writable"):
        yield Writable(7), lambda: host.set_writable(7)
        return
    a, b = socket.socketpair()
    with a, b:
        a.setblocking(False)
        b.setblocking(False)
        try:
            while True:
                a.send(bytes(65536))
        except BlockingIOError:
            pass
        yield Writable(a), lambda: _drain(b)


def _drain(sock: socket.socket) -> None:
    try:
        while True:
            sock.recv(1 << 20)
    except BlockingIOError:
        pass


def raise_signal(signum: int) -> None:
    """Let a signal arrive: at this process, or by script."""
    host: Any = current_host()
    if hasattr(host, "send_signal"):
        host.send_signal(signum)
    else:
        os.kill(os.getpid(), signum)


@asynccontextmanager
async def signalled(h: Harness) -> Made:
    """A signal arrives."""
    with Signal(signal.SIGUSR1, signal.SIGUSR2) as clause:
        yield clause, lambda: raise_signal(signal.SIGUSR2)


class Bell:
    """Something of a stranger's that rings once, and then stays rung until somebody takes it."""

    def __init__(self) -> None:
        self.rung = False
        self.listeners: dict[Any, Callable[[], object]] = {}

    def ring(self) -> None:
        """Ring; the first listener that can take it does."""
        self.rung = True
        for listener in list(self.listeners.values()):
            if self.rung:
                listener()


class Rung:
    """A stranger's clause: the three methods, and nothing else."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell

    def poll(self, w: Any) -> bool:
        """Take the ring, if there is one."""
        if not self.bell.rung or not w.win():
            return False
        self.bell.rung = False
        w.finish("ding")
        return True

    def register(self, w: Any) -> None:
        """Listen."""
        self.bell.listeners[w] = lambda: self.poll(w)

    def withdraw(self, w: Any) -> None:
        """Stop listening."""
        del self.bell.listeners[w]


@asynccontextmanager
async def strangers(h: Harness) -> Made:
    """A bell rings."""
    bell = Bell()
    yield Rung(bell), bell.ring


CASES: Final = {
    case.label: case
    for case in (
        ClauseCase("Recv", recv),
        ClauseCase("Send", send),
        ClauseCase("After", after, keeps=True, after=4),
        ClauseCase("Triggered", triggered, keeps=True),
        ClauseCase("Done", done, keeps=True),
        ClauseCase("Readable", readable, keeps=True),
        ClauseCase("Writable", writable, keeps=True),
        ClauseCase("Signal", signalled),
        ClauseCase("stranger", strangers),
    )
}


OF_CHANNELS: Final = {label: CASES[label] for label in ("Recv", "Send")}
"""The clauses that may be about a channel at the other end of a link."""

ASK_THE_CLAUSE: Final = (
    "forgets-a-waiter",
    "does-nothing-for-a-decided-waiter",
    "an-event-while-claiming-is-found-later",
)
"""The laws of the kit that take the place of select."""


def _cited_for_links(fn: Callable[..., Any], sentence: str) -> Callable[..., Any]:
    async def over_links(h: Harness, case: ClauseCase) -> None:
        await fn(h, case)

    over_links.__doc__ = f"{sentence} Rows: N5, X1, X20."
    return over_links


def _register() -> None:
    """Each law of the kit is a law of core, with the clauses as its cases."""
    for name, check in CHECKS.items():

        async def fn(h: Harness, case: ClauseCase, name: str = name) -> None:
            await dict(clause_laws(case))[name](h)

        fn.__doc__ = f"{check.__doc__} Rows: X20, SE1."
        law(f"X20.{name}", Group.CLAUSE, over=CASES, local=NO_CHANNEL)(fn)
        over_links = None if name not in ASK_THE_CLAUSE else SELECT_ASKS
        fn = _cited_for_links(fn, str(check.__doc__))
        law(f"N5.clauses-{name}", Group.CLAUSE, over=OF_CHANNELS, local=over_links)(fn)


_register()


@law("X20.all-clauses-in-one-select", Group.CLAUSE, over=CASES, local=NO_CHANNEL)
async def all_clauses_in_one_select(h: Harness, case: ClauseCase) -> None:
    """All clauses of core and a stranger's join one exactly-once select, which the one that becomes ready wins.

    Rows: X20, SE1.
    """
    async with AsyncExitStack() as stack:
        chosen = [other for other in CASES.values() if other is case or other.after == 0]
        subjects = [Subject(h, c, *(await stack.enter_async_context(c.make(h)))) for c in chosen]
        async with h.tasks() as tasks:
            call = tasks.start(select, *(s.clause for s in subjects))
            await h.settle()
            winner = next(s for s in subjects if s.case is case)
            await winner.happen()
            assert call.outcome == "done", call
            assert call.value.clause is winner.clause


@law("X20.told-again-after-a-denied-claim", Group.CLAUSE, local=NO_CHANNEL)
async def told_again_after_a_denied_claim(h: Harness) -> None:
    """A clause whose event came while the waiter could not be won, and went again, hears of the next.

    Rows: X20, SE1.
    """
    host: Any = current_host()
    scripted = hasattr(host, "set_readable")
    a, b = socket.socketpair()
    with a, b:
        clause = Readable(7 if scripted else a)
        subject = Subject(h, CASES["Readable"], clause, lambda: host.set_readable(7) if scripted else b.send(b"x"))
        op, arm = subject.waiter()
        clause.register(arm)
        assert op.begin_claim(1)
        await subject.happen()
        if scripted:
            host.set_readable(7, False)
        else:
            a.recv(1)
        assert op.end_claim()
        assert not clause.poll(arm)
        await h.settle()
        await subject.happen()
        assert op.claim == 0
        clause.withdraw(arm)


@law("X20.values-of-clauses", Group.CLAUSE, local=NO_CHANNEL)
async def values_of_clauses(h: Harness) -> None:
    """A clause that wins gives its own value: reason, task, descriptor, signal number, or nothing. Rows: X20."""
    expected: dict[str, Callable[[Any], object]] = {
        "Recv": lambda c: "v",
        "Send": lambda c: None,
        "After": lambda c: None,
        "Triggered": lambda c: c.token.reason,
        "Done": lambda c: c.task,
        "Readable": lambda c: c.fd,
        "Writable": lambda c: c.fd,
        "Signal": lambda c: signal.SIGUSR2,
        "stranger": lambda c: "ding",
    }
    for label, case in CASES.items():
        async with case.make(h) as (clause, ready):
            async with h.tasks() as tasks:
                call = tasks.start(select, clause)
                await h.settle()
                await Subject(h, case, clause, ready).happen()
                assert call.outcome == "done", label
            assert call.value.value == expected[label](clause), label


@law("X20.default-clause", Group.CLAUSE, local=NO_CHANNEL)
async def default_clause(h: Harness) -> None:
    """``After(0)`` in the last place is a default: it wins exactly when nothing before it is ready. Rows: X20, SE2."""
    ch = channel(BUFFERED, 1)
    assert (await select(Recv(ch), After(0))).index == 1
    ch.try_send("v")
    assert (await select(Recv(ch), After(0))).index == 0


@law("X20.bare-signals-catch-while-waiting", Group.CLAUSE, local=NO_CHANNEL)
async def bare_signals_catch_while_waiting(h: Harness) -> None:
    """A Signal that is not entered catches while at least one select waits on it, and not a moment longer.

    Rows: X20.
    """
    before = signal.getsignal(signal.SIGUSR1)
    clause = Signal(signal.SIGUSR1)
    async with h.tasks() as tasks:
        first = tasks.start(select, clause, timeout=2 * h.tick)
        await h.settle()
        second = tasks.start(select, clause)
        await h.ticks(3)
        assert not first.waits
        raise_signal(signal.SIGUSR1)
        await h.settle()
        assert second.outcome == "done"
        assert second.value.value == signal.SIGUSR1
    assert signal.getsignal(signal.SIGUSR1) is before


@law("X20.entered-signals-miss-nothing", Group.CLAUSE, local=NO_CHANNEL)
async def entered_signals_miss_nothing(h: Harness) -> None:
    """Inside its block a Signal keeps what arrives between two waits, in order. Rows: X20."""
    with Signal(signal.SIGUSR1, signal.SIGUSR2) as clause:
        for signum in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2):
            raise_signal(signum)
            await h.settle()
        got = [(await select(clause, timeout=0)).value for _ in range(3)]
    assert got == [signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2]
