# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Bad input: each wrong call is a documented error that says what to do, and changes nothing (rows E1, CH14)."""

from __future__ import annotations

import math
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from ... import plugins
from ...cancel import CancelToken
from ...channel import channel
from ...clauses import After, Done, Readable, Recv, Signal, Triggered
from ...errors import NotSupported
from ...hosts.port import current_host
from ...run import run, sleep
from ...scope import open_scope
from ...select import Selector, select, try_select
from ...semantics import (
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    RENDEZVOUS,
    UNLIMITED,
)
from .harness import Harness, raises
from .registry import Group, Need, law

Bad = Callable[[], object]

COMBINATIONS: Final[dict[str, tuple[tuple[Any, ...], str]]] = {
    "no-capacity": ((BUFFERED,), "capacity=N"),
    "zero": ((BUFFERED, 0), "RENDEZVOUS"),
    "negative": ((BUFFERED, -1), ">= 1"),
    "fraction": ((BUFFERED, 1.5), ">= 1"),
    "true": ((BUFFERED, True), ">= 1"),
    "text": ((BUFFERED, "5"), ">= 1"),
    "rendezvous-capacity": ((RENDEZVOUS, 1), "BUFFERED"),
    "conflated-capacity": ((CONFLATED, 1), "BUFFERED"),
    "unlimited-capacity": ((UNLIMITED, 64), "BUFFERED"),
    "rendezvous-overflow": ((RENDEZVOUS, None, DROP_OLDEST), "SUSPEND"),
    "conflated-overflow": ((CONFLATED, None, DROP_LATEST), "SUSPEND"),
    "unlimited-overflow": ((UNLIMITED, None, DROP_OLDEST), "SUSPEND"),
    "kind-number": ((5,), "RENDEZVOUS, BUFFERED"),
    "kind-text": (("BUFFERED", 5), "RENDEZVOUS, BUFFERED"),
    "overflow-text": ((BUFFERED, 5, "drop"), "DROP_OLDEST"),
    "hook": ((BUFFERED, 5, DROP_OLDEST, "hook"), "callable"),
}


@law("E1.wrong-combinations", Group.LOOP, over=COMBINATIONS)
async def wrong_combinations(h: Harness, case: tuple[tuple[Any, ...], str]) -> None:
    """``channel()`` refuses a combination that makes no sense, and says which one does. Rows: E1, CH5."""
    arguments, hint = case
    with raises(ValueError) as caught:
        channel(*arguments)
    assert hint in str(caught[0])


TIMEOUTS: Final[dict[str, Any]] = {
    "negative": -1,
    "tiny": -1e-9,
    "nan": math.nan,
    "text": "1",
    "true": True,
    "list": [],
}


@law("E1.wrong-timeouts", Group.LOOP, over=TIMEOUTS)
async def wrong_timeouts(h: Harness, timeout: Any) -> None:
    """A timeout that is no number of seconds >= 0 is refused by every wait, before anything happens. Rows: E1, CH7."""
    ch: Any = channel(BUFFERED, 2)
    ch.try_send("v")
    token = CancelToken()
    before = ch.snapshot()
    async with open_scope() as scope:
        task = scope.launch(sleep, h.tick)
        waits: list[Callable[[], Awaitable[Any]]] = [
            lambda: ch.send("w", timeout),
            lambda: ch.recv(timeout),
            lambda: ch.sender().send("w", timeout),
            lambda: ch.receiver().recv(timeout),
            lambda: select(Recv(ch), timeout=timeout),
            lambda: Selector(Recv(ch)).wait(timeout),
            lambda: token.wait(timeout),
            lambda: task.wait(timeout),
            lambda: scope.wait_all(timeout),
            lambda: sleep(timeout),
        ]
        for wait in waits:
            call = await h.outcome(wait)
            assert call.outcome is ValueError
            assert "seconds >= 0" in str(call.error)
        with raises(ValueError):
            After(timeout)
        assert ch.snapshot() == before


@law("E1.wrong-tokens", Group.LOOP)
async def wrong_tokens(h: Harness) -> None:
    """What is no CancelToken is refused as ``cancel=``, before anything happens. Rows: E1, K1."""
    ch: Any = channel(BUFFERED, 2)
    ch.try_send("v")
    before = ch.snapshot()
    async with open_scope() as scope:
        task = scope.launch(sleep, h.tick)
        for wrong in (True, object(), ch):
            for wait in (partial(ch.send, "w"), ch.recv, partial(select, Recv(ch)), task.wait):
                call = await h.outcome(wait, cancel=wrong)
                assert call.outcome is ValueError
                assert "CancelToken" in str(call.error)
    assert ch.snapshot() == before


class Half:
    """Looks like a clause, and lacks ``withdraw``."""

    def poll(self, w: Any) -> bool:
        """Not ready."""
        return False

    def register(self, w: Any) -> None:
        """Do nothing."""


CLAUSES: Final[dict[str, tuple[Any, ...]]] = {
    "none": (),
    "channel": ("channel",),
    "class": (Recv,),
    "incomplete": (Half(),),
    "number": (After(0), 7),
}


@law("SE4.wrong-clauses", Group.LOOP, over=CLAUSES)
async def wrong_clauses(h: Harness, clauses: tuple[Any, ...]) -> None:
    """An empty select, and one with something that is no clause, are refused before anything is taken.

    Rows: SE4, E1.
    """
    ch: Any = channel(BUFFERED, 2)
    ch.try_send("v")
    given = tuple(ch if clause == "channel" else clause for clause in clauses)
    assert (await h.outcome(lambda: select(*given))).outcome is ValueError
    with raises(ValueError):
        try_select(*given)
    assert len(ch) == 1


@law("SE4.wrong-modes", Group.LOOP)
async def wrong_modes(h: Harness) -> None:
    """A mode or a rule for closed clauses that does not exist is refused, and the message lists those that do.

    Rows: SE4.
    """
    with raises(ValueError) as caught:
        Selector(After(0), mode="biased")  # type: ignore[arg-type]
    assert "ROUND_ROBIN" in str(caught[0])
    with raises(ValueError) as caught:
        Selector(After(0), closed=True)  # type: ignore[arg-type]
    assert "SKIP" in str(caught[0])


class Foreign:
    """A clause of some other engine."""

    sending = False
    value = None
    engine = "some other"

    def poll(self, w: Any) -> bool:
        """Must not be asked."""
        raise AssertionError

    register = withdraw = poll


@law("SE4.clauses-of-two-engines", Group.LOOP)
async def clauses_of_two_engines(h: Harness) -> None:
    """Clauses of two engines in one select are refused, and both engines are named. Rows: SE4, H1."""
    call = await h.outcome(select, Recv(channel()), Foreign())
    assert call.outcome is ValueError
    assert "some other" in str(call.error)


@law("E1.wrong-descriptors-and-signals", Group.LOOP)
async def wrong_descriptors_and_signals(h: Harness) -> None:
    """Clauses refuse a negative descriptor, no signal at all, and numbers that are no signal. Rows: E1, X20."""
    for wrong in (lambda: Readable(-1), Signal, lambda: Signal(0), lambda: Signal(9999)):
        with raises(ValueError):
            wrong()


async def _idle() -> None:
    """A coroutine function that a newcomer calls too early."""


STRANGE: Final[dict[str, tuple[Callable[[], object], str]]] = {
    "triggered": (lambda: Triggered(5), "CancelToken"),  # type: ignore[arg-type]
    "done": (lambda: Done(5), "scope.launch"),  # type: ignore[arg-type]
    "parent": (lambda: CancelToken(5), "CancelToken"),  # type: ignore[arg-type]
    "scope": (lambda: open_scope(5), "CancelToken"),  # type: ignore[arg-type]
    "descriptor": (lambda: Readable("x"), "fileno"),  # type: ignore[arg-type]
    "replace": (lambda: Selector(After(0)).replace(99, After(0)), "add()"),
    "replace-by-name": (lambda: Selector(After(0)).replace("x", After(0)), "add()"),  # type: ignore[arg-type]
    "run-a-coroutine": (lambda: run(_idle()), "run(_idle, ...)"),  # type: ignore[arg-type]
    "run-nothing": (lambda: run(None), "async function"),  # type: ignore[arg-type]
    "signal-nobody-catches": (lambda: current_host().on_signal(signal.SIGKILL, int), "SIGKILL"),
}


@law("E1.strange-arguments", Group.LOOP, over=STRANGE, needs=[Need.SIGNALS])
async def strange_arguments(h: Harness, case: tuple[Callable[[], object], str]) -> None:
    """Arguments of the wrong kind are refused at once, each time, and the message says what to write. Rows: E1."""
    call, hint = case
    for _ in range(2):
        with raises(ValueError) as caught:
            call()
        assert hint in str(caught[0])


@law("E1.launching-a-coroutine", Group.LOOP)
async def launching_a_coroutine(h: Harness) -> None:
    """``launch(f())`` is refused with the way to write it, and leaves no coroutine behind. Rows: E1, K4."""
    async with open_scope() as scope:
        with raises(ValueError) as caught:
            scope.launch(_idle())  # type: ignore[arg-type]
    assert "launch(_idle, ...)" in str(caught[0])


@law("E1.a-deadline-beyond-every-clock", Group.LOOP)
async def a_deadline_beyond_every_clock(h: Harness) -> None:
    """A timeout that no clock can express is no timeout. Rows: E1, CH7."""
    ch: Any = channel(UNLIMITED)
    ch.try_send("v")
    assert await ch.recv(timeout=10**400) == "v"


@law("E1.scope-misuse", Group.LOOP)
async def scope_misuse(h: Harness) -> None:
    """A scope is opened once, and launches inside its block only; the error says so, and starts nothing.

    Rows: E1, K4.
    """
    ran: list[int] = []

    async def child() -> None:
        ran.append(1)

    scope = open_scope()
    with raises(ValueError):
        scope.launch(child)
    async with scope:
        pass
    with raises(ValueError):
        scope.launch(child)
    with raises(ValueError):
        await scope.__aenter__()
    await h.settle()
    assert ran == []


MISSING: Final[dict[str, tuple[Callable[[str], object], str, type[Exception], str]]] = {
    "scheme": (plugins.transport, "nosuch:/x", NotSupported, "nosuch:"),
    "no-scheme": (plugins.transport, "/run/x.sock", ValueError, "scheme"),
    "empty": (plugins.transport, "", ValueError, "scheme"),
    "engine": (plugins.engine, "nosuch", NotSupported, "KCORO_ENGINE"),
    "host": (plugins.host, "nosuch", NotSupported, "trio"),
}


@law("E1.what-is-not-installed", Group.LOOP, over=MISSING)
async def what_is_not_installed(h: Harness, case: tuple[Callable[[str], object], str, type[Exception], str]) -> None:
    """An unknown scheme, engine or host is refused by name, with what there is, or what to install. Rows: E1, T5."""
    find, name, error, hint = case
    with raises(error) as caught:
        find(name)
    assert hint in str(caught[0])


@law("E1.errors-are-complete", Group.LOOP)
async def errors_are_complete(h: Harness) -> None:
    """Every error class has an errno, a code of its own, a fault, and says what still holds. Rows: E1."""
    from ... import errors

    classes = [getattr(errors, name) for name in errors.__all__]
    kcoro = [
        c for c in classes if isinstance(c, type) and issubclass(c, errors.KcoroError) and c is not errors.KcoroError
    ]
    assert len({c.code for c in kcoro}) == len(kcoro) > 15
    for c in kcoro:
        assert c.errno > 0
        assert isinstance(c.fault, errors.Fault)
        assert len(c.holds) > 10
        assert f"[{c.code}]" in str(c("text"))
    assert not issubclass(errors.LinkLost, errors.ChannelClosed)
    assert not issubclass(errors.ChannelClosed, errors.LinkLost)
