# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every value whose send succeeded is received once or reported once, whatever happens (row CH6).

Hypothesis writes the program: sends and receives in every form, cancels, a close, a hook that misbehaves, and one of
three ends. The law is one line: received plus reported equals sent, as multisets.
"""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from kcoro_core import (
    CancelToken,
    ChannelClosed,
    KcoroError,
    Recv,
    Send,
    WouldBlock,
    channel,
    open_scope,
    select,
    sleep,
    try_select,
)
from kcoro_core.hosts import script
from kcoro_core.testing.laws.shapes import ALL, Shape
from kcoro_core.testing.laws.undelivered import unraisable

STEPS = ("send", "recv", "try_send", "try_recv", "send_timed", "recv_timed", "select", "cancel_one", "turn", "nap")
ENDS = ("cancel", "destroy", "close and drain")
HOOKS = ("plain", "raises", "receives", "sends")

programs = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3)), min_size=3, max_size=40)


class Misbehaved(Exception):
    """What a hook raises; it carries the books that it belongs to."""


class Books:
    """Values by what became of them."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.received: list[int] = []
        self.reported: list[int] = []
        self.number = 0

    def next(self) -> int:
        """A value that has not been used."""
        self.number += 1
        return self.number


def hook_of(books: Books, kind: str) -> Any:
    """A hook that keeps the books, and misbehaves in its own way."""

    def hook(value: int, why: Any, of: Any) -> None:
        books.reported.append(value)
        if kind == "raises":
            raise Misbehaved(books)
        if of is None or len(books.reported) % 3:
            return
        with contextlib.suppress(WouldBlock, ChannelClosed):
            # What a hook may do to its own channel, and what it must not forget to write down.
            if kind == "receives":
                books.received.append(of.try_recv())
            if kind == "sends":
                value = books.next()
                books.sent.append(value)
                try:
                    of.try_send(value)
                except KcoroError:
                    books.sent.remove(value)
                    raise

    return hook


async def step(name: str, books: Books, ch: Any, token: CancelToken) -> None:
    """One call; what it has done goes into the books in the step in which it returns."""
    value = books.next()
    match name:
        case "send" | "send_timed":
            await ch.send(value, timeout=3 if name == "send_timed" else None, cancel=token)
            books.sent.append(value)
        case "recv" | "recv_timed":
            books.received.append(await ch.recv(timeout=3 if name == "recv_timed" else None, cancel=token))
        case "select":
            won = await select(Recv(ch), Send(ch, value), timeout=3, cancel=token)
            if won.index:
                books.sent.append(value)
            else:
                books.received.append(won.value)


def now(name: str, books: Books, ch: Any) -> None:
    """One call that does not wait; a send counts before it, because a hook may already receive what it brought."""
    value = books.next()
    if name == "try_recv":
        books.received.append(ch.try_recv())
        return
    books.sent.append(value)
    try:
        try_select(Send(ch, value)) if value % 2 else ch.try_send(value)
    except KcoroError:
        books.sent.remove(value)
        raise


async def quietly(name: str, books: Books, ch: Any, token: CancelToken) -> None:
    """``step``, whose errors are expected: they are not in the books."""
    with contextlib.suppress(KcoroError):
        await step(name, books, ch, token)


async def play(program: list[tuple[str, int]], made: Shape, hook: str, end: str) -> Books:
    """Run the program, end it, and give the books."""
    books = Books()
    ch: Any = channel(made.kind, made.capacity, made.overflow, hook_of(books, hook))
    tokens: list[CancelToken] = []

    async with open_scope() as scope:
        for name, more in program:
            if name in ("turn", "nap"):
                await sleep(0 if name == "turn" else more)
            elif name == "cancel_one":
                if tokens:
                    tokens.pop(more % len(tokens)).trigger()
            elif name.startswith("try"):
                with contextlib.suppress(KcoroError):
                    now(name, books, ch)
            else:
                tokens.append(CancelToken())
                scope.launch(quietly, name, books, ch, tokens[-1])
        await sleep(0)
        scope.cancel()
    if end == "cancel":
        ch.cancel()
    elif end == "close and drain":
        ch.close()
        with contextlib.suppress(ChannelClosed):
            while True:
                books.received.append(ch.try_recv())
    del ch
    if end == "destroy":
        gc.collect()
    return books


@given(
    program=programs,
    made=st.sampled_from(list(ALL.values())),
    hook=st.sampled_from(HOOKS),
    end=st.sampled_from(ENDS),
    seed=st.integers(0, 1000),
)
@settings(max_examples=250)
def test_received_plus_reported_is_sent(
    program: list[tuple[str, int]], made: Shape, hook: str, end: str, seed: int
) -> None:
    """Over overwriting, dropping, cancelling, destruction, and hooks that raise or re-enter. Row: CH6."""
    with unraisable() as failed:
        books = script.run(lambda: play(program, made, hook, end), seed=seed)
    mine = [error for error in failed if isinstance(error, Misbehaved) and error.args == (books,)]
    assert len(mine) == (len(books.reported) if hook == "raises" else 0)
    assert Counter(books.received) + Counter(books.reported) == Counter(books.sent)
