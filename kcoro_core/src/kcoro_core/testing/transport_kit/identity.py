# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 6: what a transport says about itself and about the other end."""

from __future__ import annotations

import os

from ...transport import TRANSPORT_API, Capability, TransportInfo
from .bench import Bench, check
from .case import case


@case("6.1")
def describes_itself(bench: Bench) -> None:
    """The description names the transport, its schemes in lower case, and this API."""
    info = bench.vtable.info
    check(isinstance(info, TransportInfo), f"the description is a {type(info).__name__}")
    check(info.api == TRANSPORT_API, f"the transport is of API {info.api}")
    check(info.name and info.schemes, "the transport has no name or no scheme")
    check(all(scheme == scheme.lower() for scheme in info.schemes), f"{info.schemes} are not in lower case")


@case("6.2", Capability.PEER_IDENTITY)
def names_the_peer(bench: Bench) -> None:
    """Both ends know verified who the other is; for a local peer that is this very user."""
    for conn in bench.pair():
        peer = bench.vtable.peer(conn)
        check(peer.verified and peer.kind != "none", f"PEER_IDENTITY is claimed, and the peer is {peer}")
        if peer.kind in ("uid", "process"):
            check(peer.uid == os.getuid(), f"the peer is this process, and its user is said to be {peer.uid}")


@case("6.3", applies=lambda info: Capability.PEER_IDENTITY not in info.capabilities)
def does_not_guess(bench: Bench) -> None:
    """A transport without PEER_IDENTITY marks no identity as verified."""
    for conn in bench.pair():
        check(not bench.vtable.peer(conn).verified, "an identity is called verified that the transport cannot verify")
