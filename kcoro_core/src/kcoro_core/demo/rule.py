# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""With whom coordinator and workers talk: processes of this user, where the medium can tell."""

from __future__ import annotations

from .. import plugins
from ..link.identity import Authorize
from ..transport import Capability

__all__ = ["rule_of"]


def rule_of(uri: str) -> Authorize | None:
    """The rule for this address: the default one, or anybody where the medium knows nobody and so none would get in."""
    knows_peers = Capability.PEER_IDENTITY in plugins.transport(uri).info.capabilities
    return None if knows_peers else lambda *_: True
