# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Addresses ``host:port``: how they are written, which need no look-up, and how one is looked up without waiting.

    127.0.0.1:7000 · [::1]:7000 · localhost:7000 · jobs.example.org:7000 · :7000 (this machine alone) · :0 (any port)

A transport whose sockets have such addresses reads and looks them up here; ``kind`` is TCP or UDP, as its sockets are.

Rule 1: what is numeric, empty or ``localhost`` is never looked up.
Rule 2: a name is looked up in a thread of its own, whose answer shows on a descriptor; nobody ever waits for it.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

__all__ = [
    "TCP",
    "UDP",
    "Address",
    "Lookup",
    "SocketKind",
    "Target",
    "alternating",
    "format_host",
    "is_loopback",
    "parse",
    "targets",
]

SocketKind = tuple[socket.SocketKind, int]
"""What is looked up for: the type of the sockets, and their protocol."""
TCP: Final[SocketKind] = (socket.SOCK_STREAM, socket.IPPROTO_TCP)
"""For transports that connect stream sockets, as ``tcp:`` and ``tls:``."""
UDP: Final[SocketKind] = (socket.SOCK_DGRAM, socket.IPPROTO_UDP)
"""For transports that send datagrams themselves, as ``quic:``."""

LOCAL: Final = ("127.0.0.1", "::1")
"""What ``localhost`` stands for, wherever a program runs: this machine, and in which order."""


@frozen
class Address:
    """Where to connect to or listen at, as it was written; an empty host is this machine."""

    scheme: str
    host: str
    port: int

    @property
    def names(self) -> str:
        """The host, or what stands for an empty one."""
        return self.host or LOCAL[0]

    def __str__(self) -> str:
        return f"{self.scheme}:{format_host(self.names)}:{self.port}"


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
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{uri!r}: an address is a host, a colon and a port, as in {scheme}:127.0.0.1:7000")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _numeric(socket.AF_INET6, host, 0, TCP):
            raise ValueError(f"{uri!r}: within brackets stands an IPv6 address, as in {scheme}:[::1]:7000")
    elif ":" in host:
        raise ValueError(f"{uri!r}: an IPv6 address stands in brackets, as in {scheme}:[::1]:7000")
    if any(letter in " /?#@\0\\%" and not (letter == "%" and ":" in host) for letter in host):
        raise ValueError(f"{uri!r}: {host!r} is no host, and options are passed beside the address")
    return Address(scheme, host, int(port))


def targets(address: Address, kind: SocketKind) -> list[Target]:
    """Where an address leads that needs no look-up; none if it is a name that does."""
    hosts = LOCAL if address.host in ("", "localhost") else (address.host,)
    if not address.host:
        hosts = LOCAL[:1]
    found = (_numeric(socket.AF_UNSPEC, host, address.port, kind) for host in hosts)
    return [target for some in found for target in some]


def _numeric(family: int, host: str, port: int, kind: SocketKind) -> list[Target]:
    try:
        return _looked_up(host, port, kind, socket.AI_NUMERICHOST, family)
    except (OSError, UnicodeError):
        return []


def _looked_up(host: str, port: int, kind: SocketKind, flags: int = 0, family: int = socket.AF_UNSPEC) -> list[Target]:
    answers = socket.getaddrinfo(host, port, family, *kind, flags)
    return [Target(socket.AddressFamily(found), place) for found, _, _, _, place in answers]


class Lookup:
    """A name that is being looked up: ``sock`` becomes readable when ``answer`` is there.

    The system's function cannot be stopped, so a look-up that nobody waits for any more ends by itself, as late as the
    system gives up; it keeps one thread and one descriptor until then.
    """

    def __init__(self, host: str, port: int, kind: SocketKind) -> None:
        self.answer: Sequence[Target] | str | None = None
        """None before it has come; a text says why there is none."""
        self.sock, self._told = socket.socketpair()
        self.sock.setblocking(False)
        threading.Thread(
            target=self._look_up, args=(host, port, kind), name=f"kcoro looks up {host}", daemon=True
        ).start()

    def _look_up(self, host: str, port: int, kind: SocketKind) -> None:
        try:
            self.answer = alternating(_looked_up(host, port, kind))
        except (OSError, UnicodeError) as error:
            self.answer = getattr(error, "strerror", None) or str(error)
        finally:
            self._told.close()


def alternating(found: Sequence[Target]) -> list[Target]:
    """The system's order, but with the families in turn: one that leads nowhere then costs one attempt."""
    first = [target for target in found if target.family == found[0].family]
    other = [target for target in found if target.family != found[0].family]
    mixed = []
    for i in range(max(len(first), len(other))):
        mixed += first[i : i + 1] + other[i : i + 1]
    return mixed
