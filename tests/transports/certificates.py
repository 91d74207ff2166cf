# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Certificates for tests of ``tls:``, good ones and bad ones, as files; each run has its own authority."""

from __future__ import annotations

import datetime as dt
import functools
import tempfile
from pathlib import Path
from typing import Any

import trustme

__all__ = ["Party", "environment", "party"]

Party = dict[str, Any]
"""Options of ``tls:`` that say who somebody is and whom he trusts."""

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
