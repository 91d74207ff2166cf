# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What TLS is set to here: version 1.3, a certificate of the server in any case, and of the client by default.

Rule 1: nothing but TLS 1.3, and nobody but who says ``kcoro/1`` in the handshake (ALPN).
Rule 2: whom a server trusts is named by ``cafile``; the authorities of the system vouch for servers, never for clients.
Rule 3: an identity is what the library has verified; without a certificate it is nobody's.
"""

from __future__ import annotations

import os
import ssl
from typing import Any, Final

from attrs import define, field

from kcoro_core.transport import Identity
from kcoro_core.transports.stream import NOBODY

__all__ = ["ALPN", "TlsOptions", "client_context", "explained", "identity_of", "is_permanent", "server_context"]

ALPN: Final = "kcoro/1"
"""What both sides have to name as the protocol within, so that no other service is talked to by mistake."""


def _from_environment(variable: str) -> Any:
    return field(factory=lambda: os.environ.get(variable, ""))


@define(kw_only=True)
class TlsOptions:
    """What ``config`` may say; files that it leaves out are those that ``KCORO_TLS_CERTFILE`` and others name.

    ``certfile`` and ``keyfile``: who we are, in PEM, the key also in the first. ``cafile``: whom we trust.
    ``server_name``: what the server's certificate has to be for, if that is not the host of the address.
    ``client_certs``: ``"required"``, or ``"optional"``, which leaves a client without one to ``authorize=``.
    """

    backlog: int = 64
    connect_timeout: float = 10.0
    resolver: str = ""
    handshake_timeout: float = 10.0
    certfile: str = _from_environment("KCORO_TLS_CERTFILE")
    keyfile: str = _from_environment("KCORO_TLS_KEYFILE")
    cafile: str = _from_environment("KCORO_TLS_CAFILE")
    server_name: str = ""
    client_certs: str = "required"


def client_context(options: TlsOptions) -> ssl.SSLContext:
    """How to dial: the server's certificate has to be valid, for that name.

    :raises ValueError: a file cannot be read, or is something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and name
    if options.cafile:
        _trust(context, options.cafile)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return _common(context, options)


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """How to listen.

    :raises ValueError: a file is not named, cannot be read, or is something else.
    """
    if options.client_certs not in ("required", "optional"):
        raise ValueError(f'tls: client_certs has to be "required" or "optional", not {options.client_certs!r}')
    for name, purpose in (("certfile", "says who it is"), ("cafile", "names whom it trusts")):
        if not getattr(options, name):
            raise ValueError(f"tls: a server needs {name}=, the path of a PEM file that {purpose}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED if options.client_certs == "required" else ssl.CERT_OPTIONAL
    context.num_tickets = 0  # sessions are not resumed: links live long, and each is verified anew
    _trust(context, options.cafile)
    return _common(context, options)


def identity_of(tls: ssl.SSLObject) -> Identity:
    """Who is at the other end, by the certificate that was verified; nobody if there is none."""
    certificate: Any = tls.getpeercert()
    if not certificate:
        return NOBODY
    names = tuple(f"{kind}:{name}" for kind, name in certificate.get("subjectAltName", ()))
    return Identity("certificate", verified=True, subject=distinguished(certificate["subject"]), names=names)


def distinguished(subject: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """A subject as RFC 4514 writes it: ``CN=worker,O=example``; what is special in a value has a backslash."""
    parts = ("+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in rdn) for rdn in subject)
    return ",".join(reversed(list(parts)))


def explained(error: ssl.SSLError) -> str:
    """What an error of the library means, with what to do where that is known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the other side is refused: {error.verify_message}"
    reason = error.reason or str(error)
    return _MEANINGS.get(reason, f"TLS failed: {reason.replace('_', ' ').lower()}")


def is_permanent(error: ssl.SSLError) -> bool:
    """Whether the next connection would end alike: one side refuses what the other is, or speaks.

    A certificate whose time has not come is none of these, nor is a cut, nor what somebody has changed on its way.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_code != _NOT_YET_VALID
    return error.reason in _MEANINGS and error.reason not in _TAMPERED


_NOT_YET_VALID: Final = 9
"""X509_V_ERR_CERT_NOT_YET_VALID: two clocks differ, or somebody is too early."""
_SHORT: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "domainComponent": "DC",
    "userId": "UID",
}
_NO_ALPN: Final = f"the other side does not offer {ALPN} within TLS (ALPN); is it a kcoro program?"
_TAMPERED: Final = dict.fromkeys(
    ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "RECORD_LAYER_FAILURE"),  # one thing, in different versions of the library
    "what came was changed on its way, or is no TLS",
)
_MEANINGS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the other side has shown no certificate, and has to",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the other side wants a certificate; pass certfile= and keyfile=",
    "TLSV1_ALERT_UNKNOWN_CA": "the other side does not trust the authority of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the other side refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the other side refuses our certificate, which has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the other side refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the other side refuses our certificate, which was revoked",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the other side accepts none of what was offered in the TLS handshake",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": _NO_ALPN,
    "TLSV13_ALERT_NO_APPLICATION_PROTOCOL": _NO_ALPN,
    "UNSUPPORTED_PROTOCOL": "the other side does not speak TLS 1.3",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the other side does not speak TLS 1.3",
    "WRONG_VERSION_NUMBER": "the other side does not speak TLS",
    "HTTP_REQUEST": "the other side does not speak TLS",
    **_TAMPERED,
}


def _escaped(value: str) -> str:
    text = "".join("\\" + letter if letter in '\\,+"<>;=' else letter for letter in value).replace("\0", "\\00")
    if text[:1] in ("#", " "):
        text = "\\" + text
    return text[:-1] + "\\ " if text[-1:] == " " and len(value) > 1 else text


def _trust(context: ssl.SSLContext, cafile: str) -> None:
    try:
        context.load_verify_locations(cafile=cafile)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"tls: cafile={cafile!r} holds no certificates of authorities in PEM: {error}") from error


def _common(context: ssl.SSLContext, options: TlsOptions) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    if options.certfile:
        try:
            context.load_cert_chain(options.certfile, options.keyfile or None, _no_password)
        except (OSError, ssl.SSLError) as error:
            files = f"certfile={options.certfile!r}, keyfile={options.keyfile!r}"
            raise ValueError(f"tls: {files} are no certificate with its key in PEM: {error}") from error
    elif options.keyfile:
        raise ValueError("tls: keyfile= needs certfile=, the certificate that the key belongs to")
    return context


def _no_password() -> str:
    # Without this the library would ask at the terminal, and everything would wait.
    raise ValueError("tls: the key is protected by a password, which nobody could type here; store it without one")
