# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 6: what a transport says about itself and about the other end."""

from __future__ import annotations

import os

from ...transport import TRANSPORT_API, Capability, Certificates, TransportInfo
from .bench import Bench, check, numbered
from .case import case


@case("6.1", one_sided=True)
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


KINDS = ("uid", "certificate", "process", "none")


@case("6.4")
def knows_nobody_where_nobody_is(bench: Bench) -> None:
    """A connection that was refused has no peer, and claims none."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    bench.vtable.close(listener)
    conn = bench.dial(uri)
    bench.hears_end(conn)
    check(bench.vtable.peer(conn).kind == "none", "the peer of a connection that was refused is said to be known")


@case("6.5")
def does_not_change_its_mind(bench: Bench) -> None:
    """Who is at the other end stays the same, whatever is sent."""
    near, far = bench.pair()
    before = [bench.vtable.peer(conn) for conn in (near, far)]
    bench.talk(near, far)
    check([bench.vtable.peer(conn) for conn in (near, far)] == before, "the peer of a connection has changed")


@case("6.6")
def speaks_of_known_kinds(bench: Bench) -> None:
    """An identity is of a known kind and has what belongs to that: a user, a certificate, or nothing."""
    for conn in bench.pair():
        peer = bench.vtable.peer(conn)
        check(peer.kind in KINDS, f"nobody knows the kind of {peer}")
        if peer.kind in ("uid", "process"):
            check(peer.uid is not None, f"{peer} names no user")
        elif peer.kind == "certificate":
            check(peer.subject or peer.names, f"{peer} names nobody")
            says_so = bench.vtable.info.certificates is not Certificates.NONE
            check(says_so, "peers show certificates, and the description says that nobody has one")
        else:
            check(not peer.verified, "that nobody is there is called verified")


@case("6.7", Capability.PEER_IDENTITY)
def knows_the_peer_first(bench: Bench) -> None:
    """The peer of an accepted connection is known at once, before it has said anything."""
    listener = bench.listen()
    near = bench.dial(bench.vtable.local_uri(listener))
    far = bench.accept(listener, near)
    check(bench.vtable.peer(far).verified, "who was accepted is not known yet")
    bench.send_all(near, numbered(1, 5), far)
    bench.receive(far, 1, near)


NO_FILE = "/nowhere/certificate.pem"


@case("6.8", applies=lambda info: info.certificates is not Certificates.NONE, one_sided=True)
def takes_certificates_by_their_usual_names(bench: Bench) -> None:
    """certfile says who listens, cafile whom a side trusts: a file that is not there is a ValueError with its name."""
    uri = bench.vtable.local_uri(bench.listen())
    asked = [(bench.vtable.listen, bench.uri, "certfile"), (bench.vtable.connect, uri, "cafile")]
    if bench.vtable.info.certificates is Certificates.BOTH:
        asked.append((bench.vtable.connect, uri, "certfile"))
    for call, where, option in asked:
        try:
            call(where, {**bench.config, option: NO_FILE})
        except ValueError as error:
            check(NO_FILE in str(error), f"the error does not name the file of {option}: {error}")
        else:
            check(False, f"{option}= names a file that is not there, and nobody minds")
