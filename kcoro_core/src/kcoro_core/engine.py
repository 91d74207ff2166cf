# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What an engine is: the typed Protocols that the engine hooks return, and the engine that this process uses.

An engine implements the core surface below. The face (``channel.py``, ``select.py``) talks to nothing else, so a
readable engine, a recording one and a C twin are exchanged without a change in user programs.

Rule 1: the core surface is synchronous and never suspends; only a host parks.
Rule 2: ENGINE_API counts incompatible changes of this surface; an engine of another number is refused by name.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import asdict, frozen

from .reference.waiter import Operation, Parker, SelectOperation, Waiter
from .semantics import ClosedRule, Kind, Overflow, Undelivered
from .transport import PollSpec

if TYPE_CHECKING:
    from .coroutine import Coroutine

__all__ = [
    "CLOSED",
    "ENGINE_API",
    "OK",
    "SHORTEST",
    "WOULD_BLOCK",
    "Borrower",
    "ChannelCore",
    "ChannelFactory",
    "ChannelSnapshot",
    "CoroutineFactory",
    "Engine",
    "Keeper",
    "Rates",
    "Scheduler",
    "SchedulerFactory",
    "SchedulerStats",
    "SelectFactory",
    "Sentinel",
]

ENGINE_API: Final = 1
"""Counts incompatible changes of the engine surface; an engine of another number is refused by name."""


class Sentinel:
    """A result of the core surface that is no value: compared by identity, shown by name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


OK: Final = Sentinel("OK")
"""What ``send_now`` answers when the value was handed over, queued, or dropped by policy."""
WOULD_BLOCK: Final = Sentinel("WOULD_BLOCK")
"""What ``*_now`` answers when the caller would have to wait; nothing has changed."""
CLOSED: Final = Sentinel("CLOSED")
"""What ``*_now`` answers on a closed channel; for a receiver, one that is drained too."""


SHORTEST: Final = 1e-6
"""The shortest time that rates are computed over, in seconds; clocks do not tell less apart."""


@frozen
class Rates:
    """What happened on a channel in each second of some time; made by ``ChannelSnapshot.rates`` (row M2)."""

    sent: float
    received: float
    dropped: float
    handoffs: float
    failed: float


@frozen
class ChannelSnapshot:
    """The state and the counters of one channel at one instant; plain integers, taken in constant time (row M2).

    ``sent`` counts sends that returned success, ``received`` elements that reached a receiver, ``dropped`` elements
    that were reported as undelivered, ``handoffs`` elements that went straight from a sender to a waiting receiver.
    ``peak_length`` is the largest ``length`` so far. The ``failed_*`` counters count operations that ended so.

    Of a handle of a link, ``last_seq_written`` and ``last_seq_read`` are the numbers of the last frames of this channel
    that this side wrote and read, modulo 2^32; None for a channel of this process, whose elements need no numbers.
    ``lost`` counts the values that are known not to have come, of a handle that was opened with ``lossy=True``.
    """

    kind: Kind
    overflow: Overflow
    capacity: int | None
    length: int
    peak_length: int
    closed: bool
    waiting_senders: int
    waiting_receivers: int
    sent: int
    received: int
    dropped: int
    handoffs: int
    failed_would_block: int
    failed_deadline: int
    failed_cancelled: int
    failed_closed: int
    last_seq_written: int | None = None
    last_seq_read: int | None = None
    lost: int = 0

    @property
    def failed(self) -> int:
        """The operations that failed, however."""
        return self.failed_would_block + self.failed_deadline + self.failed_cancelled + self.failed_closed

    def rates(self, seconds: float, since: ChannelSnapshot | None = None) -> Rates:
        """The counters as figures for each second between ``since`` and this snapshot, ``seconds`` later.

        The first time there is no earlier snapshot: leave ``since`` out, and give the seconds since the channel was
        made. Less than a microsecond counts as one, so that two snapshots of one instant give numbers, too.

        :raises ValueError: ``seconds`` is negative or not a number.
        """
        if not seconds >= 0:
            raise ValueError(f"the seconds between two snapshots are a number >= 0, not {seconds!r}")
        span = max(seconds, SHORTEST)
        names = ("sent", "received", "dropped", "handoffs", "failed")
        return Rates(*((getattr(self, name) - (getattr(since, name) if since else 0)) / span for name in names))


class Borrower(Protocol):
    """The end of a link that sends against lent slots; a channel calls it, and it never calls back from there."""

    def recall(self) -> None:
        """Somebody else wants to send: ask for the slots. Called once; ``end_lending`` answers it."""
        ...

    def ask(self) -> None:
        """A try to receive wants to know what is on its way: ask, and call ``answered`` once for each question."""
        ...

    def freed(self) -> None:
        """There may be more slots to lend than there were; ``lendable`` tells how many."""
        ...


class Keeper(Protocol):
    """The end of a link that holds elements ahead of its receives; a channel calls it."""

    def arrived(self) -> None:
        """There are elements in the queue: ``take_ahead`` takes them."""
        ...

    def recall(self) -> None:
        """Somebody else wants to receive: have untaken elements come back, then call ``end_keeping``, or do so now."""
        ...

    def drained(self) -> None:
        """The channel is closed and nothing is left, not even on its way; may be told again."""
        ...


class ChannelCore(Protocol):
    """One channel of an engine, without waiting: what ``kcoro_channel`` factories make.

    While an element that was handed out is not settled, a closed and empty channel does not answer CLOSED to receivers.

    A link may have a share in a channel: slots may be *lent* to one borrower, which then sends without asking, and
    elements may be *kept* by one keeper, ahead of its receives. At every moment
    ``len(channel) + kept + lent <= capacity``. Meanwhile nobody else is served in that direction: the first that tries
    calls ``recall``, answers WOULD_BLOCK, and is served when ``end_lending`` or ``end_keeping`` has been called.
    """

    kind: Kind
    overflow: Overflow
    capacity: int | None
    closed: bool
    reason: object

    def send_must_wait(self) -> bool:
        """Promise, without any effect, that ``send_now`` would answer WOULD_BLOCK; False promises nothing."""
        ...

    def recv_must_wait(self) -> bool:
        """Promise, without any effect, that ``recv_now`` would answer WOULD_BLOCK; False promises nothing."""
        ...

    def send_now(self, value: Any, /) -> Sentinel:
        """Hand over or queue ``value``; answers OK, WOULD_BLOCK or CLOSED."""
        ...

    def recv_now(self) -> Any:
        """Take the oldest element; answers it, or WOULD_BLOCK or CLOSED."""
        ...

    def enqueue(self, w: Waiter, /) -> None:
        """Queue a waiter (``w.sending`` says for what) behind those of its direction.

        Called only right after a ``*_now`` answered WOULD_BLOCK or a ``*_must_wait`` True, with no turn in between; a
        waiter that cannot be won, because its claim word says CLAIMING, may be queued at any time.
        """
        ...

    def withdraw(self, w: Waiter, /) -> bool:
        """Take a waiter out again; False when it was not queued."""
        ...

    def there(self, sending: bool, /) -> float:
        """How many elements there are to be received at once, or how much room for those who send (``sending``).

        Those who wait are not counted; see ``waiting``. 0 while a link has a share in that direction.
        """
        ...

    def is_shared(self, sending: bool, /) -> bool:
        """Whether a link has slots lent, or keeps elements, so that nobody else is served in that direction."""
        ...

    def is_drained(self) -> bool:
        """Whether it is closed and nothing will ever be received any more; asking has no effect."""
        ...

    def want(self, sending: bool, /) -> None:
        """Have a link that has a share give it up: somebody waits whom this channel cannot see."""
        ...

    def waiting(self, sending: bool, /) -> Iterable[Waiter]:
        """Those who wait in one direction, oldest first, also those that cannot be won now; do not keep it."""
        ...

    def may_meet(self, sending: bool, /) -> bool:
        """Whether somebody in that direction may be matched with who waits in the other: not before what is under way.

        While lent slots are called back nobody takes from a waiting sender, and while a link keeps elements nobody
        gives to a waiting receiver: what the link has comes first.
        """
        ...

    def close(self, reason: object = None) -> None:
        """Take no more sends; parked senders fail, receivers drain. May be repeated; the first reason stays."""
        ...

    def cancel(self, reason: object = None, why: Undelivered = Undelivered.CANCELLED) -> None:
        """Close, and report what is queued with ``why``. May be repeated."""
        ...

    def hand_out(self) -> None:
        """Note that the element just received now travels to another process; its slot is not free yet."""
        ...

    def settle(self, count: int = 1, put_back: Sequence[Any] = ()) -> None:
        """Note that ``count`` of those handed out arrived, and put back the others, oldest first, at the head."""
        ...

    def lend(self, borrower: Borrower, /) -> bool:
        """Make ``borrower`` the only sender, until ``end_lending``; False, without effect, where that cannot be.

        It cannot be while there is a borrower or a sender waits, on a closed channel, on RENDEZVOUS, and with a policy
        that drops.
        """
        ...

    def lendable(self) -> int | float:
        """How many slots could be lent now; 0 while a sender waits, and from a recall or a close on."""
        ...

    def lend_slots(self, count: int, /) -> None:
        """Lend so many more slots. Raises ValueError, without effect, for more than are ``lendable``."""
        ...

    def fill(self, value: Any, slot: bool = True, /) -> Sentinel:
        """Take in what the borrower sends: against a lent slot always OK, without one as ``send_now`` answers.

        After ``close`` a slot is still filled, and its element drained; after ``cancel`` it is reported.
        """
        ...

    def replaced(self, count: int, /) -> None:
        """Note that so many values were sent, and replaced and reported at the borrower's end (CONFLATED)."""
        ...

    def hold_back(self, full: bool, /) -> None:
        """Have an UNLIMITED channel count as full, or not any more, for a borrower whose bytes reach a bound."""
        ...

    def answered(self) -> None:
        """What the borrower had sent before the oldest question has arrived: the try that asked ends if it waits."""
        ...

    def end_lending(self) -> None:
        """The slots are back, or lost with their link: senders that waited are served, tries end, closes finish."""
        ...

    def keep(self, keeper: Keeper, /) -> bool:
        """Make ``keeper`` the only receiver, until ``end_keeping``; False, without effect, where that cannot be.

        It cannot be while there is a keeper or a receiver waits, on RENDEZVOUS and CONFLATED, and with a policy that
        drops.
        """
        ...

    def take_ahead(self) -> Any:
        """The oldest element for the keeper, which keeps its slot until it is settled; WOULD_BLOCK or CLOSED."""
        ...

    def settle_ahead(self, count: int = 1, put_back: Sequence[Any] = ()) -> None:
        """As ``settle``, for elements that were taken ahead; their slots are free now."""
        ...

    def end_keeping(self) -> None:
        """Nothing is kept any more: receivers that waited are served, tries end."""
        ...

    def ask(self, op: Operation, /) -> bool:
        """Queue a try that WOULD_BLOCK did not answer, because something may be on its way; False: it did.

        It completes like any waiter; it is expired, and out of the queue, once it is certain that it would block.
        """
        ...

    def report(self, value: Any, why: Undelivered) -> None:
        """Pass a value to the undelivered hook, once."""
        ...

    def count_failure(self, claim: int, /) -> None:
        """Book a plain operation that failed, by its last claim word; WAITING is a try that would block."""
        ...

    def snapshot(self) -> ChannelSnapshot:
        """State and counters, in constant time."""
        ...

    def __len__(self) -> int: ...


OnUndelivered = Callable[[Any, Undelivered], object]


class ChannelFactory(Protocol):
    """Makes the channels of one engine; what ``kcoro_channel`` returns. Arguments were checked by the face.

    An engine that was compiled may have an attribute ``compiled``, a mapping of names to numbers, texts and lists of
    texts: what was compiled in. ``kcoro doctor`` shows it.

    An attribute ``face``, if there is one, is the subclass of ``kcoro_core.Channel`` that programs get: it may do some
    of its methods faster on a host that it knows, and means the same everywhere.
    """

    engine: str
    api: int

    def __call__(
        self, kind: Kind, capacity: int | None, overflow: Overflow, on_undelivered: OnUndelivered | None
    ) -> ChannelCore: ...


class SelectFactory(Protocol):
    """Makes the operations of one engine; what ``kcoro_select`` returns."""

    engine: str
    api: int

    def operation(self, parker: Parker, sending: bool = False, value: Any = None) -> Operation:
        """A plain operation: its own and only waiter."""
        ...

    def select(self, closed_rule: ClosedRule, clauses: int) -> SelectOperation:
        """The operation of a select over that many clauses, with nobody to wake until it parks."""
        ...

    def arm(self, op: SelectOperation, index: int, sending: bool = False, value: Any = None) -> Waiter:
        """The waiter of one clause."""
        ...


@frozen
class SchedulerStats:
    """Counters of a scheduler since it was made; they only grow, but for ``tasks_alive`` and ``ready``."""

    tasks_submitted: int
    tasks_completed: int
    tasks_alive: int
    ready: int
    steps: int
    parks: int
    unparks: int
    timers_fired: int
    fastpath_hits: int
    inject_pulls: int

    def __str__(self) -> str:
        """One line for people: each counter by its name, as ``kc_sched_dump`` of libkcoro writes it."""
        return " ".join(f"{name}={count}" for name, count in asdict(self).items())


class Scheduler(Protocol):
    """Steps coroutines; what a ``kcoro_scheduler`` factory makes. Any loop can drive it by ``poll_handle``."""

    def spawn(self, coro: collections.abc.Coroutine[Any, Any, Any], name: str | None = None) -> Any:
        """Accept a coroutine; it is runnable, and takes its first step in a later ``drain``."""
        ...

    def ready(self, task: Any, /) -> None:
        """Make a parked task runnable; harmless while it already is."""
        ...

    def drain(self, steps: int | None = None) -> int:
        """Take at most that many steps (None: until nothing is runnable now); returns how many were taken."""
        ...

    def stats(self) -> SchedulerStats:
        """The counters, in constant time."""
        ...

    def poll_handle(self) -> PollSpec:
        """What to wait for before the next ``drain``: runnable now, or a deadline, or nothing."""
        ...


class SchedulerFactory(Protocol):
    """Makes schedulers of one engine; what ``kcoro_scheduler`` returns."""

    engine: str
    api: int

    def __call__(self, *, now: Callable[[], float], pick: Callable[[int], int] | None = None) -> Scheduler:
        """``now`` is the clock; ``pick(n)`` chooses which of n runnable tasks steps next (None: the oldest)."""
        ...


class CoroutineFactory(Protocol):
    """Makes functions with stacks of their own; what ``kcoro_coroutine`` returns. Arguments were checked by the face.

    ``switcher`` says how it gets from one stack to another, for people: ``"threads"``, ``"x86-64"``.

    What it makes are objects of a subclass of ``kcoro_core.Coroutine`` that has all of its methods. The four functions
    are about the coroutine that runs in the calling thread, and only about those of this factory.

    A factory may have ``alive()`` as well, for dumps: a list of those that have begun and not ended, each a pair of it
    and its innermost frame, or None where that is not known.
    """

    engine: str
    api: int
    switcher: str

    def __call__(self, fn: Callable[..., Any], args: tuple[Any, ...], name: str | None) -> Coroutine:
        """A coroutine whose body is ``fn(*args)``, in a copy of the context of this call; it has not begun."""
        ...

    def current(self) -> Coroutine | None:
        """The coroutine that runs in this thread."""
        ...

    def yield_(self, value: Any = None) -> Any:
        """As ``Coroutine.yield_``, for the coroutine that runs."""
        ...

    def yield_to(self, other: Coroutine, value: Any = None) -> Any:
        """As ``Coroutine.yield_to``, for the coroutine that runs."""
        ...

    def park(self) -> Any:
        """As ``Coroutine.park``, for the coroutine that runs."""
        ...


@frozen
class Engine:
    """An engine that was found, checked and accepted: its factories, all of one distribution.

    ``coroutine`` is None for an engine that has none; the other three are always there.
    """

    name: str
    distribution: str
    channel: ChannelFactory
    select: SelectFactory
    scheduler: SchedulerFactory
    coroutine: CoroutineFactory | None = None
