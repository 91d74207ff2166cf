# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Who may do what: a table of identity, name and operation, of exported ends, and of what a rule grants. Row: X18."""

from __future__ import annotations

import os
from itertools import product
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    RENDEZVOUS,
    AccessDenied,
    Call,
    Identity,
    NotFound,
    RemoteChannel,
    channel,
    dial,
    serve,
)
from kcoro_core.link.exports import ALL_RIGHTS
from kcoro_core.link.identity import allowed, may, same_user
from kcoro_core.wire.messages import Rights

from .world import World, settle

ME = os.getuid()
OPERATIONS = ("send", "recv", "close", "call", "make")
GRANTED = [set(), {"send"}, {"recv"}, {"close"}, {"send", "recv"}, {"send", "recv", "close"}, {"call", "make"}]
PEERS = {
    "this user": (Identity("uid", uid=ME, verified=True), True),
    "another user": (Identity("uid", uid=ME + 1, verified=True), False),
    "root, who is not this user": (Identity("uid", uid=0 if ME else 1, verified=True), False),
    "this user, as it says itself": (Identity("uid", uid=ME, verified=False), False),
    "nobody in particular": (Identity("none"), False),
    "verified, but no user": (Identity("certificate", verified=True), False),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", ["jobs", "64", ""])
def test_the_default_rule_allows_this_user_everything_and_others_nothing(peer: str, operation: str, name: str) -> None:
    """Whatever the name; an identity that is not verified is nobody's. Row: X18."""
    identity, expected = PEERS[peer]
    assert may(same_user, identity, name, operation) is expected


@pytest.mark.parametrize("answer", [None, 0, "", KeyError("rule"), SystemError("rule")], ids=repr)
def test_a_rule_that_gives_no_yes_has_said_no(answer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is false, and what fails, is a denial of each operation. Row: X18."""
    monkeypatch.setattr("sys.unraisablehook", lambda _record: None)

    def rule(_identity: Identity, _name: str, _operation: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    for operation in OPERATIONS:
        assert not may(rule, PEERS["this user"][0], "jobs", operation)
    assert not allowed(rule, PEERS["this user"][0], "jobs", ALL_RIGHTS)


@pytest.mark.parametrize(
    "granted",
    [set(), {"send"}, {"recv"}, {"close"}, {"send", "recv"}, {"send", "recv", "close"}, {"call", "make"}],
    ids=str,
)
@pytest.mark.parametrize("exported", ["a Channel", "a Sender", "a Receiver"])
def test_a_handle_has_the_rights_that_both_the_export_and_the_rule_give(
    world: World, exported: str, granted: set[str]
) -> None:
    """Each operation that one of them withholds is AccessDenied; a handle without any right is not opened. Row: X18."""
    jobs = channel(BUFFERED, capacity=4)
    ends = {"a Channel": jobs, "a Sender": jobs.sender(), "a Receiver": jobs.receiver()}
    offered = {"a Channel": {"send", "recv", "close"}, "a Sender": {"send"}, "a Receiver": {"recv"}}[exported]
    rights = offered & granted

    def rule(_identity: Identity, name: str, operation: str) -> bool:
        return name == "jobs" and operation in granted

    async def main() -> None:
        async with world.linked({"jobs": ends[exported], "other": jobs}, authorize=rule) as (_, link):
            with pytest.raises(AccessDenied):
                await link.open("other")
            with pytest.raises(NotFound):
                await link.open("nothing")
            assert [(one.name, one.rights) for one in await link.list()] == (
                [("jobs", Rights(sum(Rights[right.upper()] for right in rights)))] if rights else []
            )
            if not rights:
                with pytest.raises(AccessDenied):
                    await link.open("jobs")
                return
            handle = await link.open("jobs")
            assert (handle.can_send, handle.can_recv, handle.can_close) == tuple(
                right in rights for right in ("send", "recv", "close")
            )
            jobs.try_send(b"x")
            for operation in ("send", "recv", "close"):
                if operation in rights:
                    await do(handle, operation)
                else:
                    with pytest.raises(AccessDenied):
                        await do(handle, operation)

    world.run(main)


async def do(handle: RemoteChannel, operation: str) -> None:
    """Use one right."""
    if operation == "send":
        await handle.send(b"y")
    elif operation == "recv":
        await handle.recv()
    else:
        handle.close()


@pytest.mark.parametrize("granted", [set(), *map(set, product(OPERATIONS))], ids=str)
def test_calls_and_makes_need_a_right_of_their_own(world: World, granted: set[str]) -> None:
    """No right to a channel gives one to call, or to make; nor the other way round. Row: X18."""

    def rule(_identity: Identity, _name: str, operation: str) -> bool:
        return operation in granted

    def answer(_call: Call) -> bytes:
        return b""

    async def main() -> None:
        async with serve(world.uri, authorize=rule, allow_make=1, handlers={64: answer}), dial(world.uri) as link:
            await settle()
            for operation, use in (("call", link.rpc_send(64).wait), ("make", lambda: link.make("mine", RENDEZVOUS))):
                if operation in granted:
                    await use()
                else:
                    with pytest.raises(AccessDenied):
                        await use()

    world.run(main)
