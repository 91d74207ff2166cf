# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The bench on which a transport is driven: it waits for what ``poll_handle`` says, and for nothing else.

Rule 1: no sleep and no second look. When nothing is announced and the awaited has not come, nobody would ever wake up,
and the case fails at once.
Rule 2: everything that was opened on the bench is closed with it.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ...errors import KcoroError, TransportError
from ...transport import READ, WRITE, PollSpec, RawFrame, Vtable
from .clock import Clock, RealClock

__all__ = ["AT_REST", "HEADER_BYTES", "LIMIT", "Bench", "KitFailure", "check", "error_of", "header", "numbered", "poll"]

AT_REST: Final = PollSpec()
"""What poll_handle says for whoever waits for nothing."""

HEADER_BYTES: Final = 20
"""What a frame is longer than its payload, in bytes."""
LIMIT: Final = 65536
"""The payload that the kit accepts unless a case says otherwise, in bytes."""
PATIENCE_SECONDS: Final = 10.0
GLANCE_SECONDS: Final = 0.01


class KitFailure(AssertionError):
    """A transport broke the contract; the text says which promise and what happened instead."""


def check(holds: object, broken: str) -> None:
    """Fail with ``broken`` unless ``holds``; not an assert, because the kit also counts under ``python -O``."""
    if not holds:
        raise KitFailure(broken)


def header(payload_bytes: int, mark: int = 0) -> bytes:
    """A header for so many bytes; ``mark`` stands in its last four, so that frames can be told apart."""
    return payload_bytes.to_bytes(4, "big") + bytes(12) + mark.to_bytes(4, "big")


def numbered(count: int, payload_bytes: int) -> list[RawFrame]:
    """So many frames of that size, each different."""
    return [RawFrame(header(payload_bytes, i), bytes([i % 251]) * payload_bytes) for i in range(count)]


class Bench:
    """A transport under test: ``vtable``, and the address to use (a bare scheme: fresh addresses).

    ``clock`` is what transports are told as ``now``: the real time, unless a case brings one of its own.
    """

    def __init__(self, vtable: Vtable, uri: str, config: Mapping[str, Any]) -> None:
        self.vtable = vtable
        self.uri = uri if ":" in uri else f"{uri}:"
        self.config = config
        self.clock: Clock = RealClock()
        self.patience = PATIENCE_SECONDS
        self._hub: Any = None  # where all pairs come from
        self._connections: list[Any] = []
        self._listeners: list[Any] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for conn in self._connections:
            self.vtable.abort(conn)
        for listener in self._listeners:
            self.vtable.close(listener)
        self._connections, self._listeners, self._hub = [], [], None

    # -- opening

    def listen(self, uri: str | None = None) -> Any:
        """Listen at the address of the bench, or at another."""
        listener = self.vtable.listen(self.uri if uri is None else uri, self.config)
        self._listeners.append(listener)
        return listener

    def dial(self, uri: str) -> Any:
        """Begin to connect."""
        conn = self.vtable.connect(uri, self.config)
        self._connections.append(conn)
        return conn

    def accept(self, listener: Any, *others: Any) -> Any:
        """Wait for a connection at ``listener``."""
        self.until(lambda: self.try_accept(listener) is not None, listener, *others, what="connection to be accepted")
        return self._connections[-1]

    def try_accept(self, listener: Any) -> Any:
        """Accept who is there now; None: nobody is."""
        conn = self.vtable.accept(listener)
        if conn is not None:
            self._connections.append(conn)
        return conn

    def pair(self) -> tuple[Any, Any]:
        """A connection with both of its ends: who dialled, who accepted."""
        if self._hub is None:
            self._hub = self.listen()
        dialled = self.dial(self.vtable.local_uri(self._hub))
        return dialled, self.accept(self._hub, dialled)

    # -- driving

    def until(self, condition: Callable[[], bool], *endpoints: Any, what: str) -> None:
        """Let ``endpoints`` work, each only when it has announced it, until ``condition()`` holds."""
        give_up = time.monotonic() + self.patience
        while not condition():
            check(time.monotonic() < give_up, f"waited {self.patience:g} s for {what}")
            self._turn(endpoints, what, give_up)

    def _turn(self, endpoints: Iterable[Any], what: str, give_up: float) -> None:
        specs = [(endpoint, self.vtable.poll_handle(endpoint)) for endpoint in endpoints]
        deadlines = [spec.deadline for _, spec in specs if spec.deadline is not None]
        waits = any(spec.fd is not None and spec.want for _, spec in specs)
        at_once = any(spec.ready_now for _, spec in specs)
        check(waits or at_once or deadlines, f"nothing is announced by poll_handle, and still there is no {what}")
        pause = 0.0 if at_once else self.clock.pause(deadlines, give_up, waits)
        ready = poll([spec for _, spec in specs], pause)
        if not ready and not at_once:
            self.clock.waited(deadlines)
        now = self.clock.now()
        for endpoint, spec in specs:
            bits = ready.get(spec.fd, 0) & spec.want if spec.fd is not None else 0
            if bits or spec.ready_now or (spec.deadline is not None and spec.deadline <= now):
                # An end is a fact like others here: whoever waits for it asks the functions that report it.
                with contextlib.suppress(KcoroError):
                    self.vtable.pump(endpoint, now, bits)

    def until_ready(self, spec: PollSpec, *endpoints: Any, what: str) -> None:
        """Let ``endpoints`` work until the descriptor of ``spec``, an answer from before, is ready."""
        give_up = time.monotonic() + self.patience
        while not poll([spec], GLANCE_SECONDS):
            check(time.monotonic() < give_up, f"waited {self.patience:g} s for {what}")
            for endpoint in endpoints:
                said = self.vtable.poll_handle(endpoint)
                bits = poll([said], 0.0).get(-1 if said.fd is None else said.fd, 0)
                if bits or said.ready_now or (said.deadline is not None and said.deadline <= self.clock.now()):
                    with contextlib.suppress(KcoroError):
                        self.vtable.pump(endpoint, self.clock.now(), bits)

    def flush(self, conn: Any) -> None:
        """Let a connection write what it has accepted, as far as the medium takes it now."""
        self.vtable.pump(conn, self.clock.now(), WRITE)

    # -- moving frames

    def send(self, conn: Any, frame: RawFrame) -> bool:
        """Offer one frame."""
        return self.vtable.send_frame(conn, frame.header, [frame.payload], 0)

    def send_all(self, conn: Any, frames: Iterable[RawFrame], *others: Any) -> None:
        """Offer every frame until it is taken."""
        for frame in frames:
            self.until(lambda frame=frame: self.send(conn, frame), conn, *others, what="room to send")  # type: ignore[misc]
        self.flush(conn)

    def receive(self, conn: Any, count: int, *others: Any, limit: int = LIMIT) -> list[RawFrame]:
        """Wait for that many frames."""
        frames: list[RawFrame] = []

        def enough() -> bool:
            while len(frames) < count and (frame := self.vtable.recv_frame(conn, limit)) is not None:
                frames.append(frame)
            return len(frames) == count

        self.until(enough, conn, *others, what=f"{count} frames (after {len(frames)})")
        return frames

    def talk(self, near: Any, far: Any) -> None:
        """Send a frame each way and see it arrive: the connection works."""
        for sender, receiver in ((near, far), (far, near)):
            frames = numbered(1, 10)
            self.send_all(sender, frames, receiver)
            check(self.receive(receiver, 1, sender) == frames, "a frame does not arrive as it was sent")
            check(self.vtable.recv_frame(receiver, LIMIT) is None, "a frame came out that nobody sent")

    def fill(self, conn: Any, frame: RawFrame, at_most_bytes: int = 1 << 24) -> int:
        """Send until there is no more room; how many were taken."""
        taken = 0
        while True:
            if not self.send(conn, frame):
                self.flush(conn)
                if not self.send(conn, frame):
                    return taken
            taken += 1
            sent = taken * (HEADER_BYTES + len(frame.payload))
            check(sent <= at_most_bytes, f"{sent} bytes were taken although nobody reads: there is no bound")

    def hears_end(self, conn: Any, *others: Any) -> None:
        """Wait until receiving raises the end, whatever arrives before."""

        def ended() -> bool:
            try:
                while self.vtable.recv_frame(conn, LIMIT) is not None:
                    pass
            except TransportError:
                return True
            return False

        self.until(ended, conn, *others, what="the end of the connection")

    def rest(self, *closed: Any) -> None:
        """Wait until these, which were closed, wait for nothing any more."""
        for conn in closed:
            self.until(
                lambda conn=conn: self.vtable.poll_handle(conn) == AT_REST,  # type: ignore[misc]
                *closed,
                what="rest after a close",
            )

    def end_of(self, conn: Any, *others: Any) -> BaseException:
        """Wait until receiving raises; the error."""
        errors: list[BaseException] = []

        def ended() -> bool:
            try:
                frame = self.vtable.recv_frame(conn, LIMIT)
            except KcoroError as error:
                errors.append(error)
            else:
                check(frame is None, "a frame arrived that nobody sent")
            return bool(errors)

        self.until(ended, conn, *others, what="the end of the connection")
        return errors[0]


def error_of(call: Callable[[], object]) -> BaseException | None:
    """The error of kcoro that a call raises; None: it raises none."""
    try:
        call()
    except KcoroError as error:
        return error
    return None


def poll(specs: Iterable[PollSpec], seconds: float) -> dict[int, int]:
    """Wait for the descriptors; which are ready for what. Errors and hang-ups count as both."""
    poller = select.poll()
    wants: dict[int, int] = {}
    for spec in specs:
        if spec.fd is not None and spec.want:
            wants[spec.fd] = wants.get(spec.fd, 0) | spec.want
    for fd, want in wants.items():
        poller.register(fd, (select.POLLIN if want & READ else 0) | (select.POLLOUT if want & WRITE else 0))
    ready = {}
    for fd, event in poller.poll(seconds * 1000):
        broken = event & (select.POLLERR | select.POLLHUP)
        ready[fd] = (READ if event & select.POLLIN or broken else 0) | (
            WRITE if event & select.POLLOUT or broken else 0
        )
    return ready
