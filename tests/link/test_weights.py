# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Weights of channels: whoever opens one says how many shares its sends get. Row: N3."""

from __future__ import annotations

import pytest

from kcoro_core import BUFFERED, CancelToken, KcoroError, OperationCancelled, channel, dial, open_scope, serve, sleep
from kcoro_core.hosts.script import ScriptHost
from kcoro_core.wire.messages import MAX_WEIGHT


def shares(weights: dict[str, int]) -> dict[str, float]:
    """What part of a full line each channel gets, in virtual time."""

    async def main() -> dict[str, float]:
        channels = {name: channel(BUFFERED, 4, name=name) for name in weights}
        arrived = dict.fromkeys(weights, 0)
        stop = CancelToken()
        async with serve("sim:weights?latency=1ms&bandwidth=1MB", channels) as server, dial(server.uri) as link:

            async def feed(name: str) -> None:
                handle = await link.open(name, weight=weights[name])

                async def send() -> None:
                    try:
                        while True:
                            await handle.send(bytes(1024), cancel=stop)
                    except (OperationCancelled, KcoroError):
                        return

                async with open_scope() as scope:
                    for _ in range(100):
                        scope.launch(send)

            async def take(name: str) -> None:
                try:
                    while True:
                        await channels[name].recv(cancel=stop)
                        arrived[name] += 1
                except OperationCancelled:
                    return

            async with open_scope() as scope:
                for name in weights:
                    scope.launch(feed, name)
                    scope.launch(take, name)
                await sleep(4.0)
                stop.trigger()
        return {name: number / sum(arrived.values()) for name, number in arrived.items()}

    return ScriptHost(seed=1).run(main)  # type: ignore[no-any-return]


def test_sends_get_as_many_shares_as_the_weight_that_their_handle_was_opened_with() -> None:
    """Row: N3."""
    assert shares({"one": 1, "three": 3}) == pytest.approx({"one": 1 / 4, "three": 3 / 4}, rel=0.1)


def test_without_weights_the_shares_are_equal() -> None:
    """Row: N3."""
    assert shares({"one": 1, "other": 1}) == pytest.approx({"one": 1 / 2, "other": 1 / 2}, rel=0.1)


@pytest.mark.parametrize("weight", [0, -1, MAX_WEIGHT + 1, 1.5, "2", True, None])
def test_a_weight_that_is_none_is_told_before_anything_is_asked(weight: object) -> None:
    """Row: N3."""

    async def main() -> int:
        async with serve("mem:weightless", {"ch": channel()}) as server, dial(server.uri) as link:
            before = link.snapshot().frames_written
            with pytest.raises(ValueError, match="weight, in shares"):
                await link.open("ch", weight=weight)  # type: ignore[arg-type]
            return link.snapshot().frames_written - before

    assert ScriptHost().run(main) == 0
