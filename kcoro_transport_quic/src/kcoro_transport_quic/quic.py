# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What QUIC is set to here: version 1 with TLS 1.3, a certificate of the server in any case, and of no client.

Rule 1: nobody but who says ``kcoro/1`` in the handshake (ALPN), on both sides.
Rule 2: no library in use can ask a client for its certificate and verify it, so whoever asks for that is refused
(NotSupported) before anything listens; nobody is ever called verified here.
Rule 3: sessions are not resumed and no data goes ahead of a handshake (0-RTT): that could be played back.
Rule 4: a connection ends by what kcoro says of silence, not by what QUIC does.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from kcoro_core.errors import NotSupported

from . import library

__all__ = ["ALPN", "QuicOptions", "check_identity", "client_settings", "explained", "server_settings"]

ALPN: Final = "kcoro/1"
"""What both sides have to name as the protocol within, so that no other service is talked to by mistake."""
MOST_DATAGRAM_FRAME: Final = 65_535
"""Bytes of the largest DATAGRAM frame that is taken (RFC 9221): no packet holds more."""
NEVER_SECONDS: Final = 1e9
"""How long QUIC itself waits for a sign of life."""
FIRST_RTT_SECONDS: Final = 0.1
"""The round trip that is assumed before one was measured: the first packets are sent again after about three of it."""
WINDOW_BYTES: Final = 16 << 20
"""What may be under way in one connection, and in one stream of it, as QUIC counts it: the outer bound."""


def _from_environment(variable: str) -> Any:
    return field(factory=lambda: os.environ.get(variable, ""))


@define(kw_only=True)
class QuicOptions:
    """What ``config`` may say; files that it leaves out are those that ``KCORO_TLS_CERTFILE`` and others name.

    ``certfile`` and ``keyfile``: who a server is, in PEM, the key also in the first. ``cafile``: whom a client trusts.
    ``server_name``: what the server's certificate has to be for, if that is not the host of the address.
    ``client_certs``: ``"none"``; anything else is refused. ``library``: ``"qh3"`` or ``"aioquic"``, if that is not what
    ``KCORO_QUIC_LIBRARY`` says. ``datagram_size``: bytes of the largest UDP datagram.
    ``pacing``: whether packets of one window leave one by one, or as fast as they can; ``KCORO_QUIC_PACING=0`` is for
    clocks that jump, on which a wait of microseconds would be seen.
    """

    backlog: int = 64
    connect_timeout: float = 10.0
    resolver: str = ""
    handshake_timeout: float = 10.0
    certfile: str = _from_environment("KCORO_TLS_CERTFILE")
    keyfile: str = _from_environment("KCORO_TLS_KEYFILE")
    cafile: str = _from_environment("KCORO_TLS_CAFILE")
    server_name: str = ""
    client_certs: str = "none"
    library: str = field(factory=lambda: os.environ.get("KCORO_QUIC_LIBRARY", "") or library.DEFAULT)
    datagram_size: int = 1200
    pacing: bool = field(factory=lambda: os.environ.get("KCORO_QUIC_PACING") != "0")


def check_identity(options: QuicOptions, config: Mapping[str, Any], serves: bool) -> None:
    """Refuse what would only look like knowing the client.

    :raises NotSupported: a client's certificate is asked for, or brought. ValueError: ``client_certs`` is no such word.
    """
    if options.client_certs not in ("none", "optional", "required"):
        raise ValueError(f'quic: client_certs has to be "none", "optional" or "required", not {options.client_certs!r}')
    brings = not serves and ("certfile" in config or "keyfile" in config)
    if options.client_certs != "none" or brings:
        raise NotSupported(
            f"quic: {options.library} does not verify the certificate of a client, so nobody's identity would be "
            "known; use tls: where clients have certificates, or let them prove who they are within the link"
        )


def client_settings(options: QuicOptions, host: str) -> Any:
    """How to dial: the server's certificate has to be valid, for that name.

    :raises ValueError: a file cannot be read, or is something else.
    """
    paths = ssl.get_default_verify_paths()
    if options.cafile:
        _check_authorities(options.cafile)
    settings = library.configuration(
        options.library,
        is_client=True,
        verify_mode=ssl.CERT_REQUIRED,
        server_name=options.server_name or host,
        cafile=options.cafile or paths.cafile,
        capath=None if options.cafile else paths.capath,
        **_common(options),
    )
    if hasattr(settings, "probe_datagram_size"):
        settings.probe_datagram_size = False  # the size is what the options say, as with the other library
    return settings


def server_settings(options: QuicOptions) -> Any:
    """How to listen.

    :raises ValueError: a file is not named, cannot be read, or is something else.
    """
    if not options.certfile:
        raise ValueError("quic: a server needs certfile=, the path of a PEM file that says who it is")
    settings = library.configuration(options.library, is_client=False, **_common(options))
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # which says more of what is wrong than the libraries do
        context.load_cert_chain(options.certfile, options.keyfile or None, _no_password)
        settings.load_cert_chain(options.certfile, options.keyfile or options.certfile)
    except (OSError, ssl.SSLError, IndexError, TypeError, AssertionError) as error:
        files = f"certfile={options.certfile!r}, keyfile={options.keyfile!r}"
        raise ValueError(f"quic: {files} are no certificate with its key in PEM: {error}") from error
    return settings


def explained(code: int, reason: str) -> str:
    """What an end that a library tells means, with what to do where that is known."""
    if code == 0:
        return "the other side closed the connection"
    text = _ALERTS.get(code - _ALERT) if 0 <= code - _ALERT < 256 else None
    if text is None:
        return f"QUIC failed with error {code:#x}{f': {reason}' if reason else ''}"
    return f"{text}{f': {reason}' if reason else ''}"


def is_permanent(code: int) -> bool:
    """Whether the next connection would end alike: one side refuses what the other is, or speaks.

    A certificate whose time has not come is not told from one whose time is over.
    """
    return code - _ALERT in _ALERTS


_ALERT: Final = 0x100  # CRYPTO_ERROR, to which the alert of TLS is added
_ALERTS: Final = {
    40: "TLS fails between the two sides",
    42: "a certificate is refused",
    43: "a certificate is refused",
    45: "a certificate is refused, which has expired",
    46: "a certificate is refused",
    48: "a certificate is refused, whose authority is not trusted",
    70: "TLS fails: one side does not speak TLS 1.3",
    116: "TLS fails: a certificate is required",
    120: f"the two sides do not both name {ALPN} within TLS (ALPN); is the other one a kcoro program?",
}


def _common(options: QuicOptions) -> dict[str, Any]:
    return {
        "alpn_protocols": [ALPN],
        "idle_timeout": NEVER_SECONDS,
        "initial_rtt": FIRST_RTT_SECONDS,
        "max_data": WINDOW_BYTES,
        "max_stream_data": WINDOW_BYTES,
        "max_datagram_size": _checked_size(options.datagram_size),
        "max_datagram_frame_size": MOST_DATAGRAM_FRAME,
    }


def _checked_size(size: int) -> int:
    if not 1200 <= size <= 65527:
        raise ValueError(f"quic: datagram_size={size!r} has to be 1200 to 65527 bytes")
    return int(size)


def _check_authorities(cafile: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=cafile)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"quic: cafile={cafile!r} holds no certificates of authorities in PEM: {error}") from error


def _no_password() -> str:
    # Without this the library would ask at the terminal, and everything would wait.
    raise ValueError("quic: the key is protected by a password, which nobody could type here; store it without one")
