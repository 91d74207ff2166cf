# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A progress bar on stderr: drawn by rich if it is installed, plain text otherwise, and nothing without a terminal."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..demo.state import Show, State

__all__ = ["progress"]

REDRAW_SECONDS: Final = 0.1
BAR_CHARACTERS: Final = 24


@contextmanager
def progress(shown: bool = True) -> Iterator[Show]:
    """What shows the progress within the block, if it is to be ``shown``; the bar is taken away at its end."""
    if not shown or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda state: None
    elif importlib.util.find_spec("rich"):
        with _rich() as show:
            yield _seldom(show)
    else:
        with _plain() as show:
            yield _seldom(show)


def _seldom(show: Show) -> Show:
    """Not more often than the eye follows: a terminal is slow."""
    shown_at = -REDRAW_SECONDS

    def seldom(state: State) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= REDRAW_SECONDS:
            shown_at = time.monotonic()
            show(state)

    return seldom


@contextmanager
def _plain() -> Iterator[Show]:
    def show(state: State) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + plain_line(state)[:width].ljust(width))
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
        sys.stderr.flush()


def plain_line(state: State) -> str:
    """The bar as one line of ASCII; without a bar when the end is not known."""
    if state.total_size is None:
        return f"{state.doing} {state.size / 1e6:.1f} MB  {state.details}"
    share = state.size / state.total_size if state.total_size else 1.0
    filled = round(share * BAR_CHARACTERS)
    bar = "#" * filled + "-" * (BAR_CHARACTERS - filled)
    size = f"{state.size / 1e6:.1f}/{state.total_size / 1e6:.1f} MB"
    return f"{state.doing} [{bar}] {share:4.0%}  {size}  {state.details}"


@contextmanager
def _rich() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn(),
               TextColumn("{task.fields[details]}"))  # fmt: skip
    # No thread redraws: this program has one thread, and its loop comes round often enough.
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=None, visible=False, details="")

        def show(state: State) -> None:
            bar.update(task, visible=True, description=state.doing, completed=state.size, total=state.total_size,
                       details=state.details)  # fmt: skip
            bar.refresh()

        yield show
