# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Select: wait for several clauses, take the effect of exactly one.

Every wait has the same steps: token, cancel point, poll all clauses in the order of the mode, then register them all,
park, and withdraw them all. Between the first poll and the last register nothing else of this loop runs, which makes
the poll a snapshot: if at every moment one clause is ready, a try never says that none is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from . import plugins
from .claiming import RemoteSelect, is_remote
from .clauses import Clause, check_loops
from .engine import Engine
from .errors import ChannelClosed, KcoroError, LinkLost, WouldBlock
from .hosts.port import Host, current_host, find_host
from .parking import cancelled_error, check_timeout, park, result, token_is_set
from .reference.select import poll_order
from .semantics import BIASED, RAISE, RETURN, ROUND_ROBIN, SKIP, TIMED_OUT, UNBIASED, WAITING, ClosedRule, SelectMode

if TYPE_CHECKING:
    from .cancel import CancelToken
    from .reference.waiter import SelectOperation, Waiter

__all__ = ["Selected", "Selector", "select", "try_select"]


@frozen
class Selected:
    """The clause that won: its position, what it gave, the clause itself, and its error under ``closed=RETURN``.

    Made for ``match``: ``case Selected(index=0, value=v)``.
    """

    index: int
    value: Any = None
    clause: Any = None
    error: ChannelClosed | LinkLost | None = None


class Selector:
    """A select that is used again and again: it keeps its clauses, and remembers who won for ROUND_ROBIN (row SE8)."""

    def __init__(self, *clauses: Clause, mode: SelectMode = BIASED, closed: ClosedRule = RAISE) -> None:
        if not isinstance(mode, SelectMode):
            raise ValueError(f"mode must be BIASED, UNBIASED or ROUND_ROBIN, not {mode!r}")
        if not isinstance(closed, ClosedRule):
            raise ValueError(f"closed must be RAISE, RETURN or SKIP, not {closed!r}")
        self.mode = mode
        self.closed = closed
        self._clauses: list[Clause] = []
        self._engine: str | None = None  # whose channels they are about; None while they are about none
        self._remote = False  # whether any clause is about a channel at the other end of a link
        self._last = -1
        self._busy = False
        # What a host of the same engine waits in; False once it has said that it cannot.
        self._plan: Any = None
        for clause in clauses:
            self.add(clause)

    def __repr__(self) -> str:
        return f"<Selector {self.mode.name} over {self._clauses!r}>"

    def add(self, clause: Clause) -> int:
        """Append a clause; returns its index.

        :raises ValueError: it is no clause, or of another engine than the others.
        """
        self._check_idle()
        self._engine = _check_clause(clause, self._engine)
        self._clauses.append(clause)
        self._plan = None
        self._remote = self._remote or is_remote(clause)
        return len(self._clauses) - 1

    def replace(self, index: int, clause: Clause) -> None:
        """Put another clause in place of the one at ``index``, for instance a ``Send`` with the next value.

        :raises ValueError: there is none at ``index``, or the new one does not go with the others; nothing has changed.
        """
        self._check_idle()
        if index not in range(-len(self._clauses), len(self._clauses)):
            raise ValueError(f"there is no clause {index!r} to replace among {len(self._clauses)}; add() appends one")
        others = [other for i, other in enumerate(self._clauses) if i != index % len(self._clauses)]
        engine = next((name for other in others if (name := getattr(other, "engine", None)) is not None), None)
        self._engine = _check_clause(clause, engine)
        self._clauses[index] = clause
        self._plan = None
        self._remote = any(map(is_remote, self._clauses))

    def reset(self) -> None:
        """Drop all clauses and the memory of who won."""
        self._check_idle()
        self._clauses.clear()
        self._engine = None
        self._plan = None
        self._remote = False
        self._last = -1

    async def wait(self, timeout: float | None = None, cancel: CancelToken | None = None) -> Selected:
        """Wait for exactly one clause; see ``select`` for arguments and errors."""
        limit = check_timeout(timeout)
        host = current_host()
        if limit is None and cancel is None and host.plan is not None and self._can_plan(host):
            self._check_idle()
            self._busy = True
            try:
                won = await self._plan.start(_planned_order(self.mode, len(self._clauses), self._last, host))
            finally:
                self._busy = False
            if won is not None:
                return self._planned(won)
        self._begin()
        try:
            if cancel is not None and token_is_set(cancel, host):
                await host.spend()
                raise cancelled_error(cancel, "select")
            await host.cancel_point()
            op, arms, order = self._poll(host)
            if op.claim != WAITING:
                await host.spend()
            elif self._remote:
                await self._reach(host, RemoteSelect(host, op, self._clauses, arms, order, self.closed), limit, cancel)
            elif limit == 0:
                await host.spend()
                raise WouldBlock("no clause is ready")
            else:
                await self._park(host, op, arms, limit, cancel)
                if op.claim < 0:
                    await result(host, op, cancel, "select")
            return self._won(op)
        finally:
            self._busy = False

    # -- waiting in the host

    def _can_plan(self, host: Host) -> bool:
        if self._plan is None and host.plan is not None:
            self._plan = host.plan(self._clauses, self.closed) or False
        return self._plan is not False

    def _planned(self, won: Any) -> Selected:
        """What the host gave: who won, or the operation that ended with an error."""
        if isinstance(won, Selected):
            self._last = won.index
            return won
        return self._won(won)

    def try_wait(self) -> Selected:
        """Take a clause that is ready now, without waiting.

        :raises WouldBlock: none is.
        :raises ChannelClosed: the channel of a clause is closed (see ``closed`` of ``select``).
        """
        self._begin()
        try:
            op, _, _ = self._poll(find_host())
            if op.claim == WAITING:
                raise WouldBlock("no clause is ready")
            return self._won(op)
        finally:
            self._busy = False

    # -- the steps

    def _begin(self) -> None:
        if not self._clauses:
            raise ValueError("a select needs at least one clause; one that waits for ever could never end")
        self._check_idle()
        check_loops(self._clauses)
        self._busy = True

    def _check_idle(self) -> None:
        if self._busy:
            raise ValueError("this Selector is waiting in another task; use one Selector for each task")

    def _poll(self, host: Host | None) -> tuple[SelectOperation, list[Waiter], Sequence[int]]:
        """Ask every clause in the order of the mode until one has decided the operation."""
        clauses = self._clauses
        factory = _engine_of(clauses).select
        op = factory.select(self.closed, len(clauses))
        arms = [factory.arm(op, i, *_shown(clause)) for i, clause in enumerate(clauses)]
        shuffle = _no_shuffle if host is None else host.random.shuffle
        order = poll_order(self.mode, len(clauses), self._last, shuffle)
        for index in order:
            if clauses[index].poll(arms[index]) or op.claim != WAITING:
                break
        return op, arms, order

    async def _park(
        self, host: Host, op: SelectOperation, arms: list[Waiter], limit: float | None, cancel: CancelToken | None
    ) -> None:
        registered: list[tuple[Clause, Waiter]] = []

        def withdraw() -> None:
            while registered:
                clause, arm = registered.pop()
                clause.withdraw(arm)

        try:
            for clause, arm in zip(self._clauses, arms, strict=True):
                if op.claim != WAITING:
                    return
                registered.append((clause, arm))
                clause.register(arm)
            if op.claim == WAITING:
                await park(host, op, withdraw, limit, cancel)
        finally:
            withdraw()

    async def _reach(self, host: Host, select: RemoteSelect, limit: float | None, cancel: CancelToken | None) -> None:
        """Wait, or try, where clauses live at the other end of links."""
        try:
            (select.ask_each if limit == 0 else select.begin)()
            if select.undecided:
                await park(host, select, select.withdraw, select.grace if limit == 0 else limit, cancel)  # type: ignore[arg-type]
            else:
                await host.spend()
        finally:
            select.withdraw()
        if limit == 0 and select.claim == TIMED_OUT:
            raise select.doubtful(WouldBlock("no clause is ready"))
        if select.claim < 0:
            try:
                await result(host, select, cancel, "select")  # type: ignore[arg-type]
            except KcoroError as error:
                select.doubtful(error)
                raise

    def _won(self, op: SelectOperation) -> Selected:
        if op.claim < 0:
            assert op.error is not None
            raise op.error
        index = self._last = op.claim
        clause = self._clauses[index]
        if op.error is None:
            return Selected(index, op.value, clause)
        if self.closed is RETURN and isinstance(op.error, (ChannelClosed, LinkLost)):
            op.error.index, op.error.clause = index, clause
            return Selected(index, None, clause, op.error)
        if isinstance(op.error, KcoroError):
            op.error.index, op.error.clause = index, clause
        raise op.error


def _check_clause(clause: object, engine: str | None) -> str | None:
    """Check a clause beside others about channels of ``engine``; gives the engine of them all."""
    if isinstance(clause, type) or not all(
        callable(getattr(clause, m, None)) for m in ("poll", "register", "withdraw")
    ):
        raise ValueError(f"a clause has poll, register and withdraw, such as Recv(ch); {clause!r} has not")
    own: str | None = getattr(clause, "engine", None)
    if own is None or engine is None or own == engine:
        return own or engine
    raise ValueError(f"one select cannot mix channels of several engines: {', '.join(sorted((own, engine)))}")


def _planned_order(mode: SelectMode, clauses: int, last: int, host: Host) -> list[int] | int:
    """As ``poll_order``, for a plan of the host: in place of a range the index from which it goes around."""
    if mode is UNBIASED:
        order = list(range(clauses))
        host.random.shuffle(order)
        return order
    return 0 if mode is BIASED else (last + 1) % clauses


def _engine_of(clauses: list[Clause]) -> Engine:
    for clause in clauses:
        name = getattr(clause, "engine", None)
        if name is not None:
            channel = getattr(clause, "channel", None)
            return plugins.engine(name) if channel is None else cast(Engine, channel._engine)
    return plugins.engine()


def _shown(clause: Clause) -> tuple[bool, Any]:
    """What the waiter of a clause shows to partners; a clause without a channel need not have these attributes."""
    return getattr(clause, "sending", False), getattr(clause, "value", None)


def _no_shuffle(order: list[int]) -> None:
    """Outside any loop there is no source of chance; the order stays as it is."""


async def select(
    *clauses: Clause,
    timeout: float | None = None,
    cancel: CancelToken | None = None,
    mode: SelectMode = BIASED,
    closed: ClosedRule = RAISE,
) -> Selected:
    """Wait until one clause is ready and take its effect; every other clause has had none.

    ``timeout`` is in seconds, None waits for ever, 0 never waits. BIASED takes the lowest ready index, UNBIASED any
    with equal chance; ROUND_ROBIN needs memory between calls, which a ``Selector`` has.

    :raises WouldBlock: ``timeout`` is 0 and no clause is ready; ``index`` is None.
    :raises DeadlineExceeded: none became ready in time; ``index`` is None.
    :raises OperationCancelled: ``cancel`` is set; ``index`` is None.
    :raises ChannelClosed: the channel of a clause is closed; ``index`` and ``clause`` tell which (see ``closed``).
    :raises ValueError: no clause, something that is no clause, or channels of two engines.
    """
    host = current_host()
    plan = None
    rules: tuple[object, ...] = (RAISE, RETURN, SKIP)  # what else somebody gives is refused below
    if host.plan is not None and timeout is None and cancel is None and mode in (BIASED, UNBIASED) and closed in rules:
        plan = host.plan(list(clauses), closed)
    if plan is not None:
        won = await plan.start(_planned_order(mode, len(clauses), -1, host))
        if won is not None:
            return won if isinstance(won, Selected) else _once(clauses, mode, closed)._won(won)
    return await _once(clauses, mode, closed).wait(timeout, cancel)


def try_select(*clauses: Clause, mode: SelectMode = BIASED, closed: ClosedRule = RAISE) -> Selected:
    """Take a clause that is ready now, without waiting; may be called outside any task of this loop.

    :raises WouldBlock: none is ready; ``index`` is None.
    :raises ChannelClosed: the channel of a clause is closed (see ``closed``).
    :raises ValueError: as for ``select``.
    """
    return _once(clauses, mode, closed).try_wait()


def _once(clauses: tuple[Clause, ...], mode: SelectMode, closed: ClosedRule) -> Selector:
    if mode is ROUND_ROBIN:
        raise ValueError(
            "ROUND_ROBIN needs memory between calls: make a Selector(..., mode=ROUND_ROBIN) and wait on it"
        )
    return Selector(*clauses, mode=mode, closed=closed)
