# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Certificates for tests of ``tls:``, good ones and bad ones, as files; each run has its own authority."""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import tempfile
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["ITSELF", "Party", "environment", "party"]

Party = dict[str, Any]
"""Options of ``tls:`` that say who somebody is and whom he trusts."""

ITSELF = "itself"
"""In the place of an authority: the certificate is signed by its own key, for its own subject."""
HOSTS = ("localhost", "127.0.0.1", "::1")


@functools.cache
def authority(name: str) -> trustme.CA:
    return trustme.CA(organization_name=name)


@functools.cache
def folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kc-certificates-")


@functools.cache
def trusted_file(name: str) -> str:
    path = Path(folder().name, f"{name}.ca.pem")
    authority(name).cert_pem.write_to_path(str(path))
    return str(path)


@functools.cache
def _files(name: str, by: str, hosts: tuple[str, ...], expired: bool) -> tuple[str, str]:
    if by == ITSELF:
        return _of_its_own(name, hosts)
    now = dt.datetime.now(dt.UTC)
    span: dict[str, Any] = {}
    if expired:
        span = {"not_before": now - dt.timedelta(days=9), "not_after": now - dt.timedelta(days=1)}
    who = {"common_name": name, "organization_unit_name": "tests", "organization_name": "example"}
    made = authority(by).issue_cert(*hosts, **who, **span)
    path = Path(folder().name, f"{name}-{by}-{len(hosts)}-{expired}")
    made.private_key_pem.write_to_path(f"{path}.key")
    for i, pem in enumerate(made.cert_chain_pems):
        pem.write_to_path(f"{path}.pem", append=i > 0)
    return f"{path}.pem", f"{path}.key"


def _of_its_own(name: str, hosts: tuple[str, ...]) -> tuple[str, str]:
    """What ``openssl req -x509`` would make."""
    now = dt.datetime.now(dt.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names = [x509.IPAddress(ipaddress.ip_address(h)) if ":" in h or h[0].isdigit() else x509.DNSName(h) for h in hosts]
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = Path(folder().name, f"{name}-{ITSELF}")
    path.with_suffix(".pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.with_suffix(".key").write_bytes(key.private_bytes(*form))
    return f"{path}.pem", f"{path}.key"


def party(
    name: str = "worker",
    by: str = "ours",
    trusts: str = "ours",
    hosts: tuple[str, ...] = HOSTS,
    expired: bool = False,
) -> Party:
    """A party with a certificate for ``name`` that the authority ``by`` has issued."""
    certfile, keyfile = _files(name, by, hosts, expired)
    return {"certfile": certfile, "keyfile": keyfile, "cafile": trusted_file(trusts)}


def environment() -> dict[str, str]:
    """The variables by which every end of this process becomes one party."""
    return {f"KCORO_TLS_{name.upper()}": path for name, path in party().items()}
