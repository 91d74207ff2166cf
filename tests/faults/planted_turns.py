# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults that are planted into the transmit queue and into the pieces of messages; the tests of the wire find each."""

from __future__ import annotations

from planted import Fault

OUTBOX = "wire/outbox.py"
PIECES = "wire/pieces.py"

TURNS = [
    Fault(
        "first-come-first-served",
        OUTBOX,
        "                if _cost(entry, entry.offered) <= lane.deficit:\n",
        "                if lane.deficit:\n",
        "a channel with a backlog keeps the turn until it has nothing left",
    ),
    Fault(
        "frames-are-free",
        OUTBOX,
        "            lane.deficit -= _cost(entry, size)\n",
        "            lane.deficit -= size // 2\n",
        "small frames cost little more than nothing",
    ),
    Fault(
        "savings-of-the-idle",
        OUTBOX,
        "        if not lane.entries:\n            lane.deficit = 0\n",
        "        if not lane.entries:\n",
        "a channel that runs empty keeps its deficit",
    ),
    Fault(
        "weights-forgotten",
        OUTBOX,
        "lane.deficit += QUANTUM * lane.weight",
        "lane.deficit += QUANTUM",
        "all channels have the weight 1",
    ),
    Fault(
        "storm",
        OUTBOX,
        "        return not frames or (frames < CONTROL_FRAMES and size <= CONTROL_BYTES)\n",
        "        return True\n",
        "frames of the connection itself starve all channels",
    ),
    Fault(
        "control-behind-the-data",
        OUTBOX,
        "            if self._control and (not self._frames or self._control_may_go(self._control[0])):\n",
        "            if self._control and not self._frames:\n",
        "a sign of life waits for every channel",
    ),
    Fault(
        "begun-and-withdrawn",
        OUTBOX,
        "        if lane is None or entry.sent or entry not in lane.entries:\n",
        "        if lane is None or entry not in lane.entries:\n",
        "a message is withdrawn in the middle, and its channel is torn",
    ),
    Fault(
        "no-budget",
        OUTBOX,
        "        if self._held or (self._begun and self._begun + cost > self._budget):\n            return False\n",
        "",
        "more messages begin than the peer holds",
    ),
    Fault(
        "held-for-ever",
        OUTBOX,
        "            self.unfenced += charge(entry.size)\n            self._let_begin()\n",
        "            self.unfenced += charge(entry.size)\n",
        "a message that had to wait never begins",
    ),
    Fault(
        "any-total",
        PIECES,
        "        if not 0 < size <= self._limits.max_message:\n",
        "        if not size:\n",
        "a message of any size is taken in",
    ),
    Fault(
        "budget-not-counted",
        PIECES,
        "        self.charged += cost\n",
        "",
        "what has begun to arrive is not counted",
    ),
    Fault(
        "kept-all-the-same",
        PIECES,
        "        elif not partial.fields.dropped:\n            partial.tail.append(fields.rest())\n",
        "        else:\n            partial.tail.append(fields.rest())\n",
        "what a channel does not take is kept until its end",
    ),
    Fault(
        "dribble",
        PIECES,
        "        if more and size < LEAST_PIECE:\n",
        "        if more and size < 0:\n",
        "pieces may be as small as a peer likes",
    ),
    Fault(
        "strangers-between",
        PIECES,
        "        if partial is None or frame.command in BETWEEN_PIECES:\n            return\n",
        "        return\n",
        "anything may stand between the pieces of a message",
    ),
]
