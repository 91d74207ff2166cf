# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What is known once a link is over: for its report, for each request that waited, for each later call.

An orderly end (a side said goodbye) is a ChannelClosed with the reason LEFT or LEFT_HERE; any other a LinkLost, which
counts the sends of its handle: ``acked`` are known to have been accepted, ``in_doubt`` may have been. Whoever
opens on a link that the other side has refused gets AccessDenied.

Rule: what the other side really accepted lies between ``acked`` and ``acked + in_doubt``, whatever ended the link.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve, frozen

from ..errors import AccessDenied, ChannelClosed, KcoroError, LinkLost
from ..wire.events import Fate, LossReport
from .report import LinkReport

__all__ = ["LEFT", "LEFT_HERE", "Ending", "left_error"]

LEFT: Final = "link closed by peer"
"""The reason that is found when the other side has left in good order."""
LEFT_HERE: Final = "link closed by this side"
"""The reason that is found when this side has left, or is leaving."""


@frozen
class Ending:
    """The end of one link. ``names`` and ``in_doubt`` are by channel id of the handles that were open."""

    loss: LossReport
    left_here: bool
    peer_left: bool
    fates: Mapping[int, Fate]
    names: Mapping[int, str]
    in_doubt: Mapping[int, int]

    @classmethod
    def of(
        cls,
        loss: LossReport,
        handles: Mapping[int, tuple[str, int]],
        *,
        left_here: bool,
        peer_left: bool,
    ) -> Ending:
        """``handles``: by channel id the name, and how many sends were given up before without an answer."""
        # Whoever leaves answers all that has reached it before it says goodbye; what is still open was never read.
        fates = {one.request_id: Fate.NOT_DONE if peer_left else one.fate for one in loss.requests}
        in_doubt = {channel_id: given_up for channel_id, (_, given_up) in handles.items()}
        for one in loss.requests:
            if one.sends and fates[one.request_id] is Fate.IN_DOUBT:
                in_doubt[one.channel_id] = in_doubt.get(one.channel_id, 0) + 1
        names = {channel_id: name for channel_id, (name, _) in handles.items()}
        return cls(loss, left_here, peer_left, fates, names, in_doubt)

    def without_cases(self) -> Ending:
        """The same for calls that come later: what waited has been told, and is not kept."""
        loss = evolve(self.loss, requests=(), elements=(), parked=(), unacknowledged=(), data=())
        return evolve(self, loss=loss, fates={})

    def is_in_doubt(self, request_id: int) -> bool:
        """Whether this request may have been carried out."""
        return self.fates.get(request_id) is Fate.IN_DOUBT

    def error(self, who: object, channel_id: int = 0) -> KcoroError:
        """A new error for one caller. To be turned away is no loss; only handles have something to count."""
        if self.left_here or self.loss.orderly:
            return left_error(who, LEFT_HERE if self.left_here else LEFT)
        if isinstance(self.loss.cause, AccessDenied) and not channel_id:
            return AccessDenied(f"{who!r}: the other side has refused this link: {self.loss.cause.args[0]}")
        return LinkLost(
            f"{who!r}: the link was lost: {self.loss.cause}",
            acked=self.loss.accepted.get(channel_id, 0),
            in_doubt=self.in_doubt.get(channel_id, 0),
            reason=self.loss.cause,
        )

    def report(self, reason: str, requeued: int) -> LinkReport:
        """The same for people, by the names of the channels; ``reason`` is what the other side said."""
        acked = dict.fromkeys(self.names.values(), 0)
        in_doubt = dict(acked)
        for channel_id, name in self.names.items():
            acked[name] += self.loss.accepted.get(channel_id, 0)
            in_doubt[name] += self.in_doubt[channel_id]
        unsure = sum(one.fate is Fate.IN_DOUBT for one in self.loss.elements)
        put_back = len(self.loss.elements) - unsure
        return LinkReport(self.loss.cause, self.loss.orderly, acked, in_doubt, unsure, put_back, reason, requeued)


def left_error(who: object, reason: str) -> ChannelClosed:
    """A new error that says which side has left the link."""
    return ChannelClosed(f"{who!r}: {reason}", reason=reason)
