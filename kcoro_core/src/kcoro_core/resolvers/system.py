# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The resolver ``system``: what ``getaddrinfo`` answers, from ``/etc/hosts`` and whatever else the system asks."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ..errors import NotFound, TransportError
from .order import alternating
from .protocol import Place, Question

__all__ = ["System"]


class System:
    """Asks the system, whose function cannot be stopped: it may take longer than anybody waits."""

    name = "system"

    def resolve(self, question: Question) -> Sequence[Place]:
        """Its addresses in its order, the families in turn."""
        if question.service:
            raise TransportError(
                f"it knows ports by number alone, and {question} is a service; ask DNS (KCORO_RESOLVER=dns) or a file",
                permanent=True,
            )
        try:
            return alternating(looked_up(question))
        except (OSError, UnicodeError) as error:
            raise NotFound(f"{question.host}: {getattr(error, 'strerror', None) or error}") from error


def looked_up(question: Question) -> list[Place]:
    """What the system answers; waits for as long as the system does."""
    kind = socket.SOCK_STREAM if question.protocol == "tcp" else socket.SOCK_DGRAM
    found = socket.getaddrinfo(question.host, question.port, type=kind)
    return [(str(place[0]), int(place[1])) for _, _, _, _, place in found]
