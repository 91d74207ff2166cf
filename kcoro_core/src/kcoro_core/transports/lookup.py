# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A name that is being looked up: resolvers are asked in a thread, and their answer is checked before anybody uses it.

Which resolvers, and in which order, the setting ``resolver`` says; a transport passes on what its own option names.

Rule 1: nobody ever waits for a look-up: its answer shows on a descriptor.
Rule 2: what a resolver answers is hostile until it has been checked: a bounded number of places, each of them numeric,
with a port, and somebody's address.
Rule 3: at most so many threads look something up; one that nobody waits for any more ends by itself.
"""

from __future__ import annotations

import ipaddress
import itertools
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve, frozen

from .. import plugins
from ..config import settings
from ..errors import KcoroError
from ..resolvers.protocol import Place, Question, Resolver
from .host_port import TCP, Address, SocketKind, Target, numeric

__all__ = ["MOST_LOOKUPS", "MOST_PLACES", "Lookup", "Unknown"]

MOST_PLACES: Final = 64
"""How many places of an answer are tried; those behind them are dropped."""
MOST_LOOKUPS: Final = 64
"""How many names a process looks up at the same time; a name beyond that fails at once."""
MOST_TEXT: Final = 500
"""Characters of what a resolver says that are told to whoever dials."""

_slots = threading.BoundedSemaphore(MOST_LOOKUPS)


@frozen
class Unknown:
    """No place was found, and why; ``permanent`` says that none of the resolvers will ever know one."""

    reason: str
    permanent: bool = False


class Lookup:
    """A name that is being looked up: ``sock`` becomes readable when ``answer`` is there.

    The system's function cannot be stopped, so a look-up that nobody waits for any more ends by itself, as late as the
    system gives up; it keeps one thread and one descriptor until then.
    """

    def __init__(self, address: Address, kind: SocketKind, seconds: float, resolver: str = "") -> None:
        """``seconds`` is how long somebody waits; ``resolver`` names who is asked, if not the setting.

        :raises NotSupported: there is no such resolver. ValueError: none is named.
        """
        self.answer: Sequence[Target] | Unknown | None = None
        """None before it has come."""
        chain = resolvers(resolver or settings().resolver)
        protocol = "tcp" if kind == TCP else "udp"
        question = Question(address.host, address.port, address.service, protocol, seconds)
        self.sock, self._told = socket.socketpair()
        self.sock.setblocking(False)
        if not _slots.acquire(blocking=False):
            self.answer = Unknown(f"{MOST_LOOKUPS} names are being looked up already; dial again later")
            self._told.close()
            return
        try:
            thread = threading.Thread(
                target=self._look_up, args=(question, kind, chain), name=f"kcoro looks up {address.host}", daemon=True
            )
            thread.start()
        except BaseException:
            _slots.release()
            self._told.close()
            self.sock.close()
            raise

    def _look_up(self, question: Question, kind: SocketKind, chain: Sequence[Resolver]) -> None:
        try:
            self.answer = ask(question, kind, chain)
        finally:
            _slots.release()
            self._told.close()


def resolvers(names: str) -> list[Resolver]:
    """The resolvers that a list of names with commas stands for.

    :raises NotSupported: there is no such resolver. ValueError: no name is there.
    """
    found = [plugins.resolver(name.strip()) for name in names.split(",") if name.strip()]
    if not found:
        raise ValueError("KCORO_RESOLVER has to name a resolver, such as system, or file,dns")
    return found


def ask(question: Question, kind: SocketKind, chain: Sequence[Resolver]) -> list[Target] | Unknown:
    """What the first resolver answers that knows the name; else what each of them has said."""
    until = time.monotonic() + question.seconds
    said = []
    permanent = True
    for resolver in chain:
        left = max(0.0, until - time.monotonic())
        try:
            found = checked(resolver.resolve(evolve(question, seconds=left)), kind)
        except Exception as error:  # noqa: BLE001 - of somebody else's code nothing may get lost in a thread
            said.append(f"{resolver.name}: {_text(error)}")
            permanent = permanent and getattr(error, "permanent", False) is True
            continue
        if found:
            return found
        said.append(f"{resolver.name}: it has no address for {question}")
        permanent = False
    return Unknown(f"{'; '.join(said)}; check the name, and who is asked (KCORO_RESOLVER)", permanent)


def checked(places: Iterable[Place], kind: SocketKind) -> list[Target]:
    """The places that somebody can be at, in their order, and no more of them than are worth trying."""
    found = []
    for host, port in itertools.islice(places, MOST_PLACES):
        if is_somewhere(host) and 0 < port < 65536:
            found += numeric(host, port, kind)[:1]
    return found


def is_somewhere(host: object) -> bool:
    """Whether this is the numeric address of one host; ``0.0.0.0`` would be this one, whatever was meant."""
    try:
        address = ipaddress.ip_address(host if isinstance(host, str) else "")
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return not (address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255")


def _text(error: Exception) -> str:
    """The message without the code that errors of ours add, on one line, and not without end."""
    text = Exception.__str__(error) if isinstance(error, KcoroError) else str(error)
    text = " ".join(text.split()) or type(error).__name__
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable if len(printable) <= MOST_TEXT else f"{printable[:MOST_TEXT]}..."
