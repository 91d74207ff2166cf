# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""With whom coordinator and workers talk: processes of this user, or holders of certificates, where a medium can tell.

Over a medium with certificates both sides get some that are made for the run and gone with its folder, unless the
environment names others. The authority's key is written nowhere, so whoever it vouches for was given a file by us.
Which media those are they say themselves (``TransportInfo.certificates``).
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
from ..transport import Capability, Certificates, Identity

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
    takes = plugins.transport(scheme).info.certificates
    if takes is Certificates.NONE or os.environ.get("KCORO_TLS_CERTFILE"):
        return Papers()
    write(folder, [*HOSTS], "worker")
    authority, server, worker = (str(folder / name) for name in FILES)
    return Papers(
        {"certfile": server, "cafile": authority},
        {"KCORO_TLS_CERTFILE": worker, "KCORO_TLS_CAFILE": authority, "KCORO_TLS_KEYFILE": ""},
    )


def rule_of(uri: str) -> Authorize | None:
    """The rule for this address: the default one, certificates, or anybody where the medium knows nobody."""
    info = plugins.transport(uri).info
    if Capability.PEER_IDENTITY not in info.capabilities:
        return lambda *_: True
    return has_certificate if info.certificates is Certificates.BOTH else None


def has_certificate(identity: Identity, _name: str, _operation: str) -> bool:
    """Whoever has one that the medium has verified."""
    return identity.verified and identity.kind == "certificate"
