# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro dev-certs``: certificates to try ``tls:`` and ``quic:`` with, from an authority that is forgotten at once.

Exit code 2 when a file is there already, or trustme is not installed; nothing was written then.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
from pathlib import Path

from ..errors import AlreadyExists, NotSupported

SUMMARY = "write certificates for development: an authority, a server and a client"
EXAMPLE = """
kcoro dev-certs --into certs
kcoro dev-certs --into certs --host jobs.example --host 10.0.0.7 --client alice
eval "$(kcoro dev-certs --into certs)"      # this shell is the server now
"""

HOSTS = ("localhost", "127.0.0.1", "::1")
FILES = ("ca.pem", "server.pem", "client.pem")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro dev-certs``."""
    parser.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="where the files go (default: here)")
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="one more name or address of the server (repeat)"
    )
    parser.add_argument("--client", default="client", metavar="NAME", help="who the client is (default: client)")


def run(args: argparse.Namespace) -> int:
    """Write the files, and print what makes this shell the server."""
    write(args.into, [*HOSTS, *args.host], args.client)
    ca, server, client = (shlex.quote(str((args.into / name).absolute())) for name in FILES)
    print(f"export KCORO_TLS_CAFILE={ca}")
    print(f"export KCORO_TLS_CERTFILE={server}")
    print(f"# whoever dials: export KCORO_TLS_CERTFILE={client}")
    return 0


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
    # Its key is written nowhere: nobody can add to what was issued here.
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
