# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A DNS server on this machine, over UDP and TCP at one port: what it answers, a test says, lies included."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from attrs import define, field

Answer = Callable[[dns.message.Message, bool], "dns.message.Message | bytes | None"]
"""What to say to a query that came over TCP or not; None: nothing at all."""


@define
class Zone:
    """Records by name and type, as in ``{"jobs.example. A": ["10.0.0.1"]}``; what is not there does not exist.

    ``lie`` answers in place of the records, if there is one. ``asked`` is what was asked, with how.
    """

    records: dict[str, list[str]] = field(factory=dict)
    lie: Answer | None = None
    cut: bool = False
    port: int = 0
    over: bool = False
    asked: list[str] = field(factory=list)

    @property
    def place(self) -> str:
        """Where it listens, as the setting ``dns_servers`` names it."""
        return f"127.0.0.1:{self.port}"

    def answer(self, query: dns.message.Message, over_tcp: bool) -> dns.message.Message | bytes | None:
        """The answer to a query; over UDP an empty one that was cut, where ``cut`` says so."""
        asked = query.question[0]
        kind = dns.rdatatype.to_text(asked.rdtype)
        self.asked.append(f"{asked.name} {kind}{' tcp' if over_tcp else ''}")
        if self.lie is not None:
            return self.lie(query, over_tcp)
        return self.honest(query, over_tcp)

    def honest(self, query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        """What the records say."""
        asked = query.question[0]
        name = asked.name.to_text()
        kind = dns.rdatatype.to_text(asked.rdtype)
        reply = dns.message.make_response(query)
        if self.cut and not over_tcp:
            reply.flags |= dns.flags.TC
            return reply
        known = {key.split()[0] for key in self.records}
        while (alias := self.records.get(f"{name} CNAME")) is not None:
            reply.answer.append(dns.rrset.from_text(name, 5, "IN", "CNAME", *alias))
            name = alias[0]
        if found := self.records.get(f"{name} {kind}"):
            reply.answer.append(dns.rrset.from_text(name, 5, "IN", kind, *found))
        elif name not in known:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply


@contextmanager
def serving(zone: Zone) -> Iterator[Zone]:
    """The server for the length of a block, at a port that is free for both."""
    udp, tcp = _pair()
    zone.port = udp.getsockname()[1]
    threads = [
        threading.Thread(target=serve, args=(zone, sock)) for serve, sock in ((_datagrams, udp), (_streams, tcp))
    ]
    for thread in threads:
        thread.start()
    try:
        yield zone
    finally:
        zone.over = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", zone.port))
        with suppress(OSError):
            tcp.shutdown(socket.SHUT_RDWR)  # which ends accept()
        for thread in threads:
            thread.join()
        udp.close()
        tcp.close()


def _pair() -> tuple[socket.socket, socket.socket]:
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:  # somebody has that port for TCP
            udp.close()


def _datagrams(zone: Zone, sock: socket.socket) -> None:
    while True:
        data, sender = sock.recvfrom(65535)
        if zone.over:
            return
        # Others' datagrams come here too: of a test beside this one, whose server had this port before.
        with suppress(dns.exception.DNSException):
            said = _said(zone, data, False)
            if said is not None:
                sock.sendto(said, sender)


def _streams(zone: Zone, sock: socket.socket) -> None:
    while True:
        try:
            conn, _ = sock.accept()
        except OSError:
            return
        with conn, suppress(dns.exception.DNSException, OSError):  # others come here too, and leave, as they do above
            data = conn.recv(65535)
            said = _said(zone, data[2:], True)
            if said is not None:
                conn.sendall(struct.pack("!H", len(said)) + said)


def _said(zone: Zone, data: bytes, over_tcp: bool) -> bytes | None:
    said = zone.answer(dns.message.from_wire(data), over_tcp)
    return said.to_wire(max_size=65535, want_shuffle=False) if isinstance(said, dns.message.Message) else said
