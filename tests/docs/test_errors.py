# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The page about errors says what calls really raise: each cell of its table is brought about here. Rows: E1, Q2."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kcoro_core import (
    CancelToken,
    Channel,
    ChannelClosed,
    DeadlineExceeded,
    KcoroError,
    OperationCancelled,
    Recv,
    Task,
    WouldBlock,
    channel,
    errors,
    open_scope,
    run,
    select,
    sleep,
    try_select,
)
from kcoro_core.semantics import Direction, WaitForm, outcome_rows

from .blocks import DOCS
from .tools import tables

PAGE = (DOCS / "ERROR_SEMANTICS.md").read_text()
HOUR = 3600.0


def closed() -> Channel[Any]:
    ch = channel()
    ch.close()
    return ch


def triggered() -> CancelToken:
    token = CancelToken()
    token.trigger()
    return token


async def with_task(use: Callable[[Task[None]], Any]) -> None:
    """Do something with a task that sleeps; it is cancelled afterwards."""
    async with open_scope() as scope:
        task = scope.launch(sleep, HOUR)
        try:
            if isinstance(answer := use(task), Awaitable):
                await answer
        finally:
            scope.cancel()


async def cancelled_task() -> None:
    async with open_scope() as scope:
        task = scope.launch(sleep, HOUR)
        scope.cancel()
    task.result()


async def in_scope(timeout: float) -> None:
    async with open_scope() as scope:
        scope.launch(sleep, HOUR)
        try:
            await scope.wait_all(timeout)
        finally:
            scope.cancel()


async def late_launch() -> None:
    async with open_scope() as scope:
        scope.cancel()
        scope.launch(sleep, HOUR)


async def direct(fn: Callable[..., Any], *args: Any) -> None:
    """A call that never waits, made from a task."""
    fn(*args)


PROBES: dict[tuple[str, type[KcoroError]], Callable[[], Awaitable[object]]] = {
    ("Channel.send", OperationCancelled): lambda: channel().send(1, cancel=triggered()),
    ("Channel.send", ChannelClosed): lambda: closed().send(1),
    ("Channel.send", WouldBlock): lambda: channel().send(1, timeout=0),
    ("Channel.send", DeadlineExceeded): lambda: channel().send(1, timeout=1),
    ("Channel.try_send", ChannelClosed): lambda: direct(closed().try_send, 1),
    ("Channel.try_send", WouldBlock): lambda: direct(channel().try_send, 1),
    ("Channel.recv", OperationCancelled): lambda: channel().recv(cancel=triggered()),
    ("Channel.recv", ChannelClosed): lambda: closed().recv(),
    ("Channel.recv", WouldBlock): lambda: channel().recv(timeout=0),
    ("Channel.recv", DeadlineExceeded): lambda: channel().recv(timeout=1),
    ("Channel.try_recv", ChannelClosed): lambda: direct(closed().try_recv),
    ("Channel.try_recv", WouldBlock): lambda: direct(channel().try_recv),
    ("select", OperationCancelled): lambda: select(Recv(channel()), cancel=triggered()),
    ("select", ChannelClosed): lambda: select(Recv(closed())),
    ("select", WouldBlock): lambda: select(Recv(channel()), timeout=0),
    ("select", DeadlineExceeded): lambda: select(Recv(channel()), timeout=1),
    ("try_select", ChannelClosed): lambda: direct(try_select, Recv(closed())),
    ("try_select", WouldBlock): lambda: direct(try_select, Recv(channel())),
    ("CancelToken.wait", WouldBlock): lambda: CancelToken().wait(timeout=0),
    ("CancelToken.wait", DeadlineExceeded): lambda: CancelToken().wait(timeout=1),
    ("Task.wait", OperationCancelled): lambda: with_task(lambda task: task.wait(cancel=triggered())),
    ("Task.wait", WouldBlock): lambda: with_task(lambda task: task.wait(timeout=0)),
    ("Task.wait", DeadlineExceeded): lambda: with_task(lambda task: task.wait(timeout=1)),
    ("Task.result", OperationCancelled): cancelled_task,
    ("Task.result", WouldBlock): lambda: with_task(lambda task: task.result()),
    ("Scope.launch", OperationCancelled): late_launch,
    ("Scope.wait_all", WouldBlock): lambda: in_scope(0),
    ("Scope.wait_all", DeadlineExceeded): lambda: in_scope(1),
}


@pytest.mark.parametrize(
    ("probe", "error"), [(PROBES[key], key[1]) for key in PROBES], ids=[f"{op}-{e.__name__}" for op, e in PROBES]
)
def test_every_error_of_the_page_can_be_brought_about(
    probe: Callable[[], Awaitable[object]], error: type[KcoroError]
) -> None:
    """The page's table says *yes* exactly where a call here raises. Rows: E1, Q2."""
    with pytest.raises((error, ExceptionGroup)) as caught:
        run(probe, host="script")
    raised = caught.value
    assert [type(each) for each in getattr(raised, "exceptions", [raised])] == [error]


def test_the_page_says_yes_exactly_where_an_error_was_brought_about() -> None:
    """Rows: E1, Q2."""
    columns = tables.codes_of_channels()
    table = next(found["body"] for found in tables.MARK.finditer(PAGE) if found["name"] == "operations")
    said = set()
    for line in table.strip().splitlines()[2:]:
        operation, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        said |= {(operation.strip("`"), code) for code, cell in zip(columns, cells, strict=True) if cell == "yes"}
    assert said == set(PROBES)


@pytest.mark.parametrize("operation", Direction, ids=lambda operation: operation.value)
@pytest.mark.parametrize("never_waits", [True, False], ids=["try", "wait"])
def test_what_a_docstring_says_is_what_the_law_table_produces(operation: Direction, never_waits: bool) -> None:
    """The ``:raises`` lines of send, recv and their tries are exactly the codes of the law table. Rows: E1, Q2."""
    rows = [row for row in outcome_rows() if row.operation is operation]
    if never_waits:
        rows = [row for row in rows if row.form is WaitForm.TRY]
    produced = {row.answer.__name__ for row in rows if not isinstance(row.answer, str)}
    expected = produced if never_waits else produced | {"OperationCancelled"}
    assert set(tables.raised("Channel", f"{'try_' if never_waits else ''}{operation.value}")) == expected


def test_every_error_has_its_line_and_a_word_on_what_to_do() -> None:
    """Rows: E1, Q2."""
    advice = PAGE.partition("## What to do")[2]
    for cls in tables.taxonomy():
        name, number = f"`{cls.__name__}`", tables.errno_name(cls)
        assert f"| {name} | {number} | `{cls.code}` | {cls.fault.value} | {cls.holds} |" in PAGE
        assert re.search(rf"^\| .*{name}.* \| (\S+ ){{2,}}", advice, re.MULTILINE), cls


def test_codes_are_never_shared() -> None:
    """Rows: E1, Q2."""
    codes = [cls.code for cls in tables.taxonomy()]
    assert len(codes) == len(set(codes))
    assert errors.KcoroError.code not in codes
