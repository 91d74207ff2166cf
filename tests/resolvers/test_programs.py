# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Programs that dial a name: over each transport, to whoever of several is there, and to whom a certificate is for.

Row: X17.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import attrs
import dns.message
import dns.rdatatype
import pytest
import trio
from trio.testing import MockClock

from kcoro_core import BUFFERED, LinkLost, TransportError, channel, dial, plugins, serve
from kcoro_core.link import backoff
from kcoro_core.link.backoff import FIRST_SECONDS, MOST_SECONDS, Backoff
from kcoro_core.transports import mem

from ..transports.certificates import party
from .server import Answer, Zone, serving

SCHEMES = ("tcp", "tls", "quic")


@pytest.fixture
def zone(configure: Any) -> Iterator[Zone]:
    """A DNS server, which every look-up of this process asks."""
    with serving(Zone()) as here:
        configure(resolver="dns", dns_servers=here.place)
        yield here


def files(scheme: str, *names: str) -> dict[str, Any]:
    """The options of a server whose certificate is for these names."""
    if scheme == "tcp":
        return {}
    names = names or ("jobs.example",)
    made = party(f"server of {', '.join(names)}", hosts=names)
    return made if scheme == "tls" else made | {"cafile": ""}


def trusting(scheme: str) -> dict[str, Any]:
    """The options of whoever dials."""
    made = party("worker")
    return {"tcp": {}, "tls": made, "quic": {"cafile": made["cafile"]}}[scheme]


def anybody(*_: object) -> bool:
    return True


def port_of(uri: str) -> int:
    return int(uri.rpartition(":")[2])


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def offers(zone: Zone, *ports: int, proto: str = "tcp", target: str = "pod.example.") -> None:
    """Have the service ``kcoro`` of ``jobs.example`` lead to these ports of this machine, in that order."""
    records = [f"{i} 1 {port} {target}" for i, port in enumerate(ports)]
    zone.records = {f"_kcoro._{proto}.jobs.example. SRV": records, f"{target} A": ["127.0.0.1"]}


async def heard_over(uri: str, **options: Any) -> bytes:
    """What the channel ``jobs`` gives to whoever dials there."""
    async with dial(uri, **options) as link:
        return await (await link.open("jobs")).recv()


# -- one program, whatever finds the place


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_service_in_dns_is_all_that_a_dial_needs(zone: Zone, scheme: str) -> None:
    """The first of two places is nobody's. Row: X17."""

    async def main() -> bytes:
        jobs = channel(BUFFERED, capacity=1)
        await jobs.send(b"soup")
        async with serve(f"{scheme}:", {"jobs": jobs}, anybody, **files(scheme)) as server:
            offers(zone, free_port(), port_of(server.uri), proto="udp" if scheme == "quic" else "tcp")
            return await heard_over(f"{scheme}:jobs.example:kcoro", **trusting(scheme))

    assert trio.run(main) == b"soup"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_name_in_a_file_and_the_option_that_names_the_resolver(scheme: str, tmp_path: Path, configure: Any) -> None:
    """Row: X17."""
    names = tmp_path / "names.toml"
    configure(names=names)

    async def main() -> bytes:
        jobs = channel(BUFFERED, capacity=1)
        await jobs.send(b"soup")
        async with serve(f"{scheme}:", {"jobs": jobs}, anybody, **files(scheme)) as server:
            names.write_text(f'"jobs.example:kcoro" = ["127.0.0.1:{port_of(server.uri)}"]')
            return await heard_over(f"{scheme}:jobs.example:kcoro", resolver="file", **trusting(scheme))

    assert trio.run(main) == b"soup"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_error_names_the_address_who_was_asked_and_what_to_do(zone: Zone, scheme: str) -> None:
    """Row: X17."""

    async def main() -> None:
        await heard_over(f"{scheme}:jobs.example:7000", **trusting(scheme))

    with pytest.raises(TransportError) as caught:
        trio.run(main)
    said = str(caught.value)
    assert f"{scheme}:jobs.example:7000: the name cannot be looked up: dns: asked {zone.place} for A of" in said
    assert "there is no such name; check the name, and who is asked (KCORO_RESOLVER)" in said


def test_a_look_up_may_take_longer_than_a_handshake(zone: Zone, configure: Any) -> None:
    """A server that says nothing about one family costs time, and not the link. Row: X17."""
    configure(hello_timeout=0.9)
    zone.lie = lambda query, tcp: None if query.question[0].rdtype == dns.rdatatype.AAAA else zone.honest(query, tcp)
    zone.records = {"jobs.example. A": ["127.0.0.1"]}

    async def main() -> bytes:
        jobs = channel(BUFFERED, capacity=1)
        await jobs.send(b"soup")
        async with serve("tcp:", {"jobs": jobs}, anybody) as server:
            return await heard_over(f"tcp:jobs.example:{port_of(server.uri)}", connect_timeout=2.0)

    assert trio.run(main) == b"soup"


def test_the_loop_goes_on_while_a_name_is_looked_up(zone: Zone) -> None:
    """Row: X17."""
    held = threading.Event()
    zone.lie = lambda query, tcp: zone.honest(query, tcp) if held.wait(20) else None

    async def main() -> int:
        turns = 0
        async with trio.open_nursery() as nursery:

            async def look_up() -> None:
                with pytest.raises(TransportError):
                    await heard_over("tcp:jobs.example:7000")
                nursery.cancel_scope.cancel()

            nursery.start_soon(look_up)
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1
                if turns == 100:
                    held.set()
        return turns

    assert trio.run(main) > 100


def test_a_name_in_dns_that_leads_outside_is_no_way_around_the_rule(zone: Zone) -> None:
    """Clear text goes nowhere, to none of the addresses. Rows: X17, X18."""
    zone.records = {"jobs.example. A": ["127.0.0.1", "10.0.0.1"]}

    async def main() -> None:
        await heard_over("tcp:jobs.example:7000")

    with pytest.raises(TransportError, match=r"10\.0\.0\.1:7000: everybody on the way could read"):
        trio.run(main)


# -- whom a certificate has to be for


@pytest.mark.parametrize("scheme", ["tls", "quic"])
@pytest.mark.parametrize(
    ("names", "options", "good"),
    [
        (("jobs.example",), {}, True),
        (("pod.example",), {}, False),
        (("kcoro.jobs.example", "example", "pod.example", "127.0.0.1"), {}, False),
        (("pod.example",), {"server_name": "pod.example"}, True),
    ],
    ids=["what-was-written", "the-target-of-srv", "everything-else", "the-target-by-name"],
)
def test_a_certificate_is_for_the_name_that_was_written_and_not_for_what_dns_says(
    zone: Zone, scheme: str, names: tuple[str, ...], options: dict[str, Any], good: bool
) -> None:
    """Whoever can lie in DNS could name any target that he has a certificate for (RFC 9525, 6.1). Rows: X17, X18."""

    async def main() -> bytes:
        jobs = channel(BUFFERED, capacity=1)
        await jobs.send(b"soup")
        async with serve(f"{scheme}:", {"jobs": jobs}, anybody, **files(scheme, *names)) as server:
            offers(zone, port_of(server.uri), proto="udp" if scheme == "quic" else "tcp")
            return await heard_over(f"{scheme}:jobs.example:kcoro", **trusting(scheme), **options)

    if good:
        assert trio.run(main) == b"soup"
        return
    with pytest.raises(TransportError, match="certificate"):
        trio.run(main)


@pytest.mark.parametrize("scheme", ["tls", "quic"])
def test_the_dot_of_an_absolute_name_is_no_part_of_what_is_certified(zone: Zone, scheme: str) -> None:
    """Row: X17."""

    async def main() -> bytes:
        jobs = channel(BUFFERED, capacity=1)
        await jobs.send(b"soup")
        async with serve(f"{scheme}:", {"jobs": jobs}, anybody, **files(scheme)) as server:
            zone.records = {"jobs.example. A": ["127.0.0.1"]}
            return await heard_over(f"{scheme}:jobs.example.:{port_of(server.uri)}", **trusting(scheme))

    assert trio.run(main) == b"soup"


def test_the_name_that_was_written_is_told_to_the_server(zone: Zone) -> None:
    """As the name that TLS carries (SNI), so that one that serves several knows which one is meant. Row: X17."""
    told: list[str | None] = []
    listener = socket.create_server(("127.0.0.1", 0))
    offers(zone, listener.getsockname()[1])

    def serve_tls() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made = party("server", hosts=("jobs.example",))
        context.load_cert_chain(made["certfile"], made["keyfile"])
        context.sni_callback = lambda _tls, name, _context: told.append(name)  # type: ignore[assignment]
        conn, _ = listener.accept()
        with conn, suppress(OSError), context.wrap_socket(conn, server_side=True) as tls:
            tls.recv(100)

    thread = threading.Thread(target=serve_tls)
    thread.start()

    async def main() -> None:
        await heard_over("tls:jobs.example:kcoro", **trusting("tls"))

    with pytest.raises(TransportError):
        trio.run(main)
    thread.join()
    listener.close()
    assert told == ["jobs.example"]


# -- dialling again


def test_whoever_has_patience_tries_again_with_pauses_that_grow_and_differ() -> None:
    """In virtual time; with the last error at the end. Row: X17."""
    times: list[float] = []

    async def main() -> None:
        real = mem.kcoro_connect

        def connect(uri: str, config: Any) -> Any:
            times.append(trio.current_time() - began)
            return real(uri, config)

        with pytest.MonkeyPatch.context() as patch:
            vtable = attrs.evolve(plugins.transport("mem:"), connect=connect)
            patch.setattr(plugins, "transport", lambda _uri: vtable)
            began = trio.current_time()
            async with dial("mem:nobody", patience=60):
                pass

    with pytest.raises(TransportError):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    pauses = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert len(pauses) > 8
    assert times[-1] == pytest.approx(60)  # the last attempt is at the very end
    grown = list(zip(pauses[:-1], (min(FIRST_SECONDS * 2**i, 6.0) for i in itertools.count()), strict=False))
    assert all(most / 2 <= pause <= most + 1e-9 for pause, most in grown)
    assert len({pause / most for pause, most in grown}) == len(grown)


def test_pauses_are_bounded_whatever_the_patience() -> None:
    """Row: X17."""
    pauses = [Backoff(Random(seed), patience=float("inf"), longest=MOST_SECONDS) for seed in range(20)]
    assert all(MOST_SECONDS / 2 <= one.pause() <= MOST_SECONDS for one in pauses for _ in range(3))


def test_little_patience_is_used_in_little_pauses() -> None:
    """Somebody who comes in the middle of it is found soon. Row: X17."""
    backoff = Backoff(Random(1), patience=5)
    assert max(backoff.pause() for _ in range(50)) <= 0.5


def test_patience_ends_as_soon_as_somebody_listens() -> None:
    """Row: X17."""

    async def main() -> float:
        jobs = channel(BUFFERED, capacity=1)
        await jobs.send(b"soup")
        async with trio.open_nursery() as nursery:

            async def come_late() -> None:
                await trio.sleep(3)
                async with serve("mem:late", {"jobs": jobs}):
                    await trio.sleep_forever()

            nursery.start_soon(come_late)
            assert await heard_over("mem:late", patience=60) == b"soup"
            nursery.cancel_scope.cancel()
        return trio.current_time()

    began = MockClock(autojump_threshold=0)
    at = began.current_time()
    assert 3 <= trio.run(main, clock=began) - at < 3 + 2 * 3


@pytest.mark.parametrize("patience", [-1, "long", True, float("nan"), None])
def test_patience_is_a_number_of_seconds(patience: Any) -> None:
    """Row: X17."""

    async def main() -> None:
        await heard_over("mem:x", patience=patience)

    with pytest.raises(ValueError, match="patience= is a number of seconds"):
        trio.run(main)


def test_what_waiting_cannot_mend_is_raised_at_once() -> None:
    """Row: X17."""

    async def main() -> float:
        with pytest.raises(ValueError, match="no option colour"):
            await heard_over("mem:x", patience=60, colour="red")
        return trio.current_time()

    clock = MockClock(autojump_threshold=0)
    at = clock.current_time()
    assert trio.run(main, clock=clock) == at


SERVER = """
import sys
import trio
from kcoro_core import BUFFERED, channel, serve

async def main(text):
    jobs = channel(BUFFERED, capacity=1)
    await jobs.send(text.encode())
    async with serve("tcp:", {"jobs": jobs}, lambda *_: True) as server:
        print(server.uri, flush=True)
        await trio.sleep_forever()

trio.run(main, sys.argv[1])
"""


def started(stack: ExitStack, text: str) -> subprocess.Popen[str]:
    """A server in a process of its own, which prints its address when it listens."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, text], stdout=subprocess.PIPE, text=True)
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def test_a_loop_that_keeps_dialling_follows_the_service_to_wherever_it_went(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server is killed, another one listens elsewhere, and DNS says so some time later. Row: X17."""
    monkeypatch.setattr(backoff, "MOST_SECONDS", 0.1)

    async def main(first: subprocess.Popen[str], ports: list[int]) -> list[bytes]:
        heard: list[bytes] = []
        while len(heard) < 2:
            try:
                async with dial("tcp:jobs.example:kcoro", patience=30) as link:
                    jobs = await link.open("jobs")
                    heard.append(await jobs.recv())
                    if len(heard) == 1:
                        zone.lie = moving_to(zone, ports[1])
                        first.kill()
                        await jobs.recv()
            except LinkLost:
                continue
        return heard

    with ExitStack() as stack:
        servers = [started(stack, text) for text in ("soup", "tea")]
        ports = [port_of(server.stdout.readline().strip()) for server in servers if server.stdout is not None]
        offers(zone, ports[0])
        assert trio.run(main, servers[0], ports) == [b"soup", b"tea"]


def moving_to(zone: Zone, port: int) -> Answer:
    """The records change after a few questions."""
    known = len(zone.asked)

    def answer(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        if len(zone.asked) > known + 9:
            offers(zone, port)
        return zone.honest(query, over_tcp)

    return answer
