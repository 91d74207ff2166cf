# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""With whom coordinator and workers talk: processes of this user, or holders of certificates, where a medium can tell.

Over ``tls:`` and ``quic:`` both sides get certificates that are made for the run and gone with its folder, unless the
environment names others. The authority's key is written nowhere, so whoever it vouches for was given a file by us.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from .. import plugins
from ..certificates import FILES, HOSTS, write
from ..link.identity import Authorize
from ..transport import Capability, Identity

__all__ = ["Papers", "papers_for", "rule_of"]


@frozen
class Papers:
    """Who the two sides are: options of the coordinator's server, and variables of the workers' environment."""

    options: Mapping[str, Any] = field(factory=dict)
    environment: Mapping[str, str] = field(factory=dict)


def papers_for(scheme: str, folder: Path) -> Papers:
    """Certificates in ``folder`` for this run, where the medium takes some and the environment names none.

    :raises NotSupported: trustme is not installed, which makes them.
    """
    if scheme not in ("tls", "quic") or os.environ.get("KCORO_TLS_CERTFILE"):
        return Papers()
    write(folder, [*HOSTS], "worker")
    authority, server, worker = (str(folder / name) for name in FILES)
    return Papers(
        {"certfile": server, "cafile": authority},
        {"KCORO_TLS_CERTFILE": worker, "KCORO_TLS_CAFILE": authority, "KCORO_TLS_KEYFILE": ""},
    )


def rule_of(uri: str) -> Authorize | None:
    """The rule for this address: the default one, certificates, or anybody where the medium knows nobody."""
    if uri.partition(":")[0] == "tls":
        return has_certificate
    knows_peers = Capability.PEER_IDENTITY in plugins.transport(uri).info.capabilities
    return None if knows_peers else lambda *_: True


def has_certificate(identity: Identity, _name: str, _operation: str) -> bool:
    """Whoever has one that the medium has verified."""
    return identity.verified and identity.kind == "certificate"
