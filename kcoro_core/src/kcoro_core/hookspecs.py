# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every contract that a plugin may implement, in one file: engines, hosts, resolvers, transports.

A plugin is a module named by an entry point of the group ``kcoro``; its functions carry ``@hookimpl``. The names and
arguments of those functions are checked when the plugin is loaded (``plugins.py``), and never again.

Rule 1: hooks are synchronous and are called when something is built; no hook call is ever made on a data path.
Rule 2: the functions of a transport are taken out of the plugin once, into a ``Vtable``, and then called directly.
Rule 3: a hookspec stands here only when something implements it.
Rule 4: argument names and their order are part of the contract.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import pluggy

if TYPE_CHECKING:
    from .engine import ChannelFactory, CoroutineFactory, SchedulerFactory, SelectFactory
    from .resolvers.protocol import Resolver
    from .transport import Identity, PollSpec, RawFrame, TransportInfo

__all__ = [
    "PROJECT",
    "DatagramHooks",
    "EngineHooks",
    "HostFactory",
    "HostHooks",
    "ResolverHooks",
    "TransportHooks",
    "hookimpl",
    "hookspec",
]

PROJECT: Final = "kcoro"
"""The name under which pluggy knows our markers, and the entry point group in which plugins are found."""

hookspec = pluggy.HookspecMarker(PROJECT)
"""Marks a contract of this file; plugins never use it."""
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hookspec of the same name."""


# ---------------------------------------------------------------------------------------------------------------------
# Engines: who matches senders with receivers
# ---------------------------------------------------------------------------------------------------------------------


class EngineHooks(Protocol):
    """The parts of an engine; it is accepted only when all that it has come from one distribution and one API.

    Channels, select and schedulers belong to every engine, coroutines to those that have a switcher. An engine answers
    at least to the name of its entry point.
    """

    @hookspec(firstresult=True)
    def kcoro_channel(self, engine: str) -> ChannelFactory | None:
        """Give the factory of the channels of ``engine``, or leave it to another plugin.

        Called once for each engine that a process uses, before its first channel is made; must not block.

        :param engine: the name from ``KCORO_ENGINE``, the configuration or ``plugins.engine(name)``.
        :returns: a factory whose ``api`` is ``ENGINE_API``; ``None`` when the engine is not yours.
        """

    @hookspec(firstresult=True)
    def kcoro_select(self, engine: str) -> SelectFactory | None:
        """Give the factory of operations and of the waiters of a select, or leave it to another plugin.

        Called together with ``kcoro_channel`` and under the same rules.

        :param engine: as for ``kcoro_channel``.
        :returns: a factory whose ``api`` is ``ENGINE_API``; ``None`` when the engine is not yours.
        """

    @hookspec(firstresult=True)
    def kcoro_scheduler(self, engine: str) -> SchedulerFactory | None:
        """Give the factory of the schedulers of ``engine``, or leave it to another plugin.

        Called together with ``kcoro_channel`` and under the same rules; a scheduler itself is made by the host that
        steps tasks with it.

        :param engine: as for ``kcoro_channel``.
        :returns: a factory whose ``api`` is ``ENGINE_API``; ``None`` when the engine is not yours.
        """

    @hookspec(firstresult=True)
    def kcoro_coroutine(self, engine: str) -> CoroutineFactory | None:
        """Give the factory of the coroutines of ``engine``, functions with stacks of their own, or leave it to another.

        Called together with ``kcoro_channel`` and under the same rules; an engine may do without. Programs make their
        coroutines with ``kcoro_core.Coroutine``.

        :param engine: as for ``kcoro_channel``.
        :returns: a factory whose ``api`` is ``ENGINE_API``; ``None`` when the engine is not yours, or has none here.
        """


# ---------------------------------------------------------------------------------------------------------------------
# Hosts: who parks tasks
# ---------------------------------------------------------------------------------------------------------------------


class HostFactory(Protocol):
    """Starts runs of one kind of loop; what ``kcoro_host`` returns and ``kcoro_core.run(host=...)`` uses."""

    name: str

    def run(
        self,
        main: Callable[..., Awaitable[Any]],
        *args: Any,
        clock: Any = None,
        strict_checkpoints: bool | None = None,
    ) -> Any:
        """Run ``main(*args)`` to its end on a new loop and return what it returned; its error leaves unchanged.

        ``clock`` is a clock of that host (None: real time); ``strict_checkpoints`` None takes the host's default.
        A factory may have a method ``poller()`` as well: what its loops wait for descriptors with, and why, two texts
        for ``kcoro doctor``.
        """
        ...


class HostHooks(Protocol):
    """Loops other than those of core join here; a host is chosen by the program, never by installing a package."""

    @hookspec(firstresult=True)
    def kcoro_host(self, name: str) -> HostFactory | None:
        """Give the factory that runs programs on the host ``name``, or leave it to another plugin.

        Called once per ``run(host=name)``, before any task exists. Import the loop's package in here and not at the
        top of the plugin, so that programs on another host do not pay for it.

        :param name: ``"trio"``, ``"script"``, or the name of a host that a plugin brings.
        :returns: a factory; ``None`` when the host is not yours.
        """


# ---------------------------------------------------------------------------------------------------------------------
# Resolvers: who knows where a name leads
# ---------------------------------------------------------------------------------------------------------------------


class ResolverHooks(Protocol):
    """Ways from the name in an address to the places to connect to; ``resolver`` in the configuration chooses."""

    @hookspec(firstresult=True)
    def kcoro_resolver(self, name: str) -> Resolver | None:
        """Give the resolver called ``name``, or leave it to another plugin.

        Called for each name that is dialled, on the loop's thread, so it must be cheap; what it returns is then asked
        in a thread of its own, where it may wait. Import what it needs there.

        :param name: ``"system"``, ``"file"``, ``"dns"``, or the name of a resolver that a plugin brings.
        :returns: a ``Resolver`` of ``kcoro_core.resolvers.protocol``; ``None`` when the name is not yours.
        """


# ---------------------------------------------------------------------------------------------------------------------
# Transports: who moves frames
# ---------------------------------------------------------------------------------------------------------------------


class TransportHooks(Protocol):
    """One medium. A plugin that implements one of these implements all; each plugin is asked for its schemes only.

    ``conn`` and ``listener`` are objects of the plugin's own, opaque to core; ``endpoint`` is either of them. All calls
    on one object come from one thread. None of them may block, start a thread that calls back (the waker excepted), or
    touch a loop.

    Errors, the same for every function that takes a ``conn``:

    - ``TransportError``: the connection has ended, whatever the cause; raised by every data call from then on, and
      always the same object. Frames that had arrived whole are handed out by ``kcoro_recv_frame`` first.
    - ``ValueError``: the address or an argument is wrong; nothing was started.
    """

    @hookspec
    def kcoro_transport_info(self) -> TransportInfo:
        """Say who the transport is, what it promises, and for which API it was written.

        Called once, when the plugin is loaded, and before any other function of it; must be cheap and touch nothing.

        :returns: a ``TransportInfo``. A ``schemes`` that another distribution claims too makes both unusable until one
            is blocked; an ``api`` other than ``TRANSPORT_API`` has the plugin refused.
        """
        ...

    @hookspec
    def kcoro_connect(self, uri: str, config: Mapping[str, Any]) -> Any:
        """Begin to connect to ``uri`` and return at once, still connecting.

        Called once for each ``dial``. That nobody listens shows up later, as TransportError from ``kcoro_pump``.

        :param uri: scheme, colon, address, such as ``"uds:/run/me/a.sock"``; never with a ``#name`` behind it.
        :param config: options of this transport; an unknown key is a ``ValueError`` that lists the known ones.
        :returns: a connection.
        :raises ValueError: the address can never be right; the text says what an address looks like.
        """
        ...

    @hookspec
    def kcoro_listen(self, uri: str, config: Mapping[str, Any]) -> Any:
        """Listen at ``uri``; others can connect once this has returned.

        Called once for each ``serve``.

        :param uri: as for ``kcoro_connect``. An empty address, such as ``"uds:"``, asks for a fresh private one, which
            ``kcoro_local_uri`` then tells.
        :param config: as for ``kcoro_connect``; every transport knows ``backlog``, how many connections may wait to be
            accepted.
        :returns: a listener.
        :raises AlreadyExists: somebody else listens there, or something that is not ours to remove is in the way.
        :raises AccessDenied: the place is not writable, or others could replace what we put there.
        :raises ValueError: the address can never be right.
        """
        ...

    @hookspec
    def kcoro_accept(self, listener: Any) -> Any:
        """Take one connection that somebody has made, if there is one.

        Called in a loop after each ``kcoro_pump`` of the listener, until it answers ``None``.

        :returns: a connection whose ``kcoro_peer`` is known already; ``None`` when nobody is waiting.
        :raises TransportError: the listener is closed.
        """
        ...

    @hookspec
    def kcoro_send_frame(self, conn: Any, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
        """Take one frame whole, or refuse it whole; a frame that was taken is never torn by anything but the end.

        Called by a link for each frame. The bytes may be written here or by the next ``kcoro_pump`` with WRITE, which
        whoever sends calls behind the last frame of a batch.

        :param header: the 20 bytes of the header; the first four are the length of the payload, big-endian.
        :param parts: the payload in pieces, ``bytes`` or views (``memoryview``) of bytes, kept by reference; they never
            change afterwards.
        :param lane: for media that have STREAMS the id of the channel within which order counts, 0 for control, and the
            bit FENCE for a frame that all others keep their side of; others ignore it.
        :returns: True when taken; False when there is no room now or the connection is still being made, in which case
            ``kcoro_poll_handle`` announces the wake-up behind which it is worth another try. A connection that holds
            nothing back takes one frame of any size that ``max_frame`` allows.
        :raises TransportError: the connection has ended.
        """
        ...

    @hookspec
    def kcoro_recv_frame(self, conn: Any, limit: int) -> RawFrame | None:
        """Hand out the oldest frame that has arrived whole.

        Called in a loop after each ``kcoro_pump``, until it answers ``None``.

        :param limit: the largest payload that is acceptable, in bytes, header not counted. It may grow from call to
            call. Nothing larger is ever allocated.
        :returns: the frame; ``None`` when none is complete yet.
        :raises ProtocolError: the next frame announces more than ``limit``; its payload was not read. Nothing can be
            received any more, sending (a farewell) still works.
        :raises TransportError: the connection has ended, and all that had arrived whole has been handed out.
        """
        ...

    @hookspec
    def kcoro_pump(self, endpoint: Any, now: float, ready: int) -> None:
        """Do the input and output that ``ready`` allows, and what is due at ``now``; never more than a bounded amount.

        Called after a wake-up, and after sending, for connections and listeners alike.

        :param now: seconds on the caller's clock, the one in which ``PollSpec.deadline`` is meant; never runs back.
        :param ready: READ, WRITE or both; a bit that proves wrong does no harm.
        :raises TransportError: the connection has ended or was refused, not by our own ``close`` or ``abort``, and no
            frame is left to be received.
        """

    @hookspec
    def kcoro_poll_handle(self, endpoint: Any) -> PollSpec:
        """Say what to wait for before the next ``kcoro_pump``; level-triggered.

        Called before each wait. The answer holds until the next call of any function on the same object. The same
        object as last time says that nothing has changed, and costs less than an equal one. Whatever a False or a
        ``None`` has made the caller wait for must be visible here; an ended connection says ``ready_now`` until its
        error has been raised, then nothing (no fd, no deadline).
        """
        ...

    @hookspec
    def kcoro_tx_backlog(self, conn: Any) -> int:
        """Say how many bytes of accepted frames have not been handed to the medium yet; bounded by the transport.

        Called by a link before it commits more: it stops at ``COMMIT_BYTES``, since nothing can overtake what was
        accepted. When the number falls below, the link is woken as after a refused frame. What a buffer of the kernel
        holds is not counted, so keep that small as well. 0 once the connection has ended.
        """
        ...

    @hookspec
    def kcoro_peer(self, conn: Any) -> Identity:
        """Say who is at the other end, as far as the medium has verified it; never a guess marked as verified.

        Called once for each connection, after it was accepted or has been made; ``Identity("none")`` until then.
        """
        ...

    @hookspec
    def kcoro_set_waker(self, endpoint: Any, callback: Callable[[], object] | None) -> None:
        """Have ``callback`` called whenever ``PollSpec.ready_now`` becomes true without a call on this object.

        Called before the first wait, and with ``None`` when nobody waits any more. The callback may be called more
        often than needed, from inside a call on another object, and never from another thread; it only notes that
        there is work, and calls nothing of the transport. Media that show everything on a descriptor never call it.
        """

    @hookspec
    def kcoro_local_uri(self, listener: Any) -> str:
        """Say the address under which others can connect; for an empty address the one that was chosen.

        Called once for each ``serve``.
        """
        ...

    @hookspec
    def kcoro_close(self, endpoint: Any) -> None:
        """End in good order: what was accepted is still written, by further ``kcoro_pump`` calls if need be.

        Called once for each end, or more often, which changes nothing. No frame is sent or received afterwards: those
        calls raise TransportError. Finished when ``kcoro_poll_handle`` names nothing any more. A listener stops at
        once, frees its address, and drops connections that nobody accepted.
        """

    @hookspec
    def kcoro_abort(self, conn: Any) -> None:
        """End at once and give back every resource; what was not written yet is lost. May be repeated."""


class DatagramHooks(Protocol):
    """What a transport implements beside ``TransportHooks`` if it declares DATAGRAMS; all three, or none.

    A datagram is one frame that arrives whole or not at all, possibly twice, in no order among themselves or with the
    frames of the connection. Nothing waits for one that is lost, and none is ever sent again. An end of a connection
    and a misuse raise as for ``TransportHooks``.
    """

    @hookspec
    def kcoro_send_datagram(self, conn: Any, header: bytes, parts: Sequence[bytes]) -> bool:
        """Take one datagram whole, or refuse it whole; what was taken may still get lost.

        Called by a link for each element that may be lost. It goes out with the next ``kcoro_pump`` with WRITE, and
        yields to the congestion of the line as frames do.

        :param header: the 20 bytes of the header.
        :param parts: the payload in pieces, as for ``kcoro_send_frame``.
        :returns: True when taken; False when there is no room now or the connection is still being made: the link is
            woken as after a frame that was refused.
        :raises MessageTooLong: it is longer than ``kcoro_datagram_limit`` allows.
        :raises TransportError: the connection has ended.
        """
        ...

    @hookspec
    def kcoro_recv_datagram(self, conn: Any) -> RawFrame | None:
        """Hand out one datagram that has arrived.

        Called in a loop after each ``kcoro_pump``, behind ``kcoro_recv_frame``, until it answers ``None``. What nobody
        takes is bounded by the transport, which throws the oldest away; what is no frame of its length is never handed
        out.

        :returns: the datagram; ``None`` when there is none, also after the end.
        """
        ...

    @hookspec
    def kcoro_datagram_limit(self, conn: Any) -> int:
        """Say how many bytes the largest datagram has that can be sent now, header included; 0 where none can.

        Called before each datagram; it may change with the path. What is longer goes as a frame.
        """
        ...
