# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The resolver ``dns`` against a real server on this machine, which may lie. Row: X17."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from random import Random

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from kcoro_core.errors import NotFound, TransportError
from kcoro_core.resolvers.dns import MOST_SERVICES, Dns
from kcoro_core.resolvers.protocol import Question
from kcoro_core.transports.host_port import TCP
from kcoro_core.transports.lookup import MOST_PLACES, ask

from .answers import text_of
from .server import Zone, serving

NAME = "jobs.example"
SOON = 0.4
"""Seconds for a look-up that will get no answer."""


@pytest.fixture
def zone() -> Iterator[Zone]:
    with serving(Zone()) as here:
        yield here


def resolver(zone: Zone, seed: int = 1) -> Dns:
    return Dns(zone.place, Random(seed))


def question(service: str = "", seconds: float = 10.0, host: str = NAME, protocol: str = "tcp") -> Question:
    return Question(host, 0 if service else 7000, service, protocol, seconds)


def test_every_address_of_a_name_is_a_place_and_families_take_turns(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {"jobs.example. A": ["10.0.0.1", "10.0.0.2"], "jobs.example. AAAA": ["2001:db8::1", "2001:db8::2"]}
    found = list(resolver(zone).resolve(question()))
    assert sorted(found) == [(host, 7000) for host in ("10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2")]
    assert [":" in host for host, _ in found] == [True, False, True, False]


def test_one_family_is_enough_and_an_alias_is_followed(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {"jobs.example. CNAME": ["pods.example."], "pods.example. A": ["10.0.0.1"]}
    assert resolver(zone).resolve(question()) == [("10.0.0.1", 7000)]


def test_addresses_come_in_an_order_by_chance_so_that_servers_share_who_comes(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {"jobs.example. A": [f"10.0.0.{i}" for i in range(1, 9)]}
    first = {resolver(zone, seed).resolve(question())[0] for seed in range(12)}
    assert len(first) > 3


def test_a_service_leads_to_its_targets_by_priority_and_each_has_its_port(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {
        "_kcoro._tcp.jobs.example. SRV": ["20 1 7003 c.example.", "10 1 7001 a.example.", "10 0 7002 b.example."],
        "a.example. A": ["10.0.0.1"],
        "b.example. A": ["10.0.0.2"],
        "c.example. A": ["10.0.0.3"],
    }
    found = resolver(zone).resolve(question("kcoro"))
    assert set(found[:2]) == {("10.0.0.1", 7001), ("10.0.0.2", 7002)}
    assert found[2:] == [("10.0.0.3", 7003)]


def test_a_datagram_transport_asks_for_its_own_service(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {"_kcoro._udp.jobs.example. SRV": ["1 1 7001 a.example."], "a.example. A": ["10.0.0.1"]}
    assert resolver(zone).resolve(question("kcoro", protocol="udp")) == [("10.0.0.1", 7001)]
    with pytest.raises(NotFound):
        resolver(zone).resolve(question("kcoro"))


def test_a_target_without_an_address_does_not_hide_the_others(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {
        "_kcoro._tcp.jobs.example. SRV": ["1 1 7001 gone.example.", "2 1 7002 b.example.", "3 1 0 b.example."],
        "b.example. A": ["10.0.0.2"],
    }
    assert resolver(zone).resolve(question("kcoro")) == [("10.0.0.2", 7002)]


@pytest.mark.parametrize(
    ("records", "service", "says"),
    [
        ({}, "", "for A of jobs.example: there is no such name"),
        ({}, "kcoro", "for SRV of _kcoro._tcp.jobs.example: there is no such name"),
        ({"jobs.example. TXT": ["x"]}, "", "for A of jobs.example: it has none"),
        ({"_kcoro._tcp.jobs.example. SRV": ["0 0 0 ."]}, "kcoro", "says that nobody offers this service"),
        ({"_kcoro._tcp.jobs.example. SRV": ["0 0 7 ."]}, "kcoro", "says that nobody offers this service"),
        ({"_kcoro._tcp.jobs.example. SRV": ["1 1 7 gone.example."]}, "kcoro", "for A of gone.example.: there is no"),
    ],
)
def test_what_is_not_there_is_told_with_whom_was_asked_and_for_what(
    zone: Zone, records: dict[str, list[str]], service: str, says: str
) -> None:
    """Row: X17."""
    zone.records = records
    said = text_of(ask(question(service), TCP, [resolver(zone)]))
    assert said.startswith("dns: ")
    assert says in said
    assert zone.place in said or "nobody offers" in said
    assert said.endswith("check the name, and who is asked (KCORO_RESOLVER)")


def test_an_answer_that_was_cut_is_asked_for_again_over_tcp(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {"jobs.example. A": [f"10.0.{i}.1" for i in range(40)]}
    zone.cut = True
    assert len(resolver(zone).resolve(question())) == 40
    assert "jobs.example. A tcp" in zone.asked


def test_nothing_is_kept_so_that_the_next_look_up_sees_what_is_there_by_then(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {"jobs.example. A": ["10.0.0.1"]}
    asked = resolver(zone)
    assert asked.resolve(question()) == [("10.0.0.1", 7000)]
    zone.records = {"jobs.example. A": ["10.0.0.2"]}
    assert asked.resolve(question()) == [("10.0.0.2", 7000)]


def test_a_short_name_is_completed_as_the_system_says(
    zone: Zone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a pod, whose search list ends with the domain of the cluster. Row: X17."""
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 127.0.0.1\nsearch default.svc.cluster.local svc.cluster.local\noptions ndots:5\n")
    real = dns.resolver.Resolver

    def of_the_pod(configure: bool) -> dns.resolver.Resolver:
        made = real(str(file), configure)
        made.port = zone.port
        return made

    monkeypatch.setattr(dns.resolver, "Resolver", of_the_pod)
    zone.records = {
        "jobs.default.svc.cluster.local. A": ["10.0.0.1"],
        "_kcoro._tcp.jobs.default.svc.cluster.local. SRV": ["0 50 7000 10-0-0-2.jobs.default.svc.cluster.local."],
        "10-0-0-2.jobs.default.svc.cluster.local. A": ["10.0.0.2"],
    }
    assert Dns().resolve(question(host="jobs")) == [("10.0.0.1", 7000)]
    assert Dns().resolve(question("kcoro", host="jobs")) == [("10.0.0.2", 7000)]


# -- what a server may do to us


def test_a_server_that_never_answers_costs_no_more_time_than_was_allowed(zone: Zone) -> None:
    """Row: X17."""
    zone.lie = lambda _query, _tcp: None
    with pytest.raises(TransportError, match=f"asked {zone.place} for A of jobs.example: .*timed out"):
        resolver(zone).resolve(question(seconds=SOON))


def test_the_server_of_these_tests_answers_whatever_strangers_send_it(zone: Zone) -> None:
    """A port may have been somebody else's a moment ago. Row: X17."""
    zone.records = {"jobs.example. A": ["10.0.0.1"]}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (b"", b"x", bytes(1200)):
            stranger.sendto(data, ("127.0.0.1", zone.port))
    assert resolver(zone).resolve(question(seconds=2.0)) == [("10.0.0.1", 7000)]


def test_a_family_that_is_never_answered_does_not_hide_the_other(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {"jobs.example. A": ["10.0.0.1"]}
    six = dns.rdatatype.AAAA
    zone.lie = lambda query, tcp: None if query.question[0].rdtype == six else zone.honest(query, tcp)
    assert resolver(zone).resolve(question(seconds=2.0)) == [("10.0.0.1", 7000)]


def test_nobody_listens_where_a_server_should_be() -> None:
    """Row: X17."""
    with serving(Zone()) as gone:
        place = gone.place
    with pytest.raises(TransportError, match=f"asked {place} for"):
        Dns(place).resolve(question(seconds=SOON))


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_a_server_that_refuses_is_told_as_such(zone: Zone, rcode: dns.rcode.Rcode) -> None:
    """Row: X17."""

    def refuse(query: dns.message.Message, _tcp: bool) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        return reply

    zone.lie = refuse
    with pytest.raises(TransportError, match=rcode.name):
        resolver(zone).resolve(question(seconds=SOON))


def of_another_name(query: dns.message.Message, _tcp: bool) -> dns.message.Message:
    """An address, but of a name that nobody has asked for."""
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text("evil.example.", 5, "IN", "A", "10.6.6.6"))
    return reply


def to_another_question(query: dns.message.Message, _tcp: bool) -> dns.message.Message:
    """A good answer to a question that nobody has asked."""
    other = dns.message.make_query("evil.example.", query.question[0].rdtype, id=query.id)
    reply = dns.message.make_response(other)
    reply.answer.append(dns.rrset.from_text("evil.example.", 5, "IN", "A", "10.6.6.6"))
    return reply


def of_another_query(query: dns.message.Message, _tcp: bool) -> dns.message.Message:
    """A good answer under an id that was guessed wrong."""
    reply = dns.message.make_response(query)
    reply.id = query.id ^ 1
    reply.answer.append(dns.rrset.from_text("jobs.example.", 5, "IN", "A", "10.6.6.6"))
    return reply


def garbage(_query: dns.message.Message, _tcp: bool) -> bytes:
    """Bytes that are no message."""
    return b"\xff" * 40


def aliases_in_a_circle(query: dns.message.Message, _tcp: bool) -> dns.message.Message:
    """Aliases that lead back to where they began."""
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text("jobs.example.", 5, "IN", "CNAME", "b.example."))
    reply.answer.append(dns.rrset.from_text("b.example.", 5, "IN", "CNAME", "jobs.example."))
    return reply


@pytest.mark.parametrize(
    "lie",
    [of_another_name, to_another_question, of_another_query, garbage, aliases_in_a_circle],
    ids=lambda f: f.__name__,
)
def test_a_lie_is_no_answer(zone: Zone, lie: object) -> None:
    """Row: X17."""
    zone.lie = lie  # type: ignore[assignment]
    assert text_of(ask(question(seconds=SOON), TCP, [resolver(zone)]))


def test_a_huge_answer_is_tried_in_part(zone: Zone) -> None:
    """Some thousand addresses, over TCP. Row: X17."""
    zone.records = {"jobs.example. A": [f"10.{i // 250}.{i % 250}.1" for i in range(3000)]}
    zone.cut = True
    found = ask(question(), TCP, [resolver(zone)])
    assert isinstance(found, list)
    assert len(found) == MOST_PLACES


def test_a_flood_of_targets_is_followed_in_part(zone: Zone) -> None:
    """Row: X17."""
    zone.records = {"_kcoro._tcp.jobs.example. SRV": [f"1 1 7000 t{i}.example." for i in range(200)]}
    zone.records |= {f"t{i}.example. A": ["10.0.0.1"] for i in range(200)}
    assert len(resolver(zone).resolve(question("kcoro"))) == MOST_SERVICES
    assert len(zone.asked) == 1 + 2 * MOST_SERVICES


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "x." * 200 + "example", "bad..name", "\u2603" * 80])
def test_a_name_that_is_none_is_told_and_nobody_is_asked(zone: Zone, host: str) -> None:
    """Row: X17."""
    assert text_of(ask(question(host=host, seconds=SOON), TCP, [resolver(zone)]))
    assert zone.asked == []


@pytest.mark.parametrize("servers", ["nameserver", "10.0.0.1:x", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1, what"])
def test_servers_are_numeric_addresses(servers: str) -> None:
    """Row: X17."""
    said = text_of(ask(question(), TCP, [Dns(servers)]))
    assert "is no numeric address, as 10.0.0.10 or 127.0.0.1:5353 is" in said
