# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One connection over TLS: a TCP connection whose bytes go through the engine of the standard library, in memory.

    frames -> encrypt -> backlog -> socket          socket -> incoming -> decrypt -> decoder -> frames

Rule 1: no byte of a frame is given to the engine, and none is taken from it, before the handshake is over, the protocol
within is ours, and the certificate is verified.
Rule 2: all that was read is decrypted at once, so that nothing waits where no descriptor shows it.
Rule 3: an end without a goodbye of TLS is a broken connection: somebody on the way may have cut it.
Rule 4: what the engine answers by itself waits behind the frames; who asks for more than he reads is cut off.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import READ, WRITE, PollSpec
from kcoro_core.transports.host_port import Address
from kcoro_core.transports.stream import MOST_READ_BYTES, READ_BYTES

from .link import Connection, check_port, named, prepare, unconnected
from .tls import ALPN, TlsOptions, client_context, explained, identity_of, is_permanent

__all__ = ["TlsConnection", "accepted", "dial", "kcoro_send_frame"]

MOST_REPLIES_BYTES: Final = READ_BYTES
"""How much the engine may have answered by itself while the kernel takes nothing, besides the backlog of frames."""
CUT: Final = "it ended without a goodbye of TLS, so that something may be missing"


@define(eq=False, repr=False)
class TlsConnection(Connection):
    """One end of a connection; ``connecting`` is over when TCP is there, and ``shaking`` the handshake of TLS."""

    tls: ssl.SSLObject = field(kw_only=True)
    incoming: ssl.MemoryBIO = field(kw_only=True)
    outgoing: ssl.MemoryBIO = field(kw_only=True)
    handshake_timeout: float = field(default=10.0, kw_only=True)
    shaking: bool = field(default=False, init=False)
    handshake_by: float | None = field(default=None, init=False)
    replies_bytes: int = field(default=0, init=False)

    # -- connecting

    def connected(self) -> None:
        """TCP is there: begin the handshake, within connecting."""
        self.shaking = True
        self._shake()

    def connected_by_now(self) -> bool:
        """Never unseen: the handshake goes on in pumps alone."""
        return not self.connecting and self.end is None

    def connect_on(self, now: float, ready: int) -> None:
        """Go on with TCP, then with the handshake, until it has ended or takes too long."""
        if not self.shaking:
            super().connect_on(now, ready)
        if not self.shaking or self.end is not None:
            return
        if self.handshake_by is None:
            self.handshake_by = now + self.handshake_timeout
        if self._read(READ_BYTES):
            self._shake()
        self.flush()
        if self.connecting and now >= self.handshake_by:
            self.give_up(f"the TLS handshake took longer than {self.handshake_timeout:g} s")

    def connect_poll(self) -> PollSpec:
        """As TCP; then what comes of the handshake, and when it has taken too long."""
        if not self.shaking:
            return super().connect_poll()
        want = READ | (WRITE if self.backlog else 0)
        first = self.handshake_by is None
        return PollSpec(fd=self.sock.fileno(), want=want, deadline=self.handshake_by, ready_now=first)

    def _shake(self) -> None:
        """Go on with the handshake; at its end look whom it was made with, and for what."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self.give_up("the other side ended within the TLS handshake")
        except ssl.SSLError as error:
            self.give_up(explained(error), is_permanent(error))
        else:
            self._shaken()
        self._collect()

    def _shaken(self) -> None:
        said = self.tls.selected_alpn_protocol()
        if said != ALPN:
            self.say_goodbye()
            reason = f"the other side does not offer {ALPN} within TLS (ALPN); is it a kcoro program?"
            self.give_up(reason, permanent=True)
            return
        self.peer = identity_of(self.tls)
        self.connecting = False
        self.reading = PollSpec(fd=self.sock.fileno(), want=READ)
        self._decrypt()  # frames may have come together with the last of the handshake

    # -- frames

    def encrypt(self, data: bytes) -> None:
        """Put bytes behind the backlog, as TLS sends them."""
        left = memoryview(data)
        try:
            while left:
                left = left[self.tls.write(left) :]
        except ssl.SSLError as error:
            self.tx_end = self.error(f"the other side does not take frames any more: {explained(error)}")
        self._collect()

    def fill(self) -> None:
        """Read once, and decrypt all of it."""
        if self._read(MOST_READ_BYTES if self.read_was_full else READ_BYTES):
            self._decrypt()
            before = self.replies_bytes if self.backlog else 0
            self.replies_bytes = before + self._collect()
            if self.replies_bytes > MOST_REPLIES_BYTES:
                self.finish("the other side asks for replies of TLS and does not read them")

    def _read(self, size: int) -> bool:
        """Read once from the socket; whether anything has come, its end included."""
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return False
        except OSError as error:
            self.give_up(f"the connection broke: {error.strerror}")
            return False
        self.read_was_full = len(data) >= READ_BYTES
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()
        return True

    def _decrypt(self) -> None:
        """Hand everything that has come to the decoder, then tell an end."""
        pieces = []
        reason, permanent = "", False
        try:
            while piece := self.tls.read(READ_BYTES):
                pieces.append(piece)
            reason = "the other side closed the connection"
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            reason = "the other side closed the connection"
        except ssl.SSLEOFError:
            reason = f"the connection broke: {CUT}"
        except ssl.SSLError as error:
            reason, permanent = explained(error), is_permanent(error)
        if pieces:
            self.starved = False
            self.decoder.feed(b"".join(pieces))
        elif reason and self.decoder.buffered:
            reason = f"the connection broke inside a frame: {reason}"
        if reason:
            self.finish(reason, permanent)

    def _collect(self) -> int:
        """Move what the engine wants to send behind the backlog; how many bytes that is."""
        data = self.outgoing.read() if self.outgoing.pending else b""
        if data:
            self.backlog.append(data)
            self.backlog_bytes += len(data)
        return len(data)

    # -- ending

    def say_goodbye(self) -> None:
        """Put the goodbye of TLS behind the last frame."""
        try:
            self.tls.unwrap()
        except (ssl.SSLError, ValueError):
            pass  # it is written; the other side's need not be waited for
        self._collect()

    def leave(self) -> None:
        """Close after the end has come by itself: what says why still goes out."""
        self.closing = True
        self.flush()
        self.close_when_flushed()


@hookimpl
def kcoro_send_frame(conn: TlsConnection, header: bytes, parts: Sequence[bytes], lane: int) -> bool:
    """Accept a frame whole, or answer False; it goes out with the next pump."""
    if conn.end is not None or conn.tx_end is not None:
        conn.raise_if_unsendable()
    if conn.connecting:
        return False
    if conn.backlog_bytes and not conn.makes_room(len(header) + sum(map(len, parts))):
        return False
    conn.encrypt(b"".join((header, *parts)))
    return True


def engine(context: ssl.SSLContext, server_name: str | None) -> dict[str, Any]:
    """The fields of a connection that its engine fills; a side without the name of a server is one."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_name is None, server_name)
    return {"tls": tls, "incoming": incoming, "outgoing": outgoing}


def dial(address: Address, options: TlsOptions) -> TlsConnection:
    """A connection that has begun.

    :raises ValueError: there is no port, or a file is not what it should be.
    """
    check_port(address)
    context = client_context(options)
    conn = TlsConnection(
        unconnected(),
        name=str(address),
        lingers=True,
        patience=options.connect_timeout,
        resolver=options.resolver,
        handshake_timeout=options.handshake_timeout,
        **engine(context, options.server_name or address.certified),
    )
    conn.begin(address)
    return conn


def accepted(sock: socket.socket, context: ssl.SSLContext, handshake_timeout: float) -> TlsConnection:
    """Our end of a connection that somebody has made, at the beginning of its handshake."""
    prepare(sock)
    conn = TlsConnection(
        sock,
        name=named(sock, "tls"),
        lingers=True,
        handshake_timeout=handshake_timeout,
        **engine(context, None),
    )
    conn.connecting = True
    conn.connected()
    return conn
