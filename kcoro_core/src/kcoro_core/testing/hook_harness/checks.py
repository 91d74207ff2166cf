# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One check for each hook, in the order in which a link calls them; each leaves behind what the next one needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final, Literal

import trio
from attrs import define, field, frozen

from ... import plugins
from ...errors import KcoroError, TransportError
from ...transport import TRANSPORT_API, Capability, Identity, PollSpec, RawFrame, TransportInfo, Vtable
from ..transport_kit.bench import HEADER_BYTES, LIMIT, KitFailure, check, numbered
from .drive import AT_REST, Driver

__all__ = ["HookResult", "run_hooks"]

State = Literal["passed", "failed", "not reached", "does not apply"]

QUIET_SECONDS: Final = 0.05
AT_ONCE_SECONDS: Final = 1.0
"""How long a call may take that waits for nobody, on a machine that has other things to do as well."""
MOST_BYTES: Final = 1 << 26
NOTHING: Final = Capability(0)
ONE_PEER: Final = Capability.POINT_TO_POINT


@frozen
class HookResult:
    """What became of one hook; ``text`` says what was seen, or what broke."""

    hook: str
    state: State
    text: str = ""
    seconds: float = 0.0


@define(eq=False)
class World:
    """What the checks have made so far."""

    vtable: Vtable
    uri: str
    config: Mapping[str, Any]
    stack: ExitStack
    nursery: trio.Nursery
    listener: Any = None
    near: Any = None
    far: Any = None
    drivers: list[Driver] = field(factory=list)
    turns_before: int = 0  # wake-ups of the listener when nobody had connected

    def drive(self, endpoint: Any) -> None:
        """Drive this one from now on."""
        self.drivers.append(Driver(self.vtable, endpoint))
        self.nursery.start_soon(self.drivers[-1].run)

    def driver(self, endpoint: Any) -> Driver:
        """What drives an endpoint."""
        return next(driver for driver in self.drivers if driver.endpoint is endpoint)

    async def send(self, conn: Any, frame: RawFrame) -> None:
        """Send, as soon as there is room."""
        await self.driver(conn).until(lambda: self.vtable.send_frame(conn, frame.header, [frame.payload], 0))
        self.driver(conn).wake()

    async def receive(self, conn: Any) -> RawFrame:
        """The next frame."""
        return await self.driver(conn).until(lambda: self.vtable.recv_frame(conn, LIMIT))


Check = Callable[[World], Awaitable[str]]
CHECKS: dict[str, tuple[Check, Capability]] = {}


def hook(name: str, needs: Capability = NOTHING) -> Callable[[Check], Check]:
    """Register the check of a hook; it returns what was seen."""

    def register(body: Check) -> Check:
        CHECKS[name] = (body, needs)
        return body

    return register


def at_once(call: Callable[[], Any], what: str) -> Any:
    """Call, and see that it did not wait."""
    began = trio.current_time()
    result = call()
    took = trio.current_time() - began
    check(took < AT_ONCE_SECONDS, f"{what} took {took:.1f} s: it waits, and would stop the whole loop")
    return result


@hook("kcoro_transport_info")
async def transport_info(world: World) -> str:
    """It says who the transport is."""
    info = world.vtable.info
    check(isinstance(info, TransportInfo), f"it gives a {type(info).__name__}, and no TransportInfo")
    check(info.api == TRANSPORT_API, f"it is of API {info.api}, and this core speaks {TRANSPORT_API}")
    names = [flag.name or "?" for flag in Capability if flag in info.capabilities]
    return f"{info.name} {world.vtable.distribution}: {', '.join(names) or 'no capabilities'}"


@hook("kcoro_listen")
async def listen(world: World) -> str:
    """It listens, at once."""
    world.listener = at_once(lambda: world.vtable.listen(world.uri, world.config), "listening")
    world.stack.callback(world.vtable.close, world.listener)
    world.drive(world.listener)
    return "at once"


@hook("kcoro_local_uri")
async def local_uri(world: World) -> str:
    """It tells an address of its own scheme."""
    uri = world.vtable.local_uri(world.listener)
    check(plugins.transport(uri).info == world.vtable.info, f"{uri} is an address of another transport")
    return uri


@hook("kcoro_connect")
async def connect(world: World) -> str:
    """It begins to connect, at once."""
    uri = world.vtable.local_uri(world.listener)
    await trio.sleep(QUIET_SECONDS)
    world.turns_before = world.driver(world.listener).turns
    world.near = at_once(lambda: world.vtable.connect(uri, world.config), "connecting")
    world.stack.callback(world.vtable.abort, world.near)
    world.drive(world.near)
    return "at once"


@hook("kcoro_accept", ONE_PEER)
async def accept(world: World) -> str:
    """The connection is announced at the listener, and can be taken."""
    driver = world.driver(world.listener)
    await driver.until(lambda: driver.turns > world.turns_before)
    world.far = await driver.until(lambda: world.vtable.accept(world.listener))
    world.stack.callback(world.vtable.abort, world.far)
    world.drive(world.far)
    return f"after {driver.turns - world.turns_before} wake-ups of the listener"


@hook("kcoro_peer", ONE_PEER)
async def peer(world: World) -> str:
    """It says who is there; verified only where that is promised."""
    who = world.vtable.peer(world.far)
    check(isinstance(who, Identity), f"it gives a {type(who).__name__}, and no Identity")
    promised = Capability.PEER_IDENTITY in world.vtable.info.capabilities
    check(who.verified <= promised, f"{who} is called verified by a transport that cannot verify")
    return f"{who.kind}{', verified' if who.verified else ''}"


@hook("kcoro_send_frame")
async def send_frame(world: World) -> str:
    """Frames are taken whole, and what poll_handle announces alone moves them."""
    for frame in numbered(3, 1000):
        await world.send(world.near, frame)
    return "3 frames taken"


@hook("kcoro_recv_frame", ONE_PEER)
async def recv_frame(world: World) -> str:
    """They come out as they were sent, and one goes back."""
    got = [await world.receive(world.far) for _ in range(3)]
    check(got == numbered(3, 1000), "what came out is not what was sent")
    await world.send(world.far, numbered(1, 10)[0])
    check(await world.receive(world.near) == numbered(1, 10)[0], "what came back is not what was sent")
    return "3 frames there, 1 back, unchanged"


@hook("kcoro_datagram_limit", Capability.DATAGRAMS)
async def datagram_limit(world: World) -> str:
    """It says how long a datagram may be."""
    limit = world.vtable.datagram_limit(world.near)  # type: ignore[misc]
    check(limit > HEADER_BYTES, f"{limit} bytes, on a connection that is open: no datagram fits")
    return f"{limit} bytes"


def offer_datagram(world: World) -> bool:
    """Offer one that has half of the length."""
    size = (world.vtable.datagram_limit(world.near) - HEADER_BYTES) // 2  # type: ignore[misc]
    [frame] = numbered(1, size)
    return world.vtable.send_datagram(world.near, frame.header, [frame.payload])  # type: ignore[misc]


@hook("kcoro_send_datagram", Capability.DATAGRAMS)
async def send_datagram(world: World) -> str:
    """It takes one, at once."""
    check(at_once(lambda: offer_datagram(world), "send_datagram"), "an idle connection took no datagram")
    world.driver(world.near).wake()
    return "taken at once"


@hook("kcoro_recv_datagram", Capability.DATAGRAMS)
async def recv_datagram(world: World) -> str:
    """One of many comes out as it was sent; any may be lost."""
    sent = 0
    while (got := world.vtable.recv_datagram(world.far)) is None:  # type: ignore[misc]
        sent += offer_datagram(world)
        world.driver(world.near).wake()
        await trio.sleep(0.001)
    check([got] == numbered(1, len(got.payload)), "what came out is not what was sent")
    return f"one came, after {sent + 1} were sent"


@hook("kcoro_poll_handle", ONE_PEER)
async def poll_handle(world: World) -> str:
    """While nothing happens nobody is woken; a frame wakes its receiver."""
    await trio.sleep(QUIET_SECONDS)
    for conn in (world.near, world.far):
        world.vtable.recv_frame(conn, LIMIT)
        while world.vtable.recv_datagram is not None and world.vtable.recv_datagram(conn) is not None:
            pass
    before = sum(driver.turns for driver in world.drivers)
    await trio.sleep(QUIET_SECONDS)
    turns = sum(driver.turns for driver in world.drivers) - before
    check(turns < 20, f"{turns} wake-ups in {QUIET_SECONDS} s in which nothing happened: this spins")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.receive, world.far)
        await trio.sleep(QUIET_SECONDS)
        await world.send(world.near, numbered(1, 50)[0])
    return f"{turns} wake-ups while idle, and a frame wakes its receiver"


@hook("kcoro_pump", ONE_PEER)
async def pump(world: World) -> str:
    """Readiness that is not there does no harm and is not waited for."""
    for conn in (world.near, world.far):
        for ready in range(4):
            at_once(lambda conn=conn, ready=ready: world.vtable.pump(conn, trio.current_time(), ready), "a pump")  # type: ignore[misc]
    return "bears wrong hints"


@hook("kcoro_set_waker", ONE_PEER)
async def set_waker(world: World) -> str:
    """Whoever waits is told: by the descriptor, or else by the waker."""
    spec = world.vtable.poll_handle(world.far)
    called: list[bool] = []
    driver = world.driver(world.far)

    def waker() -> None:
        called.append(True)
        driver.wake()

    world.vtable.set_waker(world.far, waker)
    await world.send(world.near, numbered(1, 20)[0])
    await world.receive(world.far)
    world.vtable.set_waker(world.far, driver.wake)
    check(called or spec.fd is not None or spec.deadline is not None, "a frame came, and nothing but asking showed it")
    return "the waker was called" if called else "not needed: a descriptor or a time shows everything"


@hook("kcoro_tx_backlog", Capability.RELIABLE | ONE_PEER)
async def tx_backlog(world: World) -> str:
    """A peer that stands still costs a bounded amount; send_frame answers False at once, and nobody is parked."""
    third = world.vtable.connect(world.vtable.local_uri(world.listener), world.config)
    world.stack.callback(world.vtable.abort, third)
    world.drive(third)
    stalled = await world.driver(world.listener).until(lambda: world.vtable.accept(world.listener))
    world.stack.callback(world.vtable.abort, stalled)  # which nobody drives
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await trio.lowlevel.checkpoint()

    [frame] = numbered(1, 4096)
    sent = refusals = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        while refusals < 20:
            took = at_once(lambda: world.vtable.send_frame(third, frame.header, [frame.payload], 0), "send_frame")
            sent, refusals = (sent + len(frame.payload), 0) if took else (sent, refusals + 1)
            check(sent < MOST_BYTES, f"{sent} bytes were taken although nobody reads: there is no bound")
            world.driver(third).wake()
            await trio.sleep(0.001 if not took else 0)
        nursery.cancel_scope.cancel()
    backlog = world.vtable.tx_backlog(third)
    check(0 <= backlog <= 2 * sent, f"the backlog is {backlog} of {sent} bytes that were taken")
    check(ticks > 20, "another task of the loop stood still meanwhile")
    return f"False after {sent} bytes to a peer that does not read, {backlog} of them held back; nobody was parked"


@hook("kcoro_close", ONE_PEER)
async def close(world: World) -> str:
    """The other side hears of an orderly end, and this side comes to rest."""
    world.vtable.close(world.near)
    world.driver(world.near).wake()
    await world.driver(world.far).until(lambda: ended(world.vtable, world.far))
    world.vtable.close(world.far)
    for conn in (world.near, world.far):
        await world.driver(conn).until(lambda conn=conn: world.vtable.poll_handle(conn) == AT_REST)  # type: ignore[misc]
    return "the other side heard of it, both are at rest"


@hook("kcoro_abort", ONE_PEER)
async def abort(world: World) -> str:
    """An end in the middle of everything: the other side hears of it, nothing is left to be waited for."""
    world.near = world.vtable.connect(world.vtable.local_uri(world.listener), world.config)
    world.drive(world.near)
    world.far = await world.driver(world.listener).until(lambda: world.vtable.accept(world.listener))
    world.drive(world.far)
    at_once(lambda: world.vtable.abort(world.near), "an abort")
    world.driver(world.near).wake()
    check(world.vtable.poll_handle(world.near) == PollSpec(), "after an abort something is still waited for")
    await world.driver(world.far).until(lambda: ended(world.vtable, world.far))
    world.vtable.abort(world.far)
    world.driver(world.far).wake()
    return "the other side heard of it"


def ended(vtable: Vtable, conn: Any) -> bool:
    """Whether receiving raises the end."""
    try:
        while vtable.recv_frame(conn, LIMIT) is not None:
            pass
    except TransportError:
        return True
    return False


async def run_hooks(uri: str, config: Mapping[str, Any] | None = None, *, seconds: float = 10.0) -> list[HookResult]:
    """Check every hook of the transport of ``uri``, an address or a bare scheme; in a trio run.

    Each check may take ``seconds``. Behind one that failed those are not reached that need what it should have left.

    :raises NotSupported: no plugin serves the scheme. PluginError: it is broken. ValueError: there is no scheme.
    """
    vtable = plugins.transport(uri)
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            world = World(vtable, uri if ":" in uri else f"{uri}:", config or {}, stack, nursery)
            results = await _run_all(world, seconds)
            nursery.cancel_scope.cancel()
    return results


async def _run_all(world: World, seconds: float) -> list[HookResult]:
    results: list[HookResult] = []
    for name, (body, needs) in CHECKS.items():
        missing = [flag.name or "?" for flag in needs & ~world.vtable.info.capabilities]
        if missing:
            results.append(HookResult(name, "does not apply", f"{', '.join(missing)} is not claimed"))
        elif any(result.state == "failed" for result in results):
            results.append(HookResult(name, "not reached"))
        else:
            results.append(await _run(name, body, world, seconds))
    return results


async def _run(name: str, body: Check, world: World, seconds: float) -> HookResult:
    began = trio.current_time()
    try:
        with trio.fail_after(seconds):
            text = await body(world)
    except trio.TooSlowError:
        return HookResult(name, "failed", _stuck(world, seconds), trio.current_time() - began)
    except (KitFailure, KcoroError) as error:
        return HookResult(name, "failed", Exception.__str__(error), trio.current_time() - began)
    except Exception as error:  # noqa: BLE001 - whatever a transport raises is the finding
        return HookResult(name, "failed", f"{type(error).__name__}: {error}", trio.current_time() - began)
    return HookResult(name, "passed", text, trio.current_time() - began)


def _stuck(world: World, seconds: float) -> str:
    """What everybody waits for: the one thing that helps whoever has to mend it."""
    ends = {"listener": world.listener, "dialler": world.near, "acceptor": world.far}
    told = [f"{name} {world.vtable.poll_handle(end)}" for name, end in ends.items() if end is not None]
    return f"nothing came of it within {seconds:g} s; poll_handle says: {'; '.join(told) or 'nothing'}"
