# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Links over ``quic:`` beside links over ``tls:``, between the same two processes; certificates are fresh ones."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from links import LARGE, Server, link_round_trip, link_stream, serving
from rounds import Figure, Missing, Sample, run_rounds

TITLE = (
    "| tls: over quic: | ratio of times | must | goal | reached | tls, us | quic, us "
    "| tls, processor here + there, us | quic, processor here + there, us |"
)
SCHEMES = ("tls", "quic")
NEEDED = ("kcoro_transport_tcp", "kcoro_transport_quic", "trustme")


@contextmanager
def certified(*hosts: str) -> Iterator[None]:
    """Certificates for this machine, or these addresses, which both processes find in their environment."""
    import trustme

    authority = trustme.CA()
    made = authority.issue_cert(*(hosts or ("127.0.0.1", "localhost")))
    with tempfile.TemporaryDirectory() as folder:
        files = {"CERTFILE": Path(folder, "cert.pem"), "CAFILE": Path(folder, "ca.pem")}
        made.private_key_and_cert_chain_pem.write_to_path(str(files["CERTFILE"]))
        authority.cert_pem.write_to_path(str(files["CAFILE"]))
        os.environ.update({f"KCORO_TLS_{name}": str(path) for name, path in files.items()})
        yield


def ping(server: Server, messages: int, scheme: str) -> Sample:
    """A round trip of 64 bytes."""
    return server.run(link_round_trip, messages, scheme)


def bulk(server: Server, messages: int, scheme: str) -> Sample:
    """Messages of 1 MiB."""
    return server.run(link_stream, messages, LARGE, scheme)


ROWS = (("round trip, 64 bytes", ping, 2_000, 100, 1 / 6, 1 / 3), ("stream, 1 MiB", bulk, 60, 5, 0.2, 0.5))


def figures(rounds: int, quick: bool) -> list[Figure | Missing]:
    """Both rows; a ratio of 0.2 says that quic: takes five times as long."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return [Missing("quic: beside tls:", f"needs {', '.join(NEEDED)}")]
    found: list[Figure | Missing] = []
    with certified(), serving(budget=32 << 20, schemes=SCHEMES) as server:
        for name, work, full, little, must, goal in ROWS:
            candidates = [partial(work, server, little if quick else full, scheme) for scheme in SCHEMES]
            samples = run_rounds(candidates, rounds, name, lambda run: run())
            found.append(Figure.of_samples(name, samples, must, goal))
    return found
