# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Descriptors and signals, on every host: real ones where the loop is real, scripted ones elsewhere."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from kcoro_core.hosts.port import AGAIN, READ, WRITE, Host
from kcoro_core.reference.waiter import Operation

from .conftest import until

if TYPE_CHECKING:
    from .conftest import HostUnderTest


def test_a_readable_descriptor_calls_back_once(on: HostUnderTest) -> None:
    """Everybody who waits for one descriptor is called, each once; a watch that was taken back is not. Row: SE4."""
    reading, _ = on.pipe()

    async def main(host: Host) -> None:
        op = Operation(host)
        called: list[str] = []
        assert not host.fd_ready(reading, READ)
        kept = host.wait_fd(reading, READ, lambda: called.append("kept"))
        dropped = host.wait_fd(reading, READ, lambda: called.append("dropped"))
        assert dropped.cancel()
        await host.pause()
        on.make_readable(host, reading)
        await until(host, lambda: called)
        assert host.fd_ready(reading, READ)
        again = host.wait_fd(reading, READ, op.complete)
        await host.park(op)
        assert called == ["kept"]
        await host.pause()
        assert (kept.cancel(), again.cancel()) == (False, False)

    on.run(main)


def test_a_writable_descriptor_calls_back(on: HostUnderTest) -> None:
    """Readiness to write is told apart from readiness to read. Row: SE4."""
    _, writing = on.pipe()

    async def main(host: Host) -> None:
        op = Operation(host)
        on.make_writable(host, writing)
        host.wait_fd(writing, WRITE, op.complete)
        await host.park(op)

    on.run(main)


def test_a_signal_calls_back_until_the_handle_is_cancelled(on: HostUnderTest) -> None:
    """Each arrival calls each callback; afterwards the old handler is back. Row: SE4."""
    before = signal.getsignal(signal.SIGUSR1)

    async def main(host: Host) -> None:
        got: list[int] = []
        first = host.on_signal(signal.SIGUSR1, lambda: got.append(1))
        second = host.on_signal(signal.SIGUSR1, lambda: got.append(2))
        on.raise_signal(host, signal.SIGUSR1)
        await until(host, lambda: len(got) == 2)
        assert first.cancel()
        on.raise_signal(host, signal.SIGUSR1)
        await until(host, lambda: len(got) == 3)
        assert second.cancel()
        assert got == [1, 2, 2]

    on.run(main)
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_descriptor_is_watched_for_as_long_as_its_callback_asks_for_that(on: HostUnderTest) -> None:
    """AGAIN keeps the watch; anything else, or taking it back, ends it. Row: SE4."""
    reading, _ = on.pipe()

    async def main(host: Host) -> None:
        called: list[str] = []
        enough = Operation(host)

        def often() -> object:
            called.append("often")
            if len(called) == 3:
                assert kept.cancel()
                enough.complete()
            return AGAIN

        on.make_readable(host, reading)
        kept = host.wait_fd(reading, READ, often)
        await host.park(enough)
        await host.pause()
        await host.pause()
        assert called == ["often"] * 3
        assert not kept.cancel()

    on.run(main)
