# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro dev-certs``: certificates to try ``tls:`` and ``quic:`` with, from an authority that is forgotten at once.

Exit code 2 when a file is there already, or trustme is not installed; nothing was written then.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ..certificates import FILES, HOSTS, write

SUMMARY = "write certificates for development: an authority, a server and a client"
EXAMPLE = """
kcoro dev-certs --into certs
kcoro dev-certs --into certs --host jobs.example --host 10.0.0.7 --client alice
eval "$(kcoro dev-certs --into certs)"      # this shell is the server now
"""


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
