# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Two production connections that talk as bytes decide; what one of them says is mangled on its way.

Without a lie the two must agree to the end: nobody breaks the protocol, and both books are equal when all has crossed.
"""

from __future__ import annotations

from kcoro_core.wire.connection import Side

from .bodies import BODIES
from .choices import Choices
from .lies import Mangler, forged
from .talkers import STEPS, Talker

MOST_STEPS = 200


def fuzz_connection(data: bytes) -> None:
    """The first byte says who is honest; each further one is a step, a crossing or a forged frame."""
    choices = Choices(data)
    first = choices.below(2)
    sides = list(Side)
    honest, liar = Talker(sides[first], choices, True), Talker(sides[1 - first], choices, False)
    mangler = Mangler(choices)
    cross(honest, liar, mangler, plain=True)
    for _ in range(MOST_STEPS):
        if not choices:
            break
        step(choices, honest, liar, mangler)
    if not mangler.lies:
        settle(honest, liar, mangler)
    honest.lose()


def step(choices: Choices, honest: Talker, liar: Talker, mangler: Mangler) -> None:
    """One thing happens."""
    choice = choices.below(256)
    if choice < 128:
        talker = honest if choice < 64 else liar
        act = STEPS.get(choice % 32)
        if act is not None and (talker is honest or talker.ended is None):
            act(talker)
            return
    if choice >= 240:
        honest.hear(mangler.forge(forged(choices, BODIES)))
        return
    cross(honest, liar, mangler)


def cross(honest: Talker, liar: Talker, mangler: Mangler, plain: bool = False) -> None:
    """What both have to write reaches the other; the liar's own defects of order are nobody's business."""
    for _ in range(3 if plain else 1):
        mine, theirs = honest.write(), liar.write()
        liar.hear(b"".join(frame.encode() for frame in mine))
        honest.hear(mangler.plain(theirs) if plain else mangler.passed(theirs))


def settle(honest: Talker, liar: Talker, mangler: Mangler) -> None:
    """Everything that is under way arrives; two ends that never lied agree."""
    for _ in range(100):
        if not honest.wire.has_frames() and not liar.wire.has_frames():
            break
        cross(honest, liar, mangler, plain=True)
    for talker in (honest, liar):
        assert talker.ended is None or talker.ended.orderly or talker.now >= 5, f"ended: {talker.ended.cause}"
    if honest.ended is None and liar.ended is None:
        for here, there in ((honest, liar), (liar, honest)):
            assert not here.leaving, f"handles that were given up are not gone: {here.leaving}"
            waits = set(here.waiting) | here.pushed
            wanted = {*there.asked, *there.arrived} | there.given_up
            assert waits <= wanted, f"{waits} wait for an answer, and {wanted} are wanted"
            assert set(there.asked) <= waits, f"{set(there.asked)} are asked, and {waits} wait"
