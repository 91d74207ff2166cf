# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``mem:NAME``: connections inside one thread of one process, for tests, examples and virtual time (row T6).

A frame moves when it is sent; there is no descriptor and no clock, so that it runs under any host's time. Whoever
waits is told by the waker. Faults can be asked for by address: ``faults(name)``.

Rule 1: a frame is in exactly one queue, and each queue is bounded by its byte count.
Rule 2: nothing here looks into a frame but at the length of its payload.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field

from ..errors import AlreadyExists, ProtocolError, TransportError, WrongLoop
from ..hookspecs import hookimpl
from ..transport import COMMIT_BYTES, STREAM, TRANSPORT_API, Capability, Identity, PollSpec, RawFrame, TransportInfo
from .faults import TO_DIALER, TO_LISTENER, Cut, Direction, Faults

__all__ = ["TO_DIALER", "TO_LISTENER", "Faults", "faults"]

INFO: Final = TransportInfo(
    name="mem",
    schemes=("mem",),
    api=TRANSPORT_API,
    capabilities=STREAM | Capability.MESSAGE | Capability.PEER_IDENTITY | Capability.CONFIDENTIAL,
)
DEFAULT_BACKLOG: Final = 64
IDLE: Final = PollSpec()
READY: Final = PollSpec(ready_now=True)

_listeners: dict[str, Listener] = {}
_faults: dict[str, Faults] = {}
_fresh = itertools.count(1)


def faults(name: str) -> Faults:
    """Give the faults of ``mem:name``, none at first; they apply to connections made from now on."""
    return _faults.setdefault(name, Faults(name, _forget))


def _forget(name: str) -> None:
    _faults.pop(name, None)


# ---------------------------------------------------------------------------------------------------------------------
# One direction, one connection, a pair of them, a listener
# ---------------------------------------------------------------------------------------------------------------------


@define(eq=False, repr=False)
class Lane:
    """One direction of a connection: frames that have arrived, and those that a stall holds back.

    Invariant: ``size_bytes`` counts both; it exceeds ``room_bytes`` only by a single frame in an otherwise empty lane.
    """

    direction: Direction
    faults: Faults
    room_bytes: int
    cut: Cut
    arrived: deque[RawFrame] = field(factory=deque)
    held: deque[RawFrame] = field(factory=deque)
    size_bytes: int = 0
    passed_bytes: int = 0
    passed_frames: int = 0

    def has_room(self, size: int) -> bool:
        """Whether a frame of that size may be put in; into an empty lane always."""
        return not self.size_bytes or self.size_bytes + size <= self.room_bytes

    def put(self, frame: RawFrame) -> bool:
        """Accept a frame; False when the line is cut inside it, so that it never arrives."""
        size = len(frame.header) + len(frame.payload)
        if self.cut.after_bytes is not None and self.passed_bytes + size > self.cut.after_bytes:
            return False
        self.passed_bytes += size
        self.passed_frames += 1
        self.size_bytes += size
        (self.held if self.direction in self.faults.stalled else self.arrived).append(frame)
        return True

    @property
    def is_spent(self) -> bool:
        """Whether the border of a cut has been reached exactly."""
        return self.passed_bytes == self.cut.after_bytes or self.passed_frames == self.cut.after_frames

    def take(self) -> RawFrame:
        """Take the oldest frame that has arrived."""
        frame = self.arrived.popleft()
        self.size_bytes -= len(frame.header) + len(frame.payload)
        return frame


@define(eq=False, repr=False)
class Connection:
    """One end of a pair. ``end`` is set once, when the connection has ended for this side, and never changes."""

    tx: Lane
    rx: Lane
    pair: Pair = field(init=False, repr=False)
    waker: Callable[[], object] | None = None
    end: TransportError | None = None
    unreadable: ProtocolError | None = None
    closed: bool = False
    end_was_told: bool = False
    # A send was refused; when the other side takes something, this side is told once, by ``has_news``.
    wants_room: bool = False
    has_news: bool = False

    def wake(self) -> None:
        """Tell whoever waits for this end that ``poll_handle`` has changed."""
        if self.waker is not None:
            self.waker()

    def finish(self, reason: str) -> None:
        """End this side; frames that have arrived stay for ``recv_frame`` unless this side closed."""
        if self.end is None:
            self.end = TransportError(reason)
            self.wake()

    def send(self, frame: RawFrame) -> bool:
        """Pass a frame to the other end, or refuse it for lack of room."""
        if self.end is not None:
            raise self._told(self.end)
        if not self.tx.has_room(len(frame.header) + len(frame.payload)):
            self.wants_room = True
            return False
        arrives = self.tx.put(frame)
        if arrives and self.tx.arrived:
            self.pair.other(self).wake()
        if not arrives or self.tx.is_spent:
            self.pair.cut("the connection was cut")
        return True

    def receive(self, limit: int) -> RawFrame | None:
        """Take the oldest frame that has arrived, and give the sender room; None when there is none.

        :raises ProtocolError: its payload has more than ``limit`` bytes, or that of one before had; nothing is received
            any more.
        :raises TransportError: the connection has ended, and nothing is left.
        """
        if self.rx.arrived and not self.closed:
            if self.unreadable is not None:
                raise self.unreadable.with_traceback(None)
            size = len(self.rx.arrived[0].payload)
            if size > limit:
                text = f"a frame of mem: has a payload of {size} bytes, and {limit} are acceptable"
                self.unreadable = ProtocolError(text)
                raise self.unreadable.with_traceback(None)
            before = self.rx.size_bytes
            frame = self.rx.take()
            self.pair.other(self).room_was_made(fell=before >= COMMIT_BYTES > self.rx.size_bytes)
            return frame
        if self.end is not None:
            raise self._told(self.end)
        return None

    def room_was_made(self, fell: bool) -> None:
        """The other end took a frame: announce it if a send was refused before, or the backlog ``fell`` below."""
        if (self.wants_room or fell) and self.end is None:
            self.wants_room = False
            self.has_news = True
            self.wake()

    def pump(self) -> None:
        """Nothing moves here; only an end that was not our doing is told, when nothing is left to be received."""
        self.has_news = False
        if self.end is not None and not self.closed and not self.rx.arrived:
            raise self._told(self.end)

    def _told(self, end: TransportError) -> TransportError:
        """The end is about to be raised; from now on nobody needs to be woken for it."""
        self.end_was_told = True
        return end.with_traceback(None)  # which would grow each time, and keep what callers had

    def poll(self) -> PollSpec:
        """Work that is there now; there is no descriptor."""
        if self.closed:
            return IDLE
        end_is_news = self.end is not None and not self.end_was_told
        return READY if self.rx.arrived or self.has_news or end_is_news else IDLE


@define(eq=False, repr=False)
class Pair:
    """The two ends of a connection."""

    dialer: Connection
    accepted: Connection

    def other(self, end: Connection) -> Connection:
        """The end that is not ``end``."""
        return self.accepted if end is self.dialer else self.dialer

    def cut(self, reason: str) -> None:
        """Break the connection for both ends; what a stall held back is lost."""
        for end in (self.dialer, self.accepted):
            end.tx.held.clear()
            end.finish(f"{reason}; frames on their way are lost")

    def release(self, direction: Direction) -> None:
        """Let pass what a stall held back."""
        sender = self.dialer if direction == TO_LISTENER else self.accepted
        if sender.tx.held:
            sender.tx.arrived.extend(sender.tx.held)
            sender.tx.held.clear()
            self.other(sender).wake()

    def leave(self, end: Connection) -> None:
        """One end closes: the other still receives what was sent, and what a stall held back too."""
        if end.closed:
            return
        end.closed = True
        end.rx.arrived.clear()  # nobody will take it, and whoever keeps this end must not keep that
        end.finish("the connection was closed by this side")
        self.release(end.tx.direction)
        self.other(end).finish("the other side closed the connection")
        if end in end.tx.faults.connections:
            end.tx.faults.connections.remove(end)


@define(eq=False, repr=False)
class Listener:
    """One address; connections wait in ``pending`` until they are accepted."""

    name: str
    backlog: int
    thread: int
    pending: deque[Connection] = field(factory=deque)
    waker: Callable[[], object] | None = None
    closed: bool = False

    def close(self) -> None:
        """Free the address and drop whoever was not accepted."""
        if self.closed:
            return
        self.closed = True
        del _listeners[self.name]
        while self.pending:
            connection = self.pending.popleft()
            connection.pair.cut("the listener closed before it accepted the connection")


def _connected(listener: Listener, faults: Faults) -> Connection:
    """Make a pair and leave its far end with the listener."""
    out, back = (
        Lane(direction, faults, faults.buffer_bytes, faults.cuts.pop(direction, Cut()))
        for direction in (TO_LISTENER, TO_DIALER)
    )
    dialer, accepted = Connection(tx=out, rx=back), Connection(tx=back, rx=out)
    dialer.pair = accepted.pair = Pair(dialer, accepted)
    faults.connections.append(dialer)
    listener.pending.append(accepted)
    if listener.waker is not None:
        listener.waker()
    return dialer


def _refused(faults: Faults, reason: str) -> Connection:
    """A connection that never was: its pump tells why."""
    nowhere = Lane(TO_LISTENER, faults, 0, Cut())
    connection = Connection(tx=nowhere, rx=nowhere)
    connection.pair = Pair(connection, connection)
    connection.finish(reason)
    return connection


def _name_of(uri: str) -> str:
    """The name in ``mem:name``, which may be empty."""
    name = uri.partition(":")[2]
    if "#" in name or "/" in name:
        raise ValueError(f"{uri!r}: an address in this process looks like mem:name, without '/' and '#'")
    return name


def _check_config(config: Mapping[str, Any]) -> None:
    unknown = set(config) - {"backlog"}
    if unknown:
        raise ValueError(f"mem: knows no option {', '.join(sorted(unknown))}; it knows: backlog")


# ---------------------------------------------------------------------------------------------------------------------
# The hooks
# ---------------------------------------------------------------------------------------------------------------------


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    """The in-process pair."""
    return INFO


@hookimpl
def kcoro_connect(uri: str, config: Mapping[str, Any]) -> Connection:
    """Join a listener of this thread; a missing one shows as a refusal.

    :raises ValueError: no name, or an option that there is not. WrongLoop: the listener is in another thread.
    """
    name = _name_of(uri)
    if not name:
        raise ValueError("mem: needs the name of a listener behind it, as in mem:jobs")
    _check_config(config)
    asked = _faults.get(name) or Faults(name, _forget)
    listener = _listeners.get(name)
    if listener is None:
        return _refused(asked, f"nobody listens at mem:{name}; call serve first")
    if listener.thread != threading.get_ident():
        raise WrongLoop(
            f"mem:{name} listens in another thread; mem: joins tasks of one thread, use uds: between threads"
        )
    if asked.refuse or len(listener.pending) >= listener.backlog:
        return _refused(asked, f"mem:{name} refused the connection")
    return _connected(listener, asked)


@hookimpl
def kcoro_listen(uri: str, config: Mapping[str, Any]) -> Listener:
    """Take a name of this process; an empty one asks for a fresh name. Raises AlreadyExists when it is taken."""
    _check_config(config)
    name = _name_of(uri) or f"fresh-{next(_fresh)}"
    if name in _listeners:
        raise AlreadyExists(f"mem:{name} is being listened at in this process; close that server or take another name")
    listener = _listeners[name] = Listener(name, config.get("backlog", DEFAULT_BACKLOG), threading.get_ident())
    return listener


@hookimpl
def kcoro_accept(listener: Listener) -> Connection | None:
    """The oldest connection that waits, or None. Raises TransportError once the listener is closed."""
    if listener.closed:
        raise TransportError(f"the listener of mem:{listener.name} is closed")
    return listener.pending.popleft() if listener.pending else None


@hookimpl
def kcoro_send_frame(conn: Connection, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    """Hand a frame to the other end."""
    # A single part is handed over as it is, unless it is a view of something longer.
    whole = parts[0] if len(parts) == 1 and isinstance(parts[0], bytes) else b"".join(parts)
    return conn.send(RawFrame(header, whole))


@hookimpl
def kcoro_recv_frame(conn: Connection, limit: int) -> RawFrame | None:
    """Take a frame that the other end has handed over."""
    return conn.receive(limit)


@hookimpl
def kcoro_pump(endpoint: Connection | Listener, now: float, ready: int) -> None:
    """Tell the end of a connection; a listener needs no pumping."""
    if isinstance(endpoint, Connection):
        endpoint.pump()


@hookimpl
def kcoro_poll_handle(endpoint: Connection | Listener) -> PollSpec:
    """What is there now."""
    if isinstance(endpoint, Connection):
        return endpoint.poll()
    return READY if endpoint.pending else IDLE


@hookimpl
def kcoro_tx_backlog(conn: Connection) -> int:
    """Bytes that the other end has not taken; there is no medium besides its queue."""
    return conn.tx.size_bytes if conn.end is None else 0


@hookimpl
def kcoro_peer(conn: Connection) -> Identity:
    """This process itself, except for a connection that was refused."""
    if conn.pair.dialer is conn.pair.accepted:
        return Identity("none")
    return Identity("process", verified=True, uid=os.getuid(), gid=os.getgid(), pid=os.getpid())


@hookimpl
def kcoro_set_waker(endpoint: Connection | Listener, callback: Callable[[], object] | None) -> None:
    """Who is told."""
    endpoint.waker = callback


@hookimpl
def kcoro_local_uri(listener: Listener) -> str:
    """The address with its name, also when that was chosen here."""
    return f"mem:{listener.name}"


@hookimpl
def kcoro_close(endpoint: Connection | Listener) -> None:
    """End in good order; what was sent can still be received."""
    if isinstance(endpoint, Listener):
        endpoint.close()
    else:
        endpoint.pair.leave(endpoint)


@hookimpl
def kcoro_abort(conn: Connection) -> None:
    """End at once; what a stall holds back is lost."""
    conn.tx.held.clear()
    conn.pair.leave(conn)
