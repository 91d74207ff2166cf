# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Addresses ``host:port``: how they are written, and which need no look-up (``lookup.py`` has those that do).

    127.0.0.1:7000 · [::1]:7000 · localhost:7000 · jobs.example.org:7000 · :7000 (this machine alone) · :0 (any port)
    jobs.example.org:kcoro (whoever offers the service ``kcoro`` there, at whatever port)

A transport whose sockets have such addresses reads them here; ``kind`` is TCP or UDP, as its sockets are.

Rule 1: what is numeric, empty or ``localhost`` is never looked up.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any, Final

from attrs import frozen

__all__ = [
    "TCP",
    "UDP",
    "Address",
    "SocketKind",
    "Target",
    "format_host",
    "is_loopback",
    "numeric",
    "parse",
    "targets",
]

SocketKind = tuple[socket.SocketKind, int]
"""What is looked up for: the type of the sockets, and their protocol."""
TCP: Final[SocketKind] = (socket.SOCK_STREAM, socket.IPPROTO_TCP)
"""For transports that connect stream sockets, as ``tcp:`` and ``tls:``."""
UDP: Final[SocketKind] = (socket.SOCK_DGRAM, socket.IPPROTO_UDP)
"""For transports that send datagrams themselves, as ``quic:``."""

SERVICE: Final = re.compile(r"(?=.{1,15}\Z)(?=.*[A-Za-z])[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
"""What a service is called (RFC 6335): up to 15 letters, digits and single hyphens, a letter among them."""
LOCAL: Final = ("127.0.0.1", "::1")
"""What ``localhost`` stands for, wherever a program runs: this machine, and in which order."""


@frozen
class Address:
    """Where to connect to or listen at, as it was written; an empty host is this machine.

    ``service`` stands in place of a port, which is 0 then, and leads to whoever offers it at the host.
    """

    scheme: str
    host: str
    port: int
    service: str = ""

    @property
    def names(self) -> str:
        """The host, or what stands for an empty one."""
        return self.host or LOCAL[0]

    @property
    def certified(self) -> str:
        """Whom a certificate has to be for: the host as it was written, wherever a look-up leads; no dot at its end."""
        return self.names.removesuffix(".") or self.names

    def __str__(self) -> str:
        return f"{self.scheme}:{format_host(self.names)}:{self.service or self.port}"


@frozen
class Target:
    """One address of a socket: the family, and what the system's calls take."""

    family: socket.AddressFamily
    place: tuple[Any, ...]

    @property
    def host(self) -> str:
        """The numeric host."""
        return str(self.place[0])

    def __str__(self) -> str:
        return f"{format_host(self.host)}:{self.place[1]}"


def format_host(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a numeric host is this machine, so that nothing leaves it."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def parse(uri: str) -> Address:
    """Read ``scheme:host:port``; nothing behind the scheme stands for any free port of this machine.

    :raises ValueError: it is something else.
    """
    scheme, _, text = uri.partition(":")
    if not text:
        return Address(scheme, "", 0)
    host, colon, port = text.rpartition(":")
    service = port if SERVICE.fullmatch(port) else ""
    if not colon or not (service or (port.isascii() and port.isdigit() and int(port) <= 65535)):
        raise ValueError(f"{uri!r}: an address is a host, a colon and a port, as in {scheme}:127.0.0.1:7000")
    host = _host(uri, scheme, host)
    if not service:
        return Address(scheme, host, int(port))
    address = Address(scheme, host, 0, service)
    if not host or targets(address, TCP):
        raise ValueError(f"{uri!r}: {service!r} is a service, which a name offers, as {scheme}:jobs.example:{service}")
    return address


def _host(uri: str, scheme: str, host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host or not numeric(host, 0, TCP):
            raise ValueError(f"{uri!r}: within brackets stands an IPv6 address, as in {scheme}:[::1]:7000")
    elif ":" in host:
        raise ValueError(f"{uri!r}: an IPv6 address stands in brackets, as in {scheme}:[::1]:7000")
    if any(letter in " /?#@\0\\%" and not (letter == "%" and ":" in host) for letter in host):
        raise ValueError(f"{uri!r}: {host!r} is no host, and options are passed beside the address")
    return host


def targets(address: Address, kind: SocketKind) -> list[Target]:
    """Where an address leads that needs no look-up; none if it is a name that does."""
    hosts = LOCAL if address.host in ("", "localhost") else (address.host,)
    if not address.host:
        hosts = LOCAL[:1]
    found = (numeric(host, address.port, kind) for host in hosts)
    return [target for some in found for target in some]


def numeric(host: str, port: int, kind: SocketKind) -> list[Target]:
    """A host that is an address already, with a port; nothing if it is a name."""
    try:
        answers = socket.getaddrinfo(host, port, socket.AF_UNSPEC, *kind, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [Target(socket.AddressFamily(family), place) for family, _, _, _, place in answers]
