# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The resolver ``dns``: A and AAAA records of a name, or the SRV records of a service and those of their targets.

dnspython asks and reads (extra ``dns``): it takes an answer only from whom it asked, to that question, and over TCP
when it was cut short. Servers and search list are those of ``/etc/resolv.conf``, unless others are named.

Rule 1: nothing is kept from one look-up to the next, so that a loop that dials again sees what is there by then. The
times to live are therefore not looked at.
Rule 2: a target of SRV is asked for as it stands, and its additional records are not believed.
Rule 3: however much comes, no more than so many targets are followed, and no longer than was allowed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from ..errors import NotFound, TransportError
from .file import is_numeric
from .order import Service, alternating, by_weight
from .protocol import Place, Question

if TYPE_CHECKING:
    from dns.resolver import Resolver

__all__ = ["MOST_SERVICES", "Dns"]

MOST_SERVICES: Final = 16
"""How many targets of SRV records are followed, those with the best priorities; each costs two questions."""
TRY_SECONDS: Final = 2.0
"""After how long without an answer the next server is asked, and a family given up if the other has answered."""
PORT: Final = 53


class Dns:
    """Asks ``servers``, a list of addresses with commas; the empty text stands for those of the system."""

    name = "dns"

    def __init__(self, servers: str = "", chance: Random | None = None) -> None:
        self._servers = servers
        self._chance = chance or random.SystemRandom()

    def resolve(self, question: Question) -> Sequence[Place]:
        """Addresses of the name, or of those who offer the service, as RFC 2782 orders them."""
        asking = _Asking(self._resolver(), time.monotonic() + question.seconds, self._chance)
        if question.service:
            return asking.services(f"_{question.service}._{question.protocol}.{question.host}")
        return asking.places(question.host, question.port, search=True)

    def _resolver(self) -> Resolver:
        import dns.exception
        import dns.nameserver
        import dns.resolver

        try:
            servers = _servers(self._servers)
        except ValueError as error:
            raise TransportError(str(error), permanent=True) from error
        try:
            made = dns.resolver.Resolver(configure=not servers)
        except dns.exception.DNSException as error:
            raise TransportError(f"{error} name servers with KCORO_DNS_SERVERS") from error
        if servers:
            made.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
        made.timeout = TRY_SECONDS
        return made


@define
class _Asking:
    """One look-up under way, and until when."""

    resolver: Resolver
    until: float
    chance: Random

    def places(self, host: str, port: int, search: bool) -> list[Place]:
        """The addresses of a name with that port, both families in turn, each in an order of its own by chance.

        A is asked for first: there are servers that say nothing to AAAA, which then costs one try and not half the time
        (RFC 4074, 4.1). What was found for AAAA still comes first.
        """
        failures: list[Exception] = []
        found: list[Place] = []
        for kind in ("A", "AAAA"):
            seconds = self._left() if kind == "AAAA" and not found else self._left() / 2
            if found:
                seconds = min(seconds, TRY_SECONDS)
            try:
                records = self._ask(host, kind, search, seconds)
            except (NotFound, TransportError) as error:
                failures.append(error)
                continue
            self.chance.shuffle(records)
            found[:0] = [(record.address, port) for record in records]
        if not found:
            # A server that answers nothing is more worth telling than a family that is not there.
            raise next((error for error in failures if isinstance(error, TransportError)), failures[0])
        return alternating(found)

    def services(self, name: str) -> list[Place]:
        """Where the service of that name is offered."""
        records = self._ask(name, "SRV", True, self._left())
        offered = [Service(r.priority, r.weight, r.port, r.target.to_text()) for r in records if r.port]
        offered = [service for service in offered if service.target != "."]
        if not offered:
            raise NotFound(f"{name} says that nobody offers this service")
        found: list[Place] = []
        failure: Exception | None = None
        for service in by_weight(offered, self.chance)[:MOST_SERVICES]:
            try:
                found += self.places(service.target, service.port, search=False)
            except (NotFound, TransportError) as error:
                failure = error
        if not found and failure is not None:
            raise failure
        return found

    def _left(self) -> float:
        return self.until - time.monotonic()

    def _ask(self, name: str, kind: str, search: bool, seconds: float) -> list[Any]:
        import dns.exception
        import dns.resolver

        asked = f"{self._whom()} for {kind} of {name}"
        if seconds <= 0:
            raise TransportError(f"no time was left to ask {asked}")
        if is_numeric(name.removesuffix(".")):
            raise NotFound(f"{name} is an address and no name")
        try:
            answer = self.resolver.resolve(name, kind, search=search, lifetime=seconds)
        except dns.resolver.NXDOMAIN as error:
            raise NotFound(f"asked {asked}: there is no such name") from error
        except dns.resolver.NoAnswer as error:
            raise NotFound(f"asked {asked}: it has none") from error
        except (dns.exception.DNSException, OSError, ValueError, EOFError) as error:
            raise TransportError(f"asked {asked}: {error}") from error
        return list(answer.rrset or ())

    def _whom(self) -> str:
        return ", ".join(str(server).removeprefix("Do53:").replace("@", ":") for server in self.resolver.nameservers)


def _servers(text: str) -> list[Place]:
    """The servers that a setting names.

    :raises ValueError: one of them is no address.
    """
    return [_server(part.strip()) for part in text.split(",") if part.strip()]


def _server(text: str) -> Place:
    if is_numeric(text.strip("[]")):
        return text.strip("[]"), PORT
    host, _, port = text.rpartition(":")
    if is_numeric(host.strip("[]")) and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return host.strip("[]"), int(port)
    raise ValueError(f"KCORO_DNS_SERVERS: {text!r} is no numeric address, as 10.0.0.10 or 127.0.0.1:5353 is")
