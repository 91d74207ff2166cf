# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Runs the blocks of one page, in order and in one namespace, as a reader would type them.

Rule 1: what a block prints has to be what the page says; a block without output on the page may print nothing.
Rule 2: a block in a language that nobody here can run is a failure, unless the page gives a reason.
"""

from __future__ import annotations

import contextlib
import doctest
import fcntl
import functools
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trio
import trio.testing

from kcoro_core import config

from .blocks import Block

LANGUAGES = ("python", "console", "toml", "text")
SHELL_SECONDS = 50


class Wrong(AssertionError):
    """A block does not do what the page says."""

    def __init__(self, block: Block, why: str) -> None:
        super().__init__(f"{block.where}: {why}\n\n{block.text}")


def run_page(blocks: list[Block], folder: Path) -> int:
    """Run the blocks of a page in ``folder``, an empty one; returns how many ran."""
    namespace: dict[str, Any] = {"__name__": "manual"}
    ran = 0
    with one_at_a_time(), environment_kept(), contextlib.chdir(folder):
        for block, expected in with_output(blocks):
            if block.reason:
                continue
            ran += 1
            if block.order == "file":
                write(block, folder)
            elif block.language == "python":
                check_output(block, expected, run_python(block, namespace))
            elif block.language == "console":
                run_console(block, folder)
            elif block.language == "toml":
                check_settings(block, folder)
            else:
                raise Wrong(block, f"nobody runs {block.language or 'a block without a language'!r}; give a reason")
    return ran


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Pages name ports, as readers want to see them; tests of several interpreters may run them side by side."""
    with Path(tempfile.gettempdir(), f"kcoro-manual-{os.getuid()}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def environment_kept() -> Iterator[None]:
    """What a page sets is for that page: other tests of this process find their settings as they were."""
    before = os.environ.copy()
    try:
        yield
    finally:
        if os.environ != before:
            os.environ.clear()
            os.environ.update(before)
            config.reload()


def with_output(blocks: list[Block]) -> Iterator[tuple[Block, str]]:
    """Each block with what it has to print: the ``text`` block behind a ``python`` block belongs to it."""
    rest = list(blocks)
    while rest:
        block = rest.pop(0)
        takes = block.language == "python" and not block.order.startswith(("file", "not"))
        if takes and rest and rest[0].language == "text" and not rest[0].order:
            yield block, rest.pop(0).text
        else:
            yield block, ""


def check_output(block: Block, expected: str, printed: str) -> None:
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not checker.check_output(expected, printed, flags):
        raise Wrong(block, f"the page says it prints\n{expected}\nand it prints\n{printed}")


# ---------------------------------------------------------------------------------------------------------------------
# Python
# ---------------------------------------------------------------------------------------------------------------------


def run_python(block: Block, namespace: dict[str, Any]) -> str:
    """Run the block; returns what it printed."""
    # Blank lines in front: line numbers in a traceback are those of the page.
    code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
    printed = io.StringIO()
    clock = contextlib.nullcontext() if block.order == "real time" else time_jumps()
    with contextlib.redirect_stdout(printed), clock:
        exec(code, namespace)  # noqa: S102 - that is the purpose
    return printed.getvalue()


@contextlib.contextmanager
def time_jumps() -> Iterator[None]:
    """Have ``trio.run`` use a clock that jumps to the next deadline when nothing can run."""
    real = trio.run

    @functools.wraps(real)
    def run(fn: Callable[..., Any], *args: Any, clock: Any = None, **options: Any) -> Any:
        clock = trio.testing.MockClock(autojump_threshold=0) if clock is None else clock
        return real(fn, *args, clock=clock, **options)

    trio.run = run
    try:
        yield
    finally:
        trio.run = real


# ---------------------------------------------------------------------------------------------------------------------
# Files, settings and commands
# ---------------------------------------------------------------------------------------------------------------------


def write(block: Block, folder: Path) -> None:
    """Write a block that is a file; a ``pyproject.toml`` with entry points is as good as installed afterwards."""
    path = folder / block.argument
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    if path.name == "pyproject.toml":
        install(tomllib.loads(block.text)["project"], folder)


def install(project: dict[str, Any], folder: Path) -> None:
    """What an installer leaves behind: a folder that tells name, version and entry points."""
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project.get("entry-points", {})
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in names.items()) for group, names in groups.items()]
    info.joinpath("entry_points.txt").write_text("\n".join(lines) + "\n")


def check_settings(block: Block, folder: Path) -> None:
    """A TOML block is a ``kcoro.toml`` in which every key is known and every value possible."""
    path = folder / "kcoro.toml"
    path.write_text(block.text)
    warnings: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    config.log.addHandler(handler)
    try:
        settings = config.load({}, folder)
    finally:
        config.log.removeHandler(handler)
        path.unlink()
    if warnings or settings.skipped:
        raise Wrong(block, f"settings refused: {warnings}, unknown: {settings.skipped}")


def run_console(block: Block, folder: Path) -> None:
    """Run each ``$`` line of the block in a shell and compare what it prints with the lines below it."""
    for command, expected in commands(block):
        check_output(block, expected, shell(command, folder))


def shell(command: str, folder: Path) -> str:
    """What a command prints; nothing that it has started outlives it if it takes too long."""
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            return "".join(process.communicate(timeout=SHELL_SECONDS))
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it has to print."""
    command, expected = "", ""
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, expected
            command, expected = line.removeprefix("$ "), ""
        elif command.endswith("\\"):
            command = command[:-1] + line
        else:
            expected += line + "\n"
    if not command:
        raise Wrong(block, "a console block has a line that begins with `$ `")
    yield command, expected


def environment(folder: Path) -> dict[str, str]:
    """The environment of a reader: our programs are found, the folder can be imported from, nothing is preset."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KCORO_", "PYTEST_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept | {"PATH": path, "PYTHONPATH": str(folder), "COLUMNS": "120", "NO_COLOR": "1"}
