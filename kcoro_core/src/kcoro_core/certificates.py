# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Certificates that are good for a while and for nobody else: an authority, a server and a client, by trustme.

Rule 1: the key of the authority is written nowhere, so that nobody can add to what was issued.
Rule 2: a file with a key can be read by this user alone, from the first moment on.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Final

from .errors import AlreadyExists, NotSupported

__all__ = ["FILES", "HOSTS", "write"]

HOSTS: Final = ("localhost", "127.0.0.1", "::1")
"""Whom a certificate is for in any case: this machine."""
FILES: Final = ("ca.pem", "server.pem", "client.pem")
"""What is written: whom to trust, and who the two sides are."""


def write(into: Path, hosts: list[str], client: str) -> None:
    """Write ``ca.pem``, ``server.pem`` and ``client.pem``; keys stand beside their certificates, for this user alone.

    :raises NotSupported: trustme is not installed. AlreadyExists: a file is there; nothing was written.
    """
    if importlib.util.find_spec("trustme") is None:
        raise NotSupported(
            "certificates are made by trustme, which is not installed: pip install 'kcoro-core[dev-certs]'"
        )
    import trustme

    present = [str(into / name) for name in FILES if (into / name).exists()]
    if present:
        raise AlreadyExists(f"{', '.join(present)}: is there already; remove it, or choose another folder (--into)")
    into.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="kcoro dev-certs")
    issued = {
        "server.pem": authority.issue_cert(*hosts, common_name="server"),
        "client.pem": authority.issue_cert(*HOSTS, common_name=client),
    }
    _write(into / "ca.pem", authority.cert_pem.bytes())
    for name, certificate in issued.items():
        _write(into / name, certificate.private_key_and_cert_chain_pem.bytes())


def _write(path: Path, pem: bytes) -> None:
    """A new file that only this user can read from the first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
